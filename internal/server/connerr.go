package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/internal/usererr"
)

// connectError is C's error for a failed connection. reason is in libpq's
// form and ends with a line feed, which C prints (golden
// 08b_backup_option_errors).
func connectError(database, reason string, cause error) *usererr.Error {
	return usererr.Wrap(cause, "could not connect to database %s: %s", database, reason)
}

// connectFailure puts a failed pgx connect into C's words. Cancelled contexts
// stay ordinary errors: they are no fault of the server.
func connectFailure(ctx context.Context, d *dialer, t target, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("connect to server: %w", context.Cause(ctx))
	}
	var reasons []string
	var hint string
	add := func(text string) {
		for _, r := range reasons {
			if r == text {
				return
			}
		}
		reasons = append(reasons, text)
	}
	walk(err, func(e error) {
		switch e := e.(type) { //nolint:errorlint // walk visits every layer itself
		case *pgconn.PgError:
			add(formatPgError(e))
		case *net.DNSError:
			add(fmt.Sprintf("could not translate host name \"%s\" to address: Name or service not known\n", e.Name))
		case *net.OpError:
			text, h := dialReason(e, d.host(t.port), t.port)
			add(text)
			hint = h
		}
	})
	if len(reasons) == 0 {
		add(lastCause(err).Error() + "\n")
	}
	// With sslmode=prefer pgx tries twice. What the server said beats what
	// the network said on the other try.
	var said []string
	for _, r := range reasons {
		if strings.HasPrefix(r, "FATAL:  ") || strings.HasPrefix(r, "ERROR:  ") {
			said = append(said, r)
		}
	}
	if said != nil {
		reasons, hint = said, d.connectAdvice(err, t)
	}
	ue := connectError(d.database, strings.Join(reasons, ""), err)
	ue.Hint = hint
	return ue
}

// dialReason is libpq's text for a connection that could not be made.
func dialReason(e *net.OpError, host string, port int) (text, hint string) {
	var errno syscall.Errno
	if !errors.As(e, &errno) {
		if e.Timeout() || errors.Is(e, os.ErrDeadlineExceeded) {
			return "timeout expired\n", ""
		}
		return e.Err.Error() + "\n", ""
	}
	if strings.HasPrefix(host, "/") {
		return fmt.Sprintf("connect to server failed: %s\n", strerror(errno)), ""
	}
	reason := strerror(errno)
	if errno == syscall.ECONNREFUSED {
		// C connects without blocking and prints the errno of that; kept
		// for scripts, the hint tells the truth.
		reason = strerror(syscall.EINPROGRESS)
		hint = fmt.Sprintf("connection refused: no server listens on %s port %d", host, port)
	}
	where := fmt.Sprintf("host \"%s\"", host)
	if tcp, ok := e.Addr.(*net.TCPAddr); ok && tcp.IP.String() != host {
		where += fmt.Sprintf(" (%s)", tcp.IP)
	}
	return fmt.Sprintf("could not connect to server: %s\n\tIs the server running on %s and accepting\n\tTCP/IP connections on port %d?\n", reason, where, port), hint
}

// strerror is the C library's text, which begins with a capital letter where
// Go's does not.
func strerror(errno syscall.Errno) string {
	s := errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// walk visits an error tree, depth first.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch u := err.(type) { //nolint:errorlint // this is the unwrapping
	case interface{ Unwrap() error }:
		walk(u.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			walk(e, visit)
		}
	}
}

// lastCause is the innermost error of the last branch of the tree.
func lastCause(err error) error {
	last := err
	walk(err, func(e error) {
		if e.Error() != "" {
			last = e
		}
	})
	return last
}
