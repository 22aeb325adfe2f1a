package opengaussd

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Server is a running stand-in.
type Server struct {
	cfg    Config
	Port   int // the normal port; the HA port is one above
	faults faults
	backup backupMode

	listeners []net.Listener
	wg        sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[int32]*session
	wires    map[*wire]struct{}
	nextPID  int32
	misses   map[string]int // failed logins by user
	said     []string       // statements and commands, in order
	unknown  []string
	replies  []Reply
	shutdown chan struct{} // closed by Shutdown
}

// Start opens the ports on 127.0.0.1.
func Start(cfg Config) (*Server, error) {
	cfg.fill()
	s := &Server{
		cfg: cfg, sessions: map[int32]*session{}, wires: map[*wire]struct{}{}, misses: map[string]int{},
		shutdown: make(chan struct{}), nextPID: 11,
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	for i, ln := range s.listeners {
		s.wg.Add(1)
		go s.accept(ln, i == 1)
	}
	return s, nil
}

// listen finds two ports in a row.
func (s *Server) listen() error {
	var last error
	for range 50 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		s.Port = ln.Addr().(*net.TCPAddr).Port
		if s.cfg.NoHAPort {
			s.listeners = []net.Listener{ln}
			return nil
		}
		ha, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port+1)))
		if err == nil {
			s.listeners = []net.Listener{ln, ha}
			return nil
		}
		last = errors.Join(err, ln.Close())
	}
	return fmt.Errorf("listen: no two ports in a row: %w", last)
}

func (s *Server) accept(ln net.Listener, ha bool) {
	defer s.wg.Done()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		w := newWire(conn)
		if !s.adopt(w) {
			continue
		}
		s.wg.Go(func() {
			defer s.drop(w)
			s.serve(w, ha)
		})
	}
}

// adopt remembers a connection so that Close can end it.
func (s *Server) adopt(w *wire) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = w.hangUp() // the client sees a closed connection, which is the truth
		return false
	}
	s.wires[w] = struct{}{}
	return true
}

func (s *Server) drop(w *wire) {
	s.mu.Lock()
	delete(s.wires, w)
	s.mu.Unlock()
	_ = w.hangUp() // nothing can be done about a socket that does not close
}

// Close kills the server: all connections are cut without a word.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for w := range s.wires {
		_ = w.hangUp()
	}
	s.mu.Unlock()
	s.faults.releaseAll()
	var errs []error
	for _, ln := range s.listeners {
		errs = append(errs, ln.Close())
	}
	s.wg.Wait()
	return errors.Join(errs...)
}

// Shutdown is a fast shutdown: sessions get FATAL 57P01, WAL senders send what
// is there, then COPY 0 without CopyDone (server.md §4.4). It waits for all.
func (s *Server) Shutdown() error {
	s.mu.Lock()
	select {
	case <-s.shutdown:
	default:
		close(s.shutdown)
	}
	sessions := make([]*session, 0, len(s.sessions))
	for _, ses := range s.sessions {
		sessions = append(sessions, ses)
	}
	s.mu.Unlock()
	for _, ses := range sessions {
		ses.terminate()
	}
	var errs []error
	for _, ln := range s.listeners {
		errs = append(errs, ln.Close())
	}
	s.wg.Wait()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return errors.Join(errs...)
}

// HangUp cuts all connections but lets new ones in, as a network failure does.
func (s *Server) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.wires {
		_ = w.hangUp()
	}
}

// Statements lists what clients have sent, in order.
func (s *Server) Statements() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.said...)
}

// Unknown lists the statements that no rule answers. A test that got this far
// should find none.
func (s *Server) Unknown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.unknown...)
}

func (s *Server) note(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, sql)
}

func (s *Server) noteUnknown(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown = append(s.unknown, sql)
}
