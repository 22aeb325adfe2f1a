package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"gsprobackup/internal/wal"
)

// fakeStream starts a stream against a server that plays f after
// CopyBothResponse.
func fakeStream(t *testing.T, f func(c *fakeConn)) *CopyStream {
	t.Helper()
	g := newFake(t)
	g.stream = func(c *fakeConn) {
		c.send(&pgproto3.CopyBothResponse{})
		f(c)
	}
	r := mustReplicate(t, mustConnect(t, g.options()))
	s, err := r.StartReplication(t.Context(), "START_REPLICATION 0/0")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStreamEnds tells the ways a stream can end apart: only an orderly end is
// io.EOF.
func TestStreamEnds(t *testing.T) {
	data := &pgproto3.CopyData{Data: []byte("wal")}
	gone := &pgproto3.ErrorResponse{Severity: "FATAL", Code: "58P01", Message: "requested WAL segment 1 has already been removed"}
	expectCopyDone := func(c *fakeConn) {
		if kind, _, err := c.message(); err != nil || kind != 'c' {
			t.Errorf("got %q, %v; want CopyDone", kind, err)
		}
	}
	row := &pgproto3.DataRow{Values: [][]byte{[]byte("2"), []byte("0/5000000")}}
	cases := []struct {
		name  string
		play  func(c *fakeConn)
		state string // SQLSTATE
		want  error
		next  *NextTimeline
	}{
		{"cut", func(c *fakeConn) { c.send(data) }, "", io.ErrUnexpectedEOF, nil},
		{"cut in a message", func(c *fakeConn) { c.send(data); _, _ = c.Write([]byte("d\x00\x00\x00\x10abc")) }, "", io.ErrUnexpectedEOF, nil},
		{"openGauss fast shutdown", func(c *fakeConn) { c.send(data, &pgproto3.CommandComplete{CommandTag: []byte("COPY 0")}) }, "", io.EOF, nil},
		{"PostgreSQL shutdown", func(c *fakeConn) { c.send(data, &pgproto3.CopyDone{}); expectCopyDone(c) }, "", io.EOF, nil},
		{"error", func(c *fakeConn) { c.send(data, gone) }, "58P01", nil, nil},
		{"end of time line", func(c *fakeConn) {
			c.send(data, &pgproto3.CopyDone{})
			expectCopyDone(c)
			c.send(row, &pgproto3.CommandComplete{CommandTag: []byte("START_STREAMING")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		}, "", io.EOF, &NextTimeline{2, 0x5000000}},
		{"strange message", func(c *fakeConn) { c.send(data, &pgproto3.BindComplete{}) }, "", nil, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := fakeStream(t, tc.play)
			if msg, err := s.Receive(t.Context()); err != nil || string(msg) != "wal" {
				t.Fatalf("first message %q, %v", msg, err)
			}
			_, err := s.Receive(t.Context())
			switch {
			case err == nil:
				t.Fatal("no end")
			case tc.want != nil && !errors.Is(err, tc.want), sqlState(err) != tc.state:
				t.Errorf("end %v, want %v %s", err, tc.want, tc.state)
			case tc.want == nil && errors.Is(err, io.EOF):
				t.Errorf("end %v looks orderly", err)
			}
			if _, again := s.Receive(t.Context()); again != err {
				t.Errorf("after the end %v, first %v", again, err)
			}
			next, ok := s.NextTimeline()
			if ok != (tc.next != nil) || ok && next != *tc.next {
				t.Errorf("next time line %v %v, want %v", next, ok, tc.next)
			}
		})
	}
}

// TestStreamLargeMessage: openGauss sends more than 8 MB in one message, and a
// Receive that is interrupted in its middle loses nothing.
func TestStreamLargeMessage(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20+1)
	half := make(chan struct{})
	s := fakeStream(t, func(c *fakeConn) {
		msg, err := (&pgproto3.CopyData{Data: large}).Encode(nil)
		if err != nil {
			t.Error(err)
		}
		_, _ = c.Write(msg[:len(msg)/2])
		<-half
		_, _ = c.Write(msg[len(msg)/2:])
		_, _, _ = c.message() // until the client is gone
	})
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := s.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("half a message: %v", err)
		}
		cancel()
	}
	close(half)
	got, err := s.Receive(t.Context())
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(large))
	}
}

func TestTimelineHistoryName(t *testing.T) {
	t.Parallel()
	g := newFake(t)
	g.query = func(string, []string) ([][]string, *pgproto3.ErrorResponse) {
		return [][]string{{"../../evil.history", "x"}}, nil
	}
	r := mustReplicate(t, mustConnect(t, g.options()))
	if _, _, err := r.TimelineHistory(t.Context(), wal.Timeline(2)); err == nil || !strings.Contains(err.Error(), "strange file name") {
		t.Errorf("error %v", err)
	}
}

// TestStreamSendInterrupted: a server that does not read cannot hold Send for
// ever.
func TestStreamSendInterrupted(t *testing.T) {
	t.Parallel()
	free := make(chan struct{})
	defer close(free)
	s := fakeStream(t, func(*fakeConn) { <-free })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	payload := make([]byte, 1<<20)
	var err error
	for err == nil {
		err = s.Send(ctx, payload)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
