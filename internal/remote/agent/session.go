package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// session is one pipe with its streams; both ends have one. The goroutine that
// reads never waits for anything but the pipe (and, at the agent, for memory),
// so nobody who waits for an answer can keep another's from coming.
type session struct {
	w    io.Writer
	peer peer
	// accept takes a stream the other side opens; nil if it must not.
	accept func(*stream) error

	ctx    context.Context // ends with the session, its cause is why
	cancel context.CancelCauseFunc

	wmu   sync.Mutex // one frame at a time
	wbuf  []byte
	wrote atomic.Bool // since the last tick

	mu      sync.Mutex
	streams map[uint32]*stream
	last    uint32 // number of the newest stream of ours
	queued  int    // cost of all messages waiting
	room    sync.Cond

	// reading is when the reader began to wait for the other side, in
	// nanoseconds; 0 while it does not wait.
	reading atomic.Int64
}

// maxQueued bounds the messages that wait in all streams of an agent: beyond
// it the agent reads no further. A client of ours does not get there.
const maxQueued = 64 << 20

// maxStreams is how many streams an agent serves at a time.
const maxStreams = 1024

// Heartbeats.
const (
	// heartbeatEvery is how often a side with nothing to say says so.
	heartbeatEvery = 4 * time.Second
	// silences is how many of the other side's intervals may pass without
	// a byte from it before it counts as gone.
	silences = 3
)

func newSession(ctx context.Context, w io.Writer, p peer) *session {
	s := &session{w: w, peer: p, streams: make(map[uint32]*stream)}
	s.room.L = &s.mu
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// errSilent is a peer of which nothing was heard for too long.
var errSilent = errors.New("nothing was heard from it")

// end ends the session; the first cause counts.
func (s *session) end(cause error) {
	s.cancel(cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.Broadcast()
}

// read takes frames until the pipe or the session ends, and returns why; nil
// when the other side ended the pipe between two frames.
func (s *session) read(r io.Reader) error {
	in := &timedReader{r: r, since: &s.reading}
	for {
		f, err := readFrame(in, s.admit)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.dispatch(f)
		}
		if cause := context.Cause(s.ctx); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
	}
}

// timedReader notes when each read began.
type timedReader struct {
	r     io.Reader
	since *atomic.Int64
}

func (t *timedReader) Read(p []byte) (int, error) {
	t.since.Store(time.Now().UnixNano())
	defer t.since.Store(0)
	return t.r.Read(p)
}

// beat sends heartbeats and ends the session when none come. It returns with
// the session.
func (s *session) beat(every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
		if since := s.reading.Load(); since != 0 && time.Now().UnixNano()-since > int64(silences*s.peer.heartbeat) {
			s.end(errSilent)
			return
		}
		// Who is just writing needs no heartbeat, nor who has just written.
		if !s.wrote.Swap(false) && s.wmu.TryLock() {
			err := s.writeLocked(frameHeartbeat, 0, 0, nil)
			s.wmu.Unlock()
			if err != nil {
				s.end(err)
			}
		}
	}
}

// admit checks a message against what its stream may send, before its body
// takes memory.
func (s *session) admit(f frame, size int) error {
	if f.typ != frameMessage {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.accept != nil && s.queued > maxQueued && s.ctx.Err() == nil {
		s.room.Wait()
	}
	st := s.streams[f.stream]
	if st == nil {
		if s.accept == nil {
			return nil // a stream that was closed: dropped
		}
		if len(s.streams) >= maxStreams {
			return protocolErrorf("more than %d streams", maxStreams)
		}
		st = s.newStream(f.stream)
		if err := s.accept(st); err != nil {
			return err
		}
	}
	if st.granted -= size + messageCost; st.granted < 0 {
		return protocolErrorf("stream %d sent more than its window", f.stream)
	}
	return nil
}

// dispatch gives a frame to its stream.
func (s *session) dispatch(f frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[f.stream]
	if st == nil {
		f.release()
		return nil
	}
	switch f.typ {
	case frameMessage:
		s.queued += len(f.body) + messageCost
		st.queue = append(st.queue, f)
		wake(st.arrived)
	case frameCredit:
		n := binary.LittleEndian.Uint32(f.body)
		if st.credit += int(n); st.credit > window {
			return protocolErrorf("credit of %d on stream %d", n, f.stream)
		}
		wake(st.credited)
	case frameClose:
		st.cancel(errStreamClosed)
	}
	return nil
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write sends a frame whose body is the given parts.
func (s *session) write(t frameType, k kind, stream uint32, parts ...[]byte) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	return s.writeLocked(t, k, stream, parts)
}

// joined is up to which size a frame is put together to be written at once.
const joined = 16 << 10

func (s *session) writeLocked(t frameType, k kind, stream uint32, parts [][]byte) error {
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > maxBody {
		return protocolErrorf("message of %d bytes to send", size)
	}
	s.wbuf = append(s.wbuf[:0], make([]byte, frameHeader)...)
	putHeader(s.wbuf, t, k, stream, size)
	for len(parts) > 0 && len(s.wbuf)+len(parts[0]) <= joined {
		s.wbuf, parts = append(s.wbuf, parts[0]...), parts[1:]
	}
	_, err := s.w.Write(s.wbuf)
	for ; err == nil && len(parts) > 0; parts = parts[1:] {
		_, err = s.w.Write(parts[0])
	}
	s.wrote.Store(true)
	if err != nil {
		s.end(err) // half a frame may be out
		return context.Cause(s.ctx)
	}
	return nil
}
