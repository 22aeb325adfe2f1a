package server

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// Rows is a result in text format: rows of columns, nil for NULL.
type Rows [][][]byte

// Conn is the SQL connection. It has to stay open for the whole of a
// non-exclusive backup, so it watches itself while idle: see Done.
type Conn struct {
	d      *dialer
	pg     *pgconn.PgConn
	flavor Flavor
	turn   chan struct{} // holds one token; whoever has it may use pg

	done      chan struct{} // closed when the connection is gone
	watchDone chan struct{}
	mu        sync.Mutex
	lost      error // why; set before done is closed
}

func newConn(d *dialer, l *link) *Conn {
	c := &Conn{
		d:         d,
		pg:        l.pg,
		turn:      make(chan struct{}, 1),
		done:      make(chan struct{}),
		watchDone: make(chan struct{}),
	}
	c.turn <- struct{}{}
	go c.watch(l.raw)
	return c
}

// Flavor is the server family's SQL on this connection.
func (c *Conn) Flavor() Flavor { return c.flavor }

// Done is closed when the server or the network has ended the connection, at
// the latest about a second after the end of the session is visible here, or
// when Close was called. A silent network is noticed after Options.RWTimeout.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil while the connection lives, then the reason why Done is closed:
// errClosed or an error around what the server said.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

var errClosed = errors.New("connection is closed")

// end records the reason and closes done, once.
func (c *Conn) end(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = reason
		close(c.done)
	}
}

// Close ends the session. The server drops a running backup of the session.
func (c *Conn) Close(ctx context.Context) error {
	c.end(errClosed)
	<-c.watchDone
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("close connection: %w", context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeout(ctx, cancelGrace)
	defer cancel()
	if err := c.pg.Close(ctx); err != nil && !isLost(err) {
		return fmt.Errorf("close connection: %w", err)
	}
	return nil
}

// use runs f with the connection to itself.
func (c *Conn) use(ctx context.Context, sql string, args []string, f func() error) error {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return c.d.queryError(ctx, sql, ctx.Err())
	}
	c.d.Events.Emit(QuerySent{SQL: sql, Args: args})
	if lost := c.Err(); lost != nil {
		return c.d.queryError(ctx, sql, lost)
	}
	err := f()
	if err == nil {
		return nil
	}
	if c.pg.IsClosed() {
		c.end(fmt.Errorf("lost connection to server: %w", err))
	}
	return c.d.queryError(ctx, sql, err)
}

// Query runs one statement and returns its rows: with the simple protocol
// when there are no arguments, else with the extended one and text
// parameters, as C does (spec/server.md §2.1). When ctx ends the server is
// asked to cancel the statement; the connection stays usable if it obeys.
func (c *Conn) Query(ctx context.Context, sql string, args ...string) (Rows, error) {
	var rows Rows
	err := c.use(ctx, sql, args, func() error {
		if len(args) > 0 {
			r := c.pg.ExecParams(ctx, sql, textParams(args), nil, nil, nil).Read()
			rows = r.Rows
			return r.Err
		}
		results, err := c.pg.Exec(ctx, sql).ReadAll()
		if n := len(results); n > 0 {
			rows = results[n-1].Rows
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Exec is Query without interest in rows.
func (c *Conn) Exec(ctx context.Context, sql string, args ...string) error {
	_, err := c.Query(ctx, sql, args...)
	return err
}

// Each hands the rows of a statement to f one by one as they arrive; memory is
// bounded by the largest row. A row is valid only during the call. An error of
// f ends the statement and is returned as it is.
func (c *Conn) Each(ctx context.Context, sql string, args []string, f func(row [][]byte) error) error {
	var fErr error
	err := c.use(ctx, sql, args, func() error {
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		r := c.pg.ExecParams(inner, sql, textParams(args), nil, nil, nil)
		for r.NextRow() {
			if fErr = f(r.Values()); fErr != nil {
				cancel() // do not read the rest of a long result
				break
			}
		}
		_, err := r.Close()
		if fErr != nil && !c.pg.IsClosed() {
			return nil
		}
		return err
	})
	if fErr != nil {
		return fErr
	}
	return err
}

func textParams(args []string) [][]byte {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	return params
}

// one returns the single value of a result; NULL is "".
func one(rows Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("read query result: %d rows, want one value", len(rows))
	}
	return string(rows[0][0]), nil
}
