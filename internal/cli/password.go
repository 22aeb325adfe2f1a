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
)

// maxPassword is the number of bytes of an answer that are used.
const maxPassword = 100

// Terminal is the controlling terminal while a password is asked for.
type Terminal interface {
	io.ReadWriter
	// HideInput turns the echo off.
	HideInput() error
	// Restore brings the settings back that HideInput found.
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
	var in io.Reader = s.streams.In
	var out io.Writer = s.streams.Err
	if tty != nil {
		in, out = tty, tty
		// Before the prompt shows, or a quick answer would be seen.
		if err := tty.HideInput(); err != nil {
			return "", fmt.Errorf("ask for password: %w", err)
		}
	}
	answer, err := s.askLine(ctx, in, out, prompt)
	if tty != nil {
		err = errors.Join(err, tty.Restore())
	}
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(out, "\n"); err != nil {
		return "", fmt.Errorf("ask for password: %w", err)
	}
	return answer[:min(len(answer), maxPassword)], nil
}

// askLine shows a prompt and reads a line, until ctx ends.
func (s *session) askLine(ctx context.Context, in io.Reader, out io.Writer, prompt string) (string, error) {
	if _, err := io.WriteString(out, prompt); err != nil {
		return "", fmt.Errorf("ask for password: %w", err)
	}
	type result struct {
		line string
		err  error
	}
	// The read cannot be interrupted. After a signal it is left behind; the
	// process ends soon.
	results := make(chan result, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		results <- result{strings.TrimRight(line, "\r\n"), err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case r := <-results:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return "", fmt.Errorf("read password: %w", r.err)
		}
		return r.line, nil
	}
}

// tty is the controlling terminal of the process.
type tty struct {
	*os.File
	before unix.Termios
}

func openTerminal() (Terminal, error) {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("inspect terminal: %w", err), unix.Close(fd))
	}
	return &tty{File: os.NewFile(uintptr(fd), "/dev/tty"), before: *state}, nil
}

func (t *tty) HideInput() error {
	hidden := t.before
	hidden.Lflag &^= unix.ECHO
	if err := t.set(&hidden); err != nil {
		return fmt.Errorf("turn echo off: %w", err)
	}
	return nil
}

func (t *tty) Restore() error {
	if err := t.set(&t.before); err != nil {
		return fmt.Errorf("restore terminal: %w", err)
	}
	return nil
}

func (t *tty) set(state *unix.Termios) error {
	return unix.IoctlSetTermios(int(t.Fd()), unix.TCSETS, state)
}
