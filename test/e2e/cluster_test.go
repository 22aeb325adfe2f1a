package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/test/pgtest"
)

// oddDatabase has a name that every quoting rule must survive.
const oddDatabase = `odd "x", ü'y\z`

// startRich starts a cluster with one of everything a backup must handle: two
// tablespaces, several databases, one of them in a tablespace of its own,
// toasted rows, all index kinds, a sequence, an unlogged table, a prepared
// transaction, large objects, a dropped database. Tables that do not change
// any more are in database app and oddDatabase.
func startRich(t testing.TB, cfg pgtest.Config) *pgtest.Server {
	t.Helper()
	ctx := context.Background()
	cfg.Tablespaces = 2
	if cfg.Settings == nil {
		cfg.Settings = map[string]string{}
	}
	cfg.Settings["max_prepared_transactions"] = "5"
	s := pgtest.Start(t, cfg)
	quoted := strings.ReplaceAll(oddDatabase, `"`, `""`)
	for _, sql := range []string{
		"CREATE DATABASE app",
		fmt.Sprintf(`CREATE DATABASE "%s" TABLESPACE ts2`, quoted),
		"CREATE DATABASE gone", "DROP DATABASE gone",
	} {
		s.SQL(ctx, sql)
	}
	s.SQLIn(ctx, oddDatabase, `
CREATE TABLE "odd 'table'" (id int PRIMARY KEY, v text);
INSERT INTO "odd 'table'" SELECT i, md5(i::text) FROM generate_series(1, 5000) i`)
	s.SQLIn(ctx, "app", `
CREATE TABLE plain (id int PRIMARY KEY, v text, tags int[], place point);
INSERT INTO plain SELECT i, md5(i::text), ARRAY[i % 7, i % 11], point(i % 100, i / 100) FROM generate_series(1, 20000) i;
CREATE INDEX ON plain USING hash (v);
CREATE INDEX ON plain USING gin (tags);
CREATE INDEX ON plain USING gist (place);
CREATE INDEX ON plain USING brin (id);
CREATE INDEX ON plain USING spgist (v);
CREATE INDEX ON plain ((v || 'x')) WHERE id % 3 = 0;
CREATE TABLE spaced (id int PRIMARY KEY USING INDEX TABLESPACE ts2, v text) TABLESPACE ts1;
INSERT INTO spaced SELECT i, md5((i * 3)::text) FROM generate_series(1, 10000) i;
CREATE TABLE toasted (id int PRIMARY KEY, doc text);
ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT i, (SELECT string_agg(md5((i * 1000 + j)::text), '') FROM generate_series(1, 600) j) FROM generate_series(1, 150) i;
CREATE UNLOGGED TABLE volatile (id int PRIMARY KEY, v text);
INSERT INTO volatile SELECT i, 'x' FROM generate_series(1, 1000) i;
CREATE SEQUENCE counter;
SELECT nextval('counter') FROM generate_series(1, 7);
CREATE MATERIALIZED VIEW summary AS SELECT id % 10 AS d, count(*) AS n FROM plain GROUP BY 1;
SELECT lo_from_bytea(0, decode(repeat('5a', 50000), 'hex'));
CREATE TABLE empty (id int);
CREATE TABLE twophase (id int);
DELETE FROM plain WHERE id % 5 = 0`)
	s.SQLIn(ctx, "app", "VACUUM")
	s.SQLIn(ctx, "app", "BEGIN; INSERT INTO twophase VALUES (1), (2); PREPARE TRANSACTION 'pending'")
	return s
}

// loadTables are the tables of database postgres that the load changes.
var loadTables = []string{"postgres.public.accounts", "postgres.public.tellers", "postgres.public.branches", "postgres.public.history"}

// checkStatic compares all tables that the load does not touch.
func checkStatic(t testing.TB, source, restored map[string]string) {
	t.Helper()
	for table, sum := range source {
		if !slices.Contains(loadTables, table) && restored[table] != sum {
			t.Errorf("checksum of %s: %s, source has %s", table, restored[table], sum)
		}
	}
	for table := range restored {
		if _, ok := source[table]; !ok {
			t.Errorf("table %s is not in the source", table)
		}
	}
}

// checkRich checks what checksums of tables do not show in a restored cluster
// of startRich.
func checkRich(t testing.TB, s *pgtest.Server) {
	t.Helper()
	ctx := context.Background()
	s.SQLIn(ctx, "app", "COMMIT PREPARED 'pending'")
	for _, q := range []struct{ sql, want string }{
		{"SELECT last_value FROM counter", "7"},
		{"SELECT count(*) FROM volatile", "0"}, // unlogged: emptied
		{"INSERT INTO volatile VALUES (1, 'y') RETURNING id", "1"},
		{"SELECT count(*) FROM twophase", "2"},
		{"SELECT count(*), min(length(lo_get(oid))) FROM pg_largeobject_metadata", "1 50000"},
	} {
		rows := s.SQLIn(ctx, "app", q.sql)
		if len(rows) != 1 || strings.Join(rows[0], " ") != q.want {
			t.Errorf("%s: %v, want %s", q.sql, rows, q.want)
		}
	}
	// What each index kind finds is what a scan of the table finds.
	for _, condition := range []string{
		"v = md5('7')", "tags @> ARRAY[3]", "place <@ box '((0,0),(9,9))'", "id BETWEEN 5000 AND 6000",
		"v LIKE 'ab%'", "v || 'x' = md5('9') || 'x' AND id % 3 = 0",
	} {
		count := func(settings string) string {
			return s.SQLIn(ctx, "app", settings+"; SELECT count(*) FROM plain WHERE "+condition)[0][0]
		}
		index := count("SET enable_seqscan = off")
		table := count("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
		if index != table || index == "0" {
			t.Errorf("WHERE %s: %s rows by index, %s in the table", condition, index, table)
		}
	}
	for _, db := range s.SQL(ctx, "SELECT datname FROM pg_database WHERE datname = 'gone'") {
		t.Errorf("database %s is back", db)
	}
}

// checkIndexes runs amcheck over every database: B-tree indexes against their
// tables, from 14 on also the tables themselves.
func checkIndexes(t testing.TB, s *pgtest.Server) {
	t.Helper()
	ctx := context.Background()
	for _, db := range s.SQL(ctx, "SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2") {
		s.SQLIn(ctx, db[0], "CREATE EXTENSION IF NOT EXISTS amcheck")
		rows := s.SQLIn(ctx, db[0], `
SELECT count(bt_index_check(c.oid, true)::text) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
 WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p'`)
		if len(rows) != 1 {
			t.Errorf("amcheck of %s: %v", db[0], rows)
		}
		if s.Major < 14 {
			continue
		}
		for _, bad := range s.SQLIn(ctx, db[0], `
SELECT c.oid::regclass, h.* FROM pg_class c CROSS JOIN LATERAL verify_heapam(c.oid::regclass, check_toast := true) h
 WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p'`) {
			t.Errorf("amcheck of %s: %v", db[0], bad)
		}
	}
	if name, err := s.Program("pg_amcheck"); err == nil {
		cmd := s.AsUser(exec.Command(name, "-h", s.SocketDir, "-p", fmt.Sprint(s.Port), "-U", "postgres", "--all", "--heapallindexed"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("pg_amcheck: %v\n%s", err, out)
		}
	}
}

// checkPageChecksums runs pg_checksums, where there is one, on a cluster that
// was shut down.
func checkPageChecksums(t testing.TB, s *pgtest.Server) {
	t.Helper()
	name, err := s.Program("pg_checksums")
	if err != nil {
		return
	}
	out, err := s.AsUser(exec.Command(name, "--check", "-D", s.DataDir)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Bad checksums:  0") {
		t.Errorf("pg_checksums: %v\n%s", err, out)
	}
}

// checkModes compares the modes of a restored tree with the source's, where a
// file is in both.
func checkModes(t testing.TB, source, restored string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(restored, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(restored, path)
		if err != nil {
			return err
		}
		want, err := os.Lstat(filepath.Join(source, rel))
		if os.IsNotExist(err) {
			return nil // removed since, or the tool's own
		}
		if err != nil {
			return err
		}
		got, err := os.Lstat(path)
		if err != nil {
			return err
		}
		seen++
		if got.Mode() != want.Mode() {
			t.Errorf("%s: mode %v, source has %v", rel, got.Mode(), want.Mode())
		}
		return nil
	})
	if err != nil || seen < 100 {
		t.Errorf("compare modes of %d files: %v", seen, err)
	}
}
