package agent

import (
	"context"
	"encoding/binary"
	"errors"
)

// stream is an ordered conversation inside a session. It belongs to one
// goroutine at each end.
type stream struct {
	*session
	id     uint32
	ctx    context.Context // ends when the other side closes it, or the session
	cancel context.CancelCauseFunc

	// Guarded by session.mu:
	queue   []frame
	granted int // what the other side may still send
	credit  int // what we may still send

	arrived  chan struct{} // there may be something in queue
	credited chan struct{} // credit may have grown

	taken int // of what was taken from the queue and not given back as credit
}

// errStreamClosed is a stream that the other side has closed.
var errStreamClosed = errors.New("canceled by the other side")

// newStream registers a stream; session.mu is held.
func (s *session) newStream(id uint32) *stream {
	st := &stream{
		session: s, id: id, granted: window, credit: window,
		arrived: make(chan struct{}, 1), credited: make(chan struct{}, 1),
	}
	st.ctx, st.cancel = context.WithCancelCause(s.ctx)
	s.streams[id] = st
	return st
}

// open begins a stream; nothing is sent yet.
func (s *session) open() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.last++; s.last == 0 || s.streams[s.last] != nil; s.last++ {
	}
	return s.newStream(s.last)
}

// forget ends a stream at this end. What still comes for it is dropped.
func (st *stream) forget() {
	st.cancel(errStreamClosed)
	s := st.session
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st.id)
	for i := range st.queue {
		s.queued -= len(st.queue[i].body) + messageCost
		st.queue[i].release()
	}
	st.queue = nil
	s.room.Broadcast()
}

// close forgets a stream and tells the other side, which then stops what it
// does for it.
func (st *stream) close() {
	st.forget()
	// Whether the other side hears of it matters only while it lives.
	_ = st.write(frameClose, 0, st.id)
}

// send sends a message; it waits while the other side does not take what it
// was sent before.
func (st *stream) send(ctx context.Context, k kind, parts ...[]byte) error {
	cost := messageCost
	for _, p := range parts {
		cost += len(p)
	}
	for {
		if ok := st.spend(cost); ok {
			return st.write(frameMessage, k, st.id, parts...)
		}
		select {
		case <-st.credited:
		case <-st.ctx.Done():
			return context.Cause(st.ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (st *stream) spend(cost int) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.credit < cost {
		return false
	}
	st.credit -= cost
	return true
}

// receive takes the next message; the frame is the caller's to release.
func (st *stream) receive(ctx context.Context) (frame, error) {
	for {
		if f, ok := st.pop(); ok {
			return f, st.giveBack(len(f.body) + messageCost)
		}
		select {
		case <-st.arrived:
		case <-st.ctx.Done():
			// What came before the end still counts.
			if f, ok := st.pop(); ok {
				return f, nil
			}
			return frame{}, context.Cause(st.ctx)
		case <-ctx.Done():
			return frame{}, context.Cause(ctx)
		}
	}
}

func (st *stream) pop() (frame, bool) {
	s := st.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(st.queue) == 0 {
		return frame{}, false
	}
	f := st.queue[0]
	st.queue[0] = frame{}
	if st.queue = st.queue[1:]; len(st.queue) == 0 {
		st.queue = nil
	}
	s.queued -= len(f.body) + messageCost
	s.room.Broadcast()
	return f, true
}

// giveBack lets the other side send again what was taken; not for each small
// message.
func (st *stream) giveBack(n int) error {
	if st.taken += n; st.taken < window/4 {
		return nil
	}
	var raw [4]byte
	binary.LittleEndian.PutUint32(raw[:], uint32(st.taken))
	st.mu.Lock()
	st.granted += st.taken
	st.mu.Unlock()
	st.taken = 0
	return st.write(frameCredit, 0, st.id, raw[:])
}
