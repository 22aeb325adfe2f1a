package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"gsprobackup/internal/event"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
)

// cancelGrace is how long a cancelled statement may take to end before the
// connection is given up.
const cancelGrace = 10 * time.Second

// dialer makes connections to one server and remembers between attempts what
// it has learnt: family, protocol and password.
type dialer struct {
	*settings
	minor       int
	password    string
	stock       bool // leave the handshake to pgx, see filterConn
	familyKnown bool
	family      pgdata.Family
}

// link is an open connection: pgx' view and the socket below TLS.
type link struct {
	pg  *pgconn.PgConn
	raw net.Conn
}

// Connect opens the SQL connection. Errors are *usererr.Error in C's words,
// except for a cancelled ctx.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	s, err := o.resolve()
	if err != nil {
		return nil, err
	}
	return (&dialer{settings: s, minor: 51, password: s.Password}).session(ctx)
}

// Again opens another SQL connection to the same server, without asking for a
// password that is known.
func (c *Conn) Again(ctx context.Context) (*Conn, error) { return c.d.session(ctx) }

func (d *dialer) session(ctx context.Context) (*Conn, error) {
	l, err := d.dial(ctx, target{port: d.port})
	if err != nil {
		return nil, err
	}
	c := newConn(d, l)
	if c.flavor, err = newFlavor(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// dial connects to one target. Every repetition of the loop has learnt
// something new, so it ends.
func (d *dialer) dial(ctx context.Context, t target) (*link, error) {
	for {
		hs := &handshake{minor: d.minor, user: d.user, password: d.password}
		l, err := d.attempt(ctx, t, hs)
		if hs.familyKnown {
			d.familyKnown, d.family = true, hs.family
		}
		switch {
		case err == nil:
			return l, nil
		case errors.Is(hs.stop, errNeedPassword):
			if d.password, err = d.findPassword(ctx, t); err != nil {
				return nil, err
			}
		case errors.Is(hs.stop, errStockClient):
			d.stock = true
		case sqlState(err) == "0A000" && d.minor != 0: // feature_not_supported: the protocol
			d.minor = 0
		case hs.stop != nil:
			return nil, connectFailure(ctx, d, t, hs.stop)
		default:
			return nil, connectFailure(ctx, d, t, err)
		}
	}
}

// attempt is one pgx connect, which may itself try TLS and then plain.
func (d *dialer) attempt(ctx context.Context, t target, hs *handshake) (*link, error) {
	cfg, err := d.pgConfig(t, d.password)
	if err != nil {
		return nil, err
	}
	l := &link{}
	cfg.DialFunc = netDialer(d.RWTimeout).DialContext
	cfg.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
		l.raw = conn
		if t, ok := conn.(*tls.Conn); ok {
			l.raw = t.NetConn()
		}
		if hs.stop != nil { // the plain try after a TLS one that ended early
			return conn, hs.stop
		}
		if d.stock {
			return conn, nil
		}
		return &filterConn{Conn: conn, hs: hs}, nil
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		d.Events.Emit(Notice{Severity: n.Severity, Code: n.Code, Text: formatPgError((*pgconn.PgError)(n))})
	}
	if !t.replication {
		// Replication connections cannot be cancelled on openGauss (key 0,
		// spec/server.md §1.2); there pgx' default closes the socket.
		cfg.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
			return &cancelHandler{
				CancelRequestContextWatcherHandler: pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: cancelGrace},
				events:                             d.Events,
			}
		}
	}
	if l.pg, err = pgconn.ConnectConfig(ctx, cfg); err != nil {
		return nil, err
	}
	return l, nil
}

// cancelHandler asks the server to stop the statement when its context ends,
// and gives the connection up if it does not.
type cancelHandler struct {
	pgconn.CancelRequestContextWatcherHandler
	events event.Sink
}

func (h *cancelHandler) HandleCancel(ctx context.Context) {
	h.events.Emit(CancelSent{})
	h.CancelRequestContextWatcherHandler.HandleCancel(ctx)
}

// findPassword gets a password that was not given: from the environment for
// PostgreSQL, else by asking once (spec/cli.md §9).
func (d *dialer) findPassword(ctx context.Context, t target) (string, error) {
	postgres := d.familyKnown && d.family == pgdata.PostgreSQL
	var ignored string
	if postgres {
		var pw string
		if pw, ignored = d.envPassword(t); pw != "" {
			return pw, nil
		}
	}
	if d.NoPassword || d.Prompt == nil {
		// C's libpq fails without asking the server, in the server's words.
		reason := "FATAL:  Invalid username/password,login denied.\n"
		if postgres {
			reason = "fe_sendauth: no password supplied\n"
		}
		e := connectError(d.database, reason, errNeedPassword)
		e.Hint = ignored
		return "", e
	}
	text := "Password: "
	if d.User != "" {
		text = fmt.Sprintf("Password for user %s: ", d.User)
	}
	pw, err := d.Prompt(ctx, text)
	if err != nil {
		return "", fmt.Errorf("ask for password: %w", err)
	}
	if pw == "" {
		return "", usererr.New("no password supplied")
	}
	return pw, nil
}
