package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// maxPassword is the number of bytes of an answer that are used.
const maxPassword = 100

// Terminal is the controlling terminal while a password is asked for.
type Terminal interface {
	io.Writer
	// ReadPassword reads a line without echo, without its line feed.
	ReadPassword() ([]byte, error)
	// Restore turns the echo on again while ReadPassword still waits.
	Restore() error
	Close() error
}

// promptPassword asks a person for a password (spec/cli.md §9): on the
// terminal without echo, else with the prompt on stderr and a line of stdin.
// An empty answer and the end of input give "".
func (s *session) promptPassword(ctx context.Context, prompt string) (string, error) {
	var tty Terminal
	if s.env.OpenTerminal != nil {
		if t, err := s.env.OpenTerminal(); err == nil {
			tty = t
			defer tty.Close()
		}
	}
	var out io.Writer = s.streams.Err
	read := s.readPasswordLine
	if tty != nil {
		out, read = tty, tty.ReadPassword
	}
	if _, err := io.WriteString(out, prompt); err != nil {
		return "", fmt.Errorf("ask for password: %w", err)
	}
	type answer struct {
		line []byte
		err  error
	}
	// The read cannot be interrupted. After a signal it is left behind; the
	// process ends soon.
	answers := make(chan answer, 1)
	go func() {
		line, err := read()
		answers <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		if tty != nil {
			if err := tty.Restore(); err != nil {
				return "", fmt.Errorf("restore terminal: %w", err)
			}
		}
		return "", context.Cause(ctx)
	case a := <-answers:
		if _, err := io.WriteString(out, "\n"); err != nil {
			return "", fmt.Errorf("ask for password: %w", err)
		}
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return "", fmt.Errorf("read password: %w", a.err)
		}
		if len(a.line) > maxPassword {
			a.line = a.line[:maxPassword]
		}
		return string(a.line), nil
	}
}

// readPasswordLine reads a line of stdin, without echo if it is a terminal.
func (s *session) readPasswordLine() ([]byte, error) {
	if f, ok := s.streams.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return term.ReadPassword(int(f.Fd()))
	}
	line, err := bufio.NewReader(s.streams.In).ReadString('\n')
	return []byte(strings.TrimRight(line, "\r\n")), err
}

// tty is the controlling terminal of the process.
type tty struct {
	*os.File
	before *term.State
}

func openTerminal() (Terminal, error) {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	state, err := term.GetState(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("inspect terminal: %w", err), unix.Close(fd))
	}
	return &tty{File: os.NewFile(uintptr(fd), "/dev/tty"), before: state}, nil
}

func (t *tty) ReadPassword() ([]byte, error) { return term.ReadPassword(int(t.Fd())) }

func (t *tty) Restore() error { return term.Restore(int(t.Fd()), t.before) }
