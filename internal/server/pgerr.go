package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/internal/usererr"
)

// formatPgError is libpq's default form of a server message, every line ended
// by a line feed:
//
//	ERROR:  message
//	DETAIL:  …
//	HINT:  …
//	QUERY:  …
//	CONTEXT:  …
func formatPgError(e *pgconn.PgError) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:  %s\n", e.Severity, e.Message)
	for _, f := range [][2]string{
		{"DETAIL", e.Detail}, {"HINT", e.Hint}, {"QUERY", e.InternalQuery}, {"CONTEXT", e.Where},
	} {
		if f[1] != "" {
			fmt.Fprintf(&b, "%s:  %s\n", f[0], f[1])
		}
	}
	return b.String()
}

// lostText is libpq's text for a connection that ended without a word.
const lostText = "server closed the connection unexpectedly\n" +
	"\tThis probably means the server terminated abnormally\n" +
	"\tbefore or while processing the request.\n"

// serverText is the libpq form of any error of a statement.
func serverText(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return formatPgError(pg)
	}
	if isLost(err) {
		return lostText
	}
	return lastCause(err).Error() + "\n"
}

func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// queryError is C's error for a failed statement; the cause is a
// *pgconn.PgError when the server said something. A statement that ended
// because ctx did is an ordinary error around context.Cause.
func (d *dialer) queryError(ctx context.Context, sql string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("run %q: %w", sql, context.Cause(ctx))
	}
	ue := usererr.Wrap(err, "query failed: %squery was: %s", serverText(err), sql)
	ue.Hint = d.queryAdvice(err)
	return ue
}

// sqlState is the SQLSTATE of a server error, "" for others.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
