// Package pgtest gives tests real PostgreSQL servers.
//
// It is the thin layer over package pgserver that fails the test instead of
// returning errors and cleans up whatever happens. A missing server is a
// failure, never a skip: a test that did not run has shown nothing.
package pgtest

import (
	"context"
	"os"
	"sync"
	"testing"

	"gsprobackup/test/pgserver"
)

// Names of pgserver that tests need.
type (
	Config     = pgserver.Config
	LoadTables = pgserver.LoadTables
	Journal    = pgserver.Journal
	Position   = pgserver.Position
	StopMode   = pgserver.StopMode
)

// Stop modes.
const (
	Fast      = pgserver.Fast
	Smart     = pgserver.Smart
	Immediate = pgserver.Immediate
	Kill      = pgserver.Kill
)

// Server is a test's server. The embedded methods return errors; those
// redefined here fail the test.
type Server struct {
	*pgserver.Server
	t testing.TB
}

// Majors lists the installed major versions, oldest first. At least one ≤ 13,
// one of 14–16 and one ≥ 17 must be there, as `make servers` provides.
func Majors(t testing.TB) []int {
	t.Helper()
	list, err := pgserver.Find()
	if err != nil {
		t.Fatal(err)
	}
	var majors []int
	var old, middle, recent bool
	for _, in := range list {
		majors = append(majors, in.Major)
		old = old || in.Major <= 13
		middle = middle || in.Major >= 14 && in.Major <= 16
		recent = recent || in.Major >= 17
	}
	if !old || !middle || !recent {
		t.Fatalf("PostgreSQL %v found, need one ≤ 13, one of 14–16 and one ≥ 17: %v", majors, pgserver.ErrNoServer)
	}
	return majors
}

// User is the account that server and tool run as.
func User(t testing.TB) pgserver.Account {
	t.Helper()
	acc, err := pgserver.RunAs()
	if err != nil {
		t.Fatal(err)
	}
	return acc
}

// TempDir is t.TempDir for files that server or tool must reach: owned by User,
// short path.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := User(t).TempDir("pgt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Start makes and starts a new cluster that lives until the test ends.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := pgserver.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return adopt(t, s)
}

// StartDir starts a server on an existing (restored) data directory, which
// stays after the test. It waits until connections are accepted, not until
// recovery has ended; see WaitPrimary.
func StartDir(t testing.TB, major int, dir string, extra ...string) *Server {
	t.Helper()
	s, err := pgserver.StartDir(context.Background(), major, dir, extra...)
	if err != nil {
		t.Fatal(err)
	}
	return adopt(t, s)
}

func adopt(t testing.TB, s *pgserver.Server) *Server {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("server log of %s:\n%s", s.DataDir, s.LogTail(4000))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Server{Server: s, t: t}
}

// SQL runs a statement in database postgres and gives its rows as text.
func (s *Server) SQL(ctx context.Context, sql string, args ...string) [][]string {
	s.t.Helper()
	return s.SQLIn(ctx, "postgres", sql, args...)
}

// SQLIn is SQL in another database.
func (s *Server) SQLIn(ctx context.Context, database, sql string, args ...string) [][]string {
	s.t.Helper()
	rows, err := s.Server.SQL(ctx, database, sql, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// Stop ends the server.
func (s *Server) Stop(mode StopMode) {
	s.t.Helper()
	if err := s.Server.Stop(mode); err != nil {
		s.t.Fatal(err)
	}
}

// Restart launches the stopped server again, on a new port.
func (s *Server) Restart(ctx context.Context, extra ...string) {
	s.t.Helper()
	if err := s.Launch(ctx, extra...); err != nil {
		s.t.Fatal(err)
	}
}

// WaitPrimary waits for the end of recovery.
func (s *Server) WaitPrimary(ctx context.Context) {
	s.t.Helper()
	if err := s.Server.WaitPrimary(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// Checksums hashes every permanent user table of every database.
func (s *Server) Checksums(ctx context.Context) map[string]string {
	s.t.Helper()
	sums, err := s.Server.Checksums(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return sums
}

// PgBin is the path of one of the server's programs.
func (s *Server) PgBin(name string) string {
	s.t.Helper()
	p, err := s.Program(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// Load is a running write load; it is stopped with the test at the latest.
type Load struct {
	*pgserver.Load
	s    *Server
	once sync.Once
}

// CreateLoadTables makes pgbench-like tables for Load.
func (s *Server) CreateLoadTables(ctx context.Context, lt LoadTables) LoadTables {
	s.t.Helper()
	lt, err := s.Server.CreateLoadTables(ctx, lt)
	if err != nil {
		s.t.Fatal(err)
	}
	return lt
}

// Load starts the write load on tables of CreateLoadTables.
func (s *Server) Load(ctx context.Context, lt LoadTables, clients int) *Load {
	s.t.Helper()
	l, err := s.StartLoad(ctx, lt, clients)
	if err != nil {
		s.t.Fatal(err)
	}
	load := &Load{Load: l, s: s}
	s.t.Cleanup(func() { load.Stop() })
	return load
}

// Stop ends the load and gives the number of committed transactions.
func (l *Load) Stop() int64 {
	l.once.Do(func() {
		if _, err := l.Load.Stop(); err != nil && l.s.Running() {
			l.s.t.Error(err)
		}
	})
	return l.Count()
}

// Journal stops the load and reads what it did.
func (l *Load) Journal(ctx context.Context) *Journal {
	l.s.t.Helper()
	l.Stop()
	j, err := l.s.ReadJournal(ctx, l.Load)
	if err != nil {
		l.s.t.Fatal(err)
	}
	return j
}

// CheckRestored fails the test unless the load tables of the restored server
// are exactly what the journal says for its position, and that position is the
// stop point of the backup.
func CheckRestored(t testing.TB, ctx context.Context, restored *Server, j *Journal, stopLSN uint64) Position {
	t.Helper()
	pos, err := restored.PositionOf(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.CheckPosition(pos, stopLSN); err != nil {
		t.Errorf("stop LSN %X/%X: %v", stopLSN>>32, uint32(stopLSN), err)
	}
	want, err := j.ChecksumsAt(pos)
	if err != nil {
		t.Fatal(err)
	}
	got := restored.Checksums(ctx)
	for table, sum := range want {
		if got[table] != sum {
			t.Errorf("checksum of %s: %s, want %s", table, got[table], sum)
		}
	}
	return pos
}
