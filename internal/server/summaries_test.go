package server

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/wal"
	"gsprobackup/test/pgtest"
)

// The changes of a real PostgreSQL 17 are those that were made.
func TestSummarizer(t *testing.T) {
	s := startPG(t, pgtest.Config{Major: 17, Settings: map[string]string{"summarize_wal": "on"}})
	ctx := t.Context()
	c := mustConnect(t, socketOptions(s))
	src, ok := Summarizer(c.Flavor())
	if !ok {
		t.Fatal("PostgreSQL 17 has no summarizer")
	}
	if on, err := src.SummarizesWAL(ctx); err != nil || !on {
		t.Fatalf("summarizes %v, %v", on, err)
	}
	mustSQL(t, s, "CREATE TABLE kept (id int) WITH (fillfactor = 10)", "INSERT INTO kept SELECT generate_series(1, 1000)",
		"CREATE TABLE cut (id int)", "INSERT INTO cut SELECT generate_series(1, 10000)", "CREATE DATABASE other")
	from := startLSN(t, c)
	mustSQL(t, s, "UPDATE kept SET id = -1 WHERE ctid = '(3,1)'", "DELETE FROM cut WHERE id > 500", "VACUUM cut",
		"CREATE DATABASE copied STRATEGY file_copy")
	to := startLSN(t, c)

	layout := pgdata.NewLayout(pgdata.PostgreSQL, 17)
	q := ptrack.Query{Range: ptrack.Range{Timeline: 1, Start: from, End: to}, Wait: ptrack.Wait{Timeout: 60e9}}
	changes, err := ptrack.FromSummaries(ctx, src, q, layout.RelationPath)
	if err != nil {
		t.Fatal(err)
	}
	path := func(table string) string {
		rows, err := s.Server.SQL(ctx, "postgres", "SELECT pg_relation_filepath('"+table+"')")
		if err != nil {
			t.Fatal(err)
		}
		return rows[0][0]
	}
	kept := changes.Map(ptrack.File{Relation: path("kept"), Blocks: 40, Known: 40})
	if kept == nil || !kept.Has(3) || kept.Has(0) || kept.Count() > 2 {
		t.Errorf("updated table: %d blocks", kept.Count())
	}
	cut := changes.Map(ptrack.File{Relation: path("cut"), Blocks: 40, Known: 40})
	if cut == nil || !cut.Has(39) || !cut.Has(20) {
		t.Errorf("truncated table: %d blocks", cut.Count())
	}
	oids := map[string]string{}
	rows, err := s.Server.SQL(ctx, "postgres", "SELECT datname, oid FROM pg_database")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		oids[r[0]] = r[1]
	}
	if m := changes.Map(ptrack.File{Relation: "base/" + oids["copied"] + "/1259", Blocks: 10, Known: 10}); m != nil {
		t.Errorf("copied database: %d blocks, want all", m.Count())
	}
	if m := changes.Map(ptrack.File{Relation: "base/" + oids["other"] + "/1259", Blocks: 10, Known: 10}); m == nil || m.Count() != 0 {
		t.Errorf("untouched database: %d blocks", m.Count())
	}

	q.Start = 16
	if _, err := ptrack.FromSummaries(ctx, src, q, layout.RelationPath); err == nil || !strings.Contains(err.Error(), "WAL summaries are missing between 0/10") {
		t.Errorf("range before the first summary: %v", err)
	}
}

// startLSN is the start position of a backup that is given up at once.
func startLSN(t *testing.T, c *Conn) (lsn wal.LSN) {
	t.Helper()
	ctx, f := context.Background(), c.Flavor()
	lsn, err := f.StartBackup(ctx, StartOptions{Label: t.Name(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AbortBackup(ctx); err != nil {
		t.Fatal(err)
	}
	return lsn
}

func TestOldServersDoNotSummarize(t *testing.T) {
	for _, f := range []Flavor{&postgres{major: 16}, &openGauss{}} {
		if _, ok := Summarizer(f); ok {
			t.Errorf("%s %s has a summarizer", f.Family(), strconv.Itoa(f.Major()))
		}
	}
}
