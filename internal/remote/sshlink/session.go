package sshlink

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"gsprobackup/internal/event"
	"gsprobackup/internal/remote/agent"
)

// endGrace is how long a process may take to end after its input has ended.
const endGrace = 5 * time.Second

// session is a far process of the built-in client. Its ends are pipes, which
// Close can break; those of the library wait for the other side.
type session struct {
	conn   *conn
	ssh    *ssh.Session
	stdout *io.PipeReader
	stdin  *io.PipeWriter
	tail   *tail
	events event.Sink
	once   sync.Once
	done   chan struct{}
	err    error // valid when done
}

func newSession(c *conn, s *ssh.Session, command string, events event.Sink) (*session, error) {
	ch := &session{conn: c, ssh: s, tail: &tail{}, events: events, done: make(chan struct{})}
	stdin, err := s.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := s.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.Stderr = ch.tail
	if err := s.Start(command); err != nil {
		return nil, err
	}
	fromUser, toFar := io.Pipe()
	fromFar, toUser := io.Pipe()
	ch.stdin, ch.stdout = toFar, fromFar
	go func() {
		_, err := io.CopyBuffer(stdin, onlyReader{fromUser}, make([]byte, chunk))
		_ = stdin.Close() // the far process has ended, or gets its end of input
		_ = fromUser.CloseWithError(c.because(err))
	}()
	go func() {
		buf := make([]byte, chunk)
		_, err := io.CopyBuffer(toUser, onlyReader{stdout}, buf)
		_ = toUser.CloseWithError(c.because(err))
		_, _ = io.CopyBuffer(io.Discard, onlyReader{stdout}, buf) // until the far end has noticed
	}()
	go ch.wait()
	return ch, nil
}

// chunk is how much is handed on at a time, a packet of the protocol.
const chunk = 32 << 10

type onlyReader struct{ io.Reader }

// because replaces an error by the reason why the connection is over.
func (c *conn) because(err error) error {
	if err != nil {
		if cause := c.cause(); cause != nil {
			return cause
		}
	}
	return err
}

// wait learns how the process ended.
func (ch *session) wait() {
	err := ch.ssh.Wait()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		ch.finish(0, nil)
	case errors.As(err, &exit):
		ch.finish(exit.ExitStatus(), &agent.ExitError{Status: exit.ExitStatus(), Signal: exit.Signal(), Stderr: ch.tail.String()})
	default:
		// The connection knows better, once it has noticed.
		_ = ch.ssh.Close()
		if err = ch.conn.causeSoon(); err == nil {
			err = &agent.ExitError{Status: sshFailed, Stderr: ch.tail.String() + "\nended without telling a status"}
		}
		ch.finish(sshFailed, err)
	}
}

// finish settles the end; the first one counts.
func (ch *session) finish(status int, err error) {
	ch.once.Do(func() {
		ch.err = err
		ch.conn.add(-1)
		ch.events.Emit(agent.LinkEnded{PID: os.Getpid(), Status: waitStatus(status)})
		if err == nil {
			ch.tail.emit(ch.events)
		}
		close(ch.done)
	})
}

// causeSoon is cause, with a moment for the connection to be found broken.
func (c *conn) causeSoon() error {
	select {
	case <-c.done:
	case <-time.After(time.Second):
	}
	return c.cause()
}

func (ch *session) Read(p []byte) (int, error)  { return ch.stdout.Read(p) }
func (ch *session) Write(p []byte) (int, error) { return ch.stdin.Write(p) }
func (ch *session) CloseWrite() error           { return ch.stdin.Close() }

func (ch *session) Wait() error {
	<-ch.done
	return ch.err
}

func (ch *session) Close() error {
	_ = ch.stdin.Close()
	_ = ch.stdout.Close() // which drops what still comes
	select {
	case <-ch.done:
	case <-time.After(endGrace):
		// sshd tells the end of a channel only with that of its process.
		_ = ch.ssh.Signal(ssh.SIGTERM)
		_ = ch.ssh.Close()
		ch.finish(sshFailed, &agent.ExitError{Status: sshFailed, Stderr: ch.tail.String() + "\nstill running when the channel was closed"})
	}
	return ch.Wait()
}
