package opengaussd

import (
	"context"
	"errors"
	"strings"
	"sync"

	"gsprobackup/internal/wal"
)

// Fault makes statements or replication commands fail.
type Fault struct {
	// On is part of the statement's text, such as "pg_stop_backup".
	On string
	// Skip lets so many matching statements pass first; Times is how many
	// fail then, 0 all.
	Skip, Times int

	// What happens, in this order; the statement runs if nothing of it ends it.
	Do   func() error    // called; an error is an ERROR of the server
	Hold <-chan struct{} // wait until closed, canceled or the server ends
	Err  *Error          // answered
	Drop bool            // the connection is cut without an answer
	Lose bool            // the same, but the statement runs
	// After is called when the statement of a fault with Lose has run.
	After func() error
}

// StreamFault ends or stalls the WAL stream when it has come to At.
type StreamFault struct {
	At    wal.LSN
	Drop  bool   // cut
	Stall bool   // send nothing more, also no keepalives
	Err   *Error // FATAL
}

type faults struct {
	mu       sync.Mutex
	list     []*Fault
	stream   []StreamFault
	lag      int // polls that still see lagging; -1 for ever
	lagging  wal.LSN
	released chan struct{}
}

var errDropped = errors.New("connection dropped on demand")

// lostAnswer says that the statement shall run and the connection be cut then.
type lostAnswer struct{ after func() error }

func (lostAnswer) Error() string { return "answer lost on demand" }

// end is what becomes of the session.
func (l lostAnswer) end() error {
	if l.after == nil {
		return l
	}
	return errors.Join(l, l.after())
}

// Inject adds a fault. It is safe to call at any time.
func (s *Server) Inject(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, &f)
}

// InjectStream adds a fault of the next WAL stream that comes to its position.
func (s *Server) InjectStream(f StreamFault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.stream = append(s.faults.stream, f)
}

// SlowCBM makes changed block tracking lag: the next polls of the tracked
// location still see the present one; polls -1 is for ever, as when
// enable_cbm_tracking was switched off.
func (s *Server) SlowCBM(polls int) {
	at, _ := s.cfg.Cluster.Tracked()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.lag, s.faults.lagging = polls, at
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list, s.faults.stream, s.faults.lag = nil, nil, 0
}

// tracked is what a poll sees when the real location is lsn.
func (f *faults) tracked(lsn wal.LSN) wal.LSN {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lag == 0 {
		return lsn
	}
	if f.lag > 0 {
		f.lag--
	}
	return f.lagging
}

// releaseAll frees statements that are held, for the end of the server.
func (f *faults) releaseAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.released == nil {
		f.released = make(chan struct{})
	}
	select {
	case <-f.released:
	default:
		close(f.released)
	}
}

// match takes the fault that hits sql now.
func (f *faults) match(sql string) (*Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.released == nil {
		f.released = make(chan struct{})
	}
	for _, x := range f.list {
		if !strings.Contains(sql, x.On) || x.Times < 0 {
			continue
		}
		if x.Skip > 0 {
			x.Skip--
			continue
		}
		if x.Times > 0 {
			if x.Times--; x.Times == 0 {
				x.Times = -1
			}
		}
		hit := *x
		return &hit, f.released
	}
	return nil, nil
}

// statement lets the faults happen that a statement or command meets.
func (f *faults) statement(ctx context.Context, sql string) error {
	x, released := f.match(sql)
	if x == nil {
		return nil
	}
	if x.Do != nil {
		if err := x.Do(); err != nil {
			return &Error{State: "XX000", Message: err.Error()}
		}
	}
	if x.Hold != nil {
		select {
		case <-x.Hold:
		case <-released:
			return errDropped
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	switch {
	case x.Drop:
		return errDropped
	case x.Lose:
		return lostAnswer{x.After}
	case x.Err != nil:
		return x.Err
	}
	return nil
}

// streamAt returns the fault that the stream meets between from and to, if
// any, and forgets it.
func (f *faults) streamAt(from, to wal.LSN) (StreamFault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, x := range f.stream {
		if x.At <= to {
			f.stream = append(f.stream[:i], f.stream[i+1:]...)
			x.At = max(x.At, from)
			return x, true
		}
	}
	return StreamFault{}, false
}
