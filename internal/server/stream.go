package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"gsprobackup/internal/wal"
)

// CopyStream carries the CopyData payloads of a WAL stream in both directions.
// Receive belongs to one goroutine, Send may be called from others.
type CopyStream struct {
	pg   *pgconn.PgConn
	conn net.Conn

	sendMu  sync.Mutex
	sendBuf []byte

	ended error // what Receive returns from now on
	next  *NextTimeline
}

// NextTimeline is where a PostgreSQL server goes on when the streamed time
// line has ended.
type NextTimeline struct {
	Timeline wal.Timeline
	Start    wal.LSN
}

// ServerText is libpq's text for an error of a statement or stream, ended by a
// line feed, as C's receiver prints it.
func ServerText(err error) string { return serverText(err) }

// StartReplication sends a ReplicationStartCommand. Afterwards the connection
// belongs to the stream; only Close of the ReplConn may be called. A refusal is
// an error around *pgconn.PgError. The server may also accept the command and
// fail in the stream, as it does when the WAL is gone.
func (r *ReplConn) StartReplication(ctx context.Context, command string) (*CopyStream, error) {
	r.d.Events.Emit(QuerySent{SQL: command})
	pg := r.link.pg
	pg.Frontend().Send(&pgproto3.Query{String: command})
	if err := pg.Frontend().Flush(); err != nil {
		return nil, fmt.Errorf("start replication: %w", err)
	}
	for {
		msg, err := pg.ReceiveMessage(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("start replication: %w", err)
		}
		switch m := msg.(type) {
		case *pgproto3.CopyBothResponse:
			return &CopyStream{pg: pg, conn: pg.Conn()}, nil
		case *pgproto3.ErrorResponse:
			return nil, fmt.Errorf("start replication: %w", pgconn.ErrorResponseToPgError(m))
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		case *pgproto3.RowDescription, *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
			return nil, errors.New("start replication: nothing to stream, the time line has ended before this position")
		default:
			return nil, fmt.Errorf("start replication: unexpected message %T", msg)
		}
	}
}

// Receive returns the next CopyData payload, valid until the next call. There
// is no limit on its size. It returns
//
//   - io.EOF when the server has ended the stream in order (end of the time
//     line, shutdown), see NextTimeline;
//   - an error around *pgconn.PgError when the server reports one;
//   - an error around io.ErrUnexpectedEOF when the connection was cut;
//   - context.Cause(ctx) when ctx ends first. Nothing is lost then: a later
//     call goes on in the middle of the message.
func (s *CopyStream) Receive(ctx context.Context) ([]byte, error) {
	if s.ended != nil {
		return nil, s.ended
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	release := interrupt(ctx, s.conn.SetReadDeadline)
	defer release()
	for {
		msg, err := s.pg.Frontend().Receive()
		if err != nil {
			if ctx.Err() != nil && isTimeout(err) {
				return nil, context.Cause(ctx)
			}
			return nil, s.end(fmt.Errorf("receive WAL: %w", err))
		}
		switch m := msg.(type) {
		case *pgproto3.CopyData:
			return m.Data, nil
		case *pgproto3.CopyDone:
			return nil, s.finish(ctx)
		case *pgproto3.CommandComplete:
			// openGauss' fast shutdown: no CopyDone (spec/server.md §4.4)
			return nil, s.end(io.EOF)
		case *pgproto3.ErrorResponse:
			return nil, s.end(fmt.Errorf("receive WAL: %w", pgconn.ErrorResponseToPgError(m)))
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		default:
			return nil, s.end(fmt.Errorf("receive WAL: unexpected message %T", msg))
		}
	}
}

func (s *CopyStream) end(err error) error {
	s.ended = err
	return err
}

// finish answers CopyDone and reads what follows: at the end of a time line a
// row that names the next one.
func (s *CopyStream) finish(ctx context.Context) error {
	// Not Frontend.Send: Send of this type may be running.
	if err := s.write(ctx, 'c', nil); err != nil {
		return s.end(io.EOF) // the server is gone already; the stream is complete
	}
	for {
		msg, err := s.pg.Frontend().Receive()
		if err != nil {
			if ctx.Err() != nil {
				return s.end(context.Cause(ctx))
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return s.end(io.EOF) // shutdown: it did not wait for our answer
			}
			return s.end(fmt.Errorf("receive WAL: %w", err))
		}
		switch m := msg.(type) {
		case *pgproto3.DataRow:
			if len(m.Values) == 2 {
				if s.next, err = parseNext(m.Values); err != nil {
					return s.end(err)
				}
			}
		case *pgproto3.ErrorResponse:
			return s.end(fmt.Errorf("receive WAL: %w", pgconn.ErrorResponseToPgError(m)))
		case *pgproto3.ReadyForQuery:
			return s.end(io.EOF)
		}
	}
}

func parseNext(row [][]byte) (*NextTimeline, error) {
	var n NextTimeline
	if _, err := fmt.Sscan(string(row[0]), &n.Timeline); err != nil {
		return nil, fmt.Errorf("read next time line: %w", err)
	}
	var err error
	if n.Start, err = wal.ParseLSN(string(row[1])); err != nil {
		return nil, fmt.Errorf("read next time line: %w", err)
	}
	return &n, nil
}

// NextTimeline is known after io.EOF at the end of a PostgreSQL time line.
func (s *CopyStream) NextTimeline() (NextTimeline, bool) {
	if s.next == nil {
		return NextTimeline{}, false
	}
	return *s.next, true
}

// Send writes one CopyData message. When ctx ends while the server does not
// read, part of the message may have gone and the stream is of no more use.
func (s *CopyStream) Send(ctx context.Context, payload []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.write(ctx, 'd', payload); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("send to WAL stream: %w", err)
	}
	return nil
}

func (s *CopyStream) write(ctx context.Context, kind byte, payload []byte) error {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	release := interrupt(ctx, s.conn.SetWriteDeadline)
	defer release()
	b := append(s.sendBuf[:0], kind)
	b = binary.BigEndian.AppendUint32(b, uint32(4+len(payload)))
	b = append(b, payload...)
	s.sendBuf = b
	_, err := s.conn.Write(b)
	return err
}

// interrupt makes reads or writes time out, by setDeadline, when ctx ends.
// release undoes that and must be called before the next read or write.
func interrupt(ctx context.Context, setDeadline func(time.Time) error) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		// Setting a deadline fails only on a closed connection, whose reads
		// and writes fail anyway.
		_ = setDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-ran
			_ = setDeadline(time.Time{})
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
