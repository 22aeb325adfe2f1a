package sshlink

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"gsprobackup/internal/event"
)

// errSilent is inside the error of a link that was given up because nothing
// came back.
var errSilent = errors.New("no sign of life")

// conn is a connection with its running commands.
type conn struct {
	*dialed
	target *target
	done   chan struct{} // closed when the connection is over

	mu    sync.Mutex
	err   error // why it is over
	used  int   // commands running or being started
	limit int   // as many as the server allows, 0 for not known
}

func newConn(d *dialed, t *target) *conn {
	c := &conn{dialed: d, target: t, done: make(chan struct{})}
	go func() {
		err := d.client.Wait()
		if err == nil {
			err = errors.New("EOF")
		}
		c.fail(lostError(t, err))
	}()
	if t.aliveEvery > 0 {
		go c.watch()
	}
	return c
}

// cause is why the connection is over, nil while it is not.
func (c *conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail ends the connection; the first cause stays.
func (c *conn) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		close(c.done)
	}
	c.mu.Unlock()
	if first {
		_ = c.conn.Close() // what is in flight is lost anyway
		c.Close()
	}
}

// load tells how many commands use the connection and whether more may.
func (c *conn) load() (used int, room bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used, c.limit == 0 || c.used < c.limit
}

// idle tells whether nothing runs but the command being started.
func (c *conn) idle() bool {
	used, _ := c.load()
	return used == 1
}

func (c *conn) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used += n
}

// full notes that the server refused the command being started (MaxSessions)
// and gives its place back; false if it was the only one.
func (c *conn) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used < 2 {
		return false
	}
	c.used--
	if c.limit == 0 || c.used < c.limit {
		c.limit = c.used
	}
	return true
}

// watch asks for a sign of life regularly and ends a connection that was
// silent aliveCount times. Anything received counts, so that a slow link with
// much in flight is not taken for a dead one; and intervals are counted
// rather than time, so that a stopped process may continue.
func (c *conn) watch() {
	ticker := time.NewTicker(c.target.aliveEvery)
	defer ticker.Stop()
	asked := make(chan struct{}, 1)
	last, silent := c.conn.reads.Load(), 0
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		if now := c.conn.reads.Load(); now != last {
			last, silent = now, 0
		} else {
			silent++
		}
		if silent > c.target.aliveCount {
			c.fail(lostError(c.target, fmt.Errorf("%w for %v", errSilent, time.Duration(silent)*c.target.aliveEvery)))
			return
		}
		select {
		case asked <- struct{}{}:
			go func() {
				// An answer, even "unknown request", is a sign of life.
				_, _, _ = c.client.SendRequest("keepalive@openssh.com", true, nil)
				<-asked
			}()
		default: // still waiting for the last answer
		}
	}
}

// start runs a command in a session of its own.
func (c *conn) start(command string, events event.Sink) (*session, error) {
	s, err := c.client.NewSession()
	if err != nil {
		return nil, c.because(err)
	}
	ch, err := newSession(c, s, command, events)
	if err != nil {
		_ = s.Close()
		return nil, c.because(err)
	}
	return ch, nil
}
