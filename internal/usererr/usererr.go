// Package usererr defines the error a user is meant to read.
//
// It owns the carrier only: the exact text of the C tool, an optional hint
// and the exit status. Lower packages return ordinary wrapped errors; where
// the C tool has a text for a situation, the package that knows the situation
// returns an *Error with that text. One place, internal/cli, turns errors
// into words and an exit status.
package usererr

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Error is a failure in the words of the C tool (spec/cli.md §4, §10, §11).
type Error struct {
	// Text is the message without its "ERROR: " prefix and without a
	// trailing line feed (unless the C tool prints an extra one).
	Text string
	// Hint names the next step for a person; empty for none. It is never
	// printed by default when stderr is not a terminal.
	Hint string
	// Cause is the underlying error, for errors.Is/As; it is not printed.
	Cause error
	// Code is the exit status; 0 means the usual 1.
	Code int
}

// New returns an *Error with a formatted text. A %w verb is not understood;
// use Wrap to keep a cause.
func New(format string, args ...any) *Error {
	return &Error{Text: fmt.Sprintf(format, args...)}
}

// Wrap is New with an underlying cause kept for errors.Is and errors.As.
func Wrap(cause error, format string, args ...any) *Error {
	return &Error{Text: fmt.Sprintf(format, args...), Cause: cause}
}

// WithHint returns e with its hint set.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ExitCode is the process status for this error, never 0.
func (e *Error) ExitCode() int {
	if e.Code == 0 {
		return 1
	}
	return e.Code
}

// SystemText is what the C library's strerror says for the system error inside
// err, for the many texts of the C tool that end in it: Go's wording with a
// capital first letter. Without a system error it is err's own text.
func SystemText(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
