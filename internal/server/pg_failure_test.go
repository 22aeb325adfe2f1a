package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/internal/event"
	"gsprobackup/test/pgtest"
)

func testPostgresRemovedSegment(t *testing.T, s *pgtest.Server) {
	c := mustConnect(t, socketOptions(s))
	for range 4 {
		mustSQL(t, s, "create table t()", "drop table t", "select pg_switch_wal()", "checkpoint")
	}
	r := mustReplicate(t, c)
	stream, err := r.StartReplication(t.Context(), c.Flavor().ReplicationStartCommand("", 0x1000000, 1))
	if err == nil {
		_, err = stream.Receive(t.Context())
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Message != "requested WAL segment 000000010000000000000001 has already been removed" {
		t.Errorf("error %v", err)
	}
	if want := "ERROR:  requested WAL segment 000000010000000000000001 has already been removed\n"; ServerText(err) != want {
		t.Errorf("text %q", ServerText(err))
	}
	r = mustReplicate(t, c)
	if _, err := r.StartReplication(t.Context(), c.Flavor().ReplicationStartCommand("nobody", 0x1000000, 1)); ServerText(err) != "ERROR:  replication slot \"nobody\" does not exist\n" {
		t.Errorf("unknown slot: %v", err)
	}
}

// testPostgresTimelines streams to the end of a time line and fetches the
// history of the next one.
func testPostgresTimelines(t *testing.T, s *pgtest.Server) {
	if err := s.Server.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	signal := filepath.Join(s.DataDir, "standby.signal")
	if err := errors.Join(os.WriteFile(signal, nil, 0o600), s.Own(signal)); err != nil {
		t.Fatal(err)
	}
	if err := s.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	o := socketOptions(s)
	o.Env = env(map[string]string{"PGOPTIONS": "-c default_transaction_isolation=serializable"}) // none on a standby
	c := mustConnect(t, o)
	f := c.Flavor()
	if standby, err := f.IsInRecovery(ctx); err != nil || !standby {
		t.Fatalf("in recovery: %v, %v", standby, err)
	}
	if id, err := f.Identity(ctx); err != nil || id.Timeline != 1 {
		t.Errorf("identity of a standby: %v, %v", id, err)
	}
	start, err := f.StartBackup(ctx, StartOptions{Label: "from standby", Fast: true, InRecovery: true})
	if err != nil {
		t.Fatal(err)
	}
	stop, err := f.StopBackup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if stop.LSN < start || !strings.Contains(string(stop.Label), "BACKUP FROM: standby") {
		t.Errorf("start %v, stop %+v", start, stop)
	}
	mustSQL(t, s, "select pg_promote()")
	if id, err := f.Identity(ctx); err != nil || id.Timeline != 2 {
		t.Errorf("identity after promotion: %v, %v", id, err)
	}
	r := mustReplicate(t, c)
	sys, err := r.IdentifySystem(ctx)
	if err != nil || sys.Timeline != 2 {
		t.Fatalf("system %v, %v", sys, err)
	}
	name, content, err := r.TimelineHistory(ctx, 2)
	if err != nil || name != "00000002.history" || !strings.HasPrefix(string(content), "1\t") {
		t.Errorf("history %q %q, %v", name, content, err)
	}
	stream, err := r.StartReplication(ctx, f.ReplicationStartCommand("", start&^(16<<20-1), 1))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Receive(ctx)
	}
	if next, ok := stream.NextTimeline(); err.Error() != "EOF" || !ok || next.Timeline != 2 || next.Start < start {
		t.Errorf("end of time line: %v, next %+v", err, next)
	}
}

func testPostgresLostServer(t *testing.T, s *pgtest.Server) {
	t.Run("idle backend terminated", func(t *testing.T) {
		c := mustConnect(t, socketOptions(s))
		if _, err := c.Flavor().StartBackup(t.Context(), StartOptions{Label: "x", Fast: true}); err != nil {
			t.Fatal(err)
		}
		mustSQL(t, s, fmt.Sprintf("select pg_terminate_backend(%d)", c.pg.PID()))
		<-c.Done() // the test's own time limit is the failure
		var pg *pgconn.PgError
		if err := c.Err(); !errors.As(err, &pg) || pg.Code != "57P01" {
			t.Errorf("reason %v", err)
		}
		_, err := c.Flavor().StopBackup(t.Context())
		want := "query failed: FATAL:  terminating connection due to administrator command\nquery was: SELECT"
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("stop: %v", err)
		}
		if err := c.Flavor().AbortBackup(t.Context()); err != nil {
			t.Errorf("abort after loss: %v", err)
		}
	})
	t.Run("backend terminated in a statement", func(t *testing.T) {
		c := mustConnect(t, socketOptions(s))
		done := make(chan error, 1)
		go func() { done <- c.Exec(context.Background(), "select pg_sleep(1000)") }()
		waitActive(t, s, c.pg.PID())
		mustSQL(t, s, fmt.Sprintf("select pg_terminate_backend(%d)", c.pg.PID()))
		if err := <-done; sqlState(err) != "57P01" {
			t.Errorf("statement: %v", err)
		}
		<-c.Done()
	})
}

func waitActive(t *testing.T, s *pgtest.Server, pid uint32) {
	t.Helper()
	for {
		rows, err := s.Server.SQL(t.Context(), "postgres",
			fmt.Sprintf("select 1 from pg_stat_activity where pid = %d and wait_event = 'PgSleep'", pid))
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) > 0 {
			return
		}
	}
}

type recorder struct {
	mu     sync.Mutex
	events []event.Event
}

func (r *recorder) Emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func has[E event.Event](r *recorder) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.events, func(e event.Event) bool { _, ok := e.(E); return ok })
}

func testPostgresCancel(t *testing.T, s *pgtest.Server) {
	o := socketOptions(s)
	rec := &recorder{}
	o.Events = rec
	c := mustConnect(t, o)
	interrupted := errors.New("interrupted by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Exec(ctx, "select pg_sleep(1000)") }()
	waitActive(t, s, c.pg.PID())
	cancel(interrupted)
	if err := <-done; !errors.Is(err, interrupted) {
		t.Errorf("statement: %v", err)
	}
	if !has[CancelSent](rec) {
		t.Error("no CancelSent event")
	}
	if v, err := one(c.Query(t.Context(), "select 42")); err != nil || v != "42" {
		t.Errorf("connection after cancel: %q, %v", v, err)
	}
	if err := c.Exec(t.Context(), "do $$ begin raise warning 'careful'; end $$"); err != nil {
		t.Error(err)
	}
	if !has[Notice](rec) {
		t.Error("no Notice event")
	}
	// rows one by one, stopped by the callback
	stop, n := errors.New("enough"), 0
	err := c.Each(t.Context(), "select generate_series(1, 10000000) where $1 = 'a'", []string{"a"}, func(row [][]byte) error {
		if n++; string(row[0]) != strconv.Itoa(n) {
			t.Errorf("row %d is %s", n, row[0])
		}
		if n == 1000 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 1000 {
		t.Errorf("stopped after %d rows: %v", n, err)
	}
	if v, err := one(c.Query(t.Context(), "select 43")); err != nil || v != "43" {
		t.Errorf("connection after a stopped result: %q, %v", v, err)
	}
	wantText(t, c.Exec(t.Context(), "select nothing"), "query failed: ERROR:  column \"nothing\" does not exist\nquery was: select nothing")
}

func testPostgresInterruptedReceive(t *testing.T, s *pgtest.Server) {
	c := mustConnect(t, tcpOptions(s, "postgres"))
	r := mustReplicate(t, c)
	sys, err := r.IdentifySystem(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := r.StartReplication(t.Context(), c.Flavor().ReplicationStartCommand("", sys.XLogPos, sys.Timeline))
	if err != nil {
		t.Fatal(err)
	}
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := stream.Receive(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	mustSQL(t, s, "select pg_switch_wal()", "create table t()")
	for msg := []byte{0}; msg[0] != 'w'; {
		if msg, err = stream.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Server.Stop(pgtest.Immediate); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = stream.Receive(t.Context())
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && sqlState(err) == "" {
		t.Errorf("killed server: %v", err)
	}
	<-c.Done()
	if c.Err() == nil {
		t.Error("no reason")
	}
}
