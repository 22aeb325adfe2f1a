package pgserver_test

import (
	"context"
	"maps"
	"os/exec"
	"path/filepath"
	"testing"

	"gsprobackup/test/pgserver"
)

// The journal must predict exactly what SQL checksums say, for the final state
// and for an earlier position, in each installed major version.
func TestJournalPredictsChecksums(t *testing.T) {
	list, err := pgserver.Find()
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range list {
		t.Run(in.Version, func(t *testing.T) { testJournal(t, in.Major) })
	}
}

func testJournal(t *testing.T, major int) {
	ctx := context.Background()
	s, err := pgserver.Start(ctx, pgserver.Config{Major: major, DataChecksums: true, Tablespaces: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lt, err := s.CreateLoadTables(ctx, pgserver.LoadTables{Branches: 2, AccountsPerBranch: 500, Tablespace: "ts1"})
	if err != nil {
		t.Fatal(err)
	}
	load, err := s.StartLoad(ctx, lt, 2)
	if err != nil {
		t.Fatal(err)
	}
	load.WaitCount(25)
	if _, err := s.SQL(ctx, "postgres", "SELECT pg_switch_wal()"); err != nil { // so that some commits are a segment later
		t.Fatal(err)
	}
	load.WaitCount(load.Count() + 25)
	commits, err := load.Stop()
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.ReadJournal(ctx, load)
	if err != nil {
		t.Fatal(err)
	}
	pos, err := s.PositionOf(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Checksums(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want, err := j.ChecksumsAt(pos)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("checksums\n got %v\nwant %v", got, want)
	}
	last := commits[0][len(commits[0])-1]
	if err := j.CheckPosition(pos, max(last.LSN, commits[1][len(commits[1])-1].LSN)); err != nil {
		t.Error(err)
	}
	if err := j.CheckPosition(pos, commits[0][0].LSN); err == nil {
		t.Error("transactions after the stop point were accepted")
	}
	pos[0]--
	if err := j.CheckPosition(pos, last.LSN); err == nil {
		t.Error("a lost transaction was accepted")
	}
	earlier, err := j.ChecksumsAt(pos)
	if err != nil {
		t.Fatal(err)
	}
	if earlier["postgres.public.accounts"] == got["postgres.public.accounts"] {
		t.Error("one transaction less has the same checksum")
	}
}

// A copy of a stopped cluster starts, has the same data, and survives Close.
func TestStartDirKeepsTheDirectory(t *testing.T) {
	ctx := context.Background()
	s, err := pgserver.Start(ctx, pgserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.SQL(ctx, "postgres", `CREATE DATABASE "it's"`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SQL(ctx, "it's", "CREATE TABLE t AS SELECT generate_series(1, 10) i"); err != nil {
		t.Fatal(err)
	}
	want, err := s.Checksums(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(pgserver.Fast); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(s.Root, "copy")
	if out, err := s.AsUser(exec.Command("cp", "-a", s.DataDir, copied)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := pgserver.StartDir(ctx, s.Major, copied)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WaitPrimary(ctx); err != nil {
		t.Error(err)
	}
	got, err := c.Checksums(ctx)
	if err != nil || !maps.Equal(got, want) || got["it's.public.t"] == "" {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	again, err := pgserver.StartDir(ctx, s.Major, copied)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
