package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/test/pgserver"
	"gsprobackup/test/pgtest"
)

// An incremental restore ends where a restore from nothing does, byte for
// byte: over a cluster that went on after a restore and was stopped or
// crashed, over a copy of the running source, over what a killed restore left.
func TestIncrementalRestore(t *testing.T) {
	majors := pgtest.Majors(t)
	// Without checksums hint bits change pages and not their LSN.
	t.Run("15", func(t *testing.T) { testIncrementalRestore(t, pgtest.Config{Major: 15}) })
	t.Run("newest", func(t *testing.T) {
		testIncrementalRestore(t, pgtest.Config{Major: majors[len(majors)-1], DataChecksums: true})
	})
}

// place is a directory that is restored to again and again.
type place struct {
	c        *catalog
	data     string
	args     []string // mappings
	dir, ext string
}

func (c *catalog) newPlace(external string) *place {
	dir := pgtest.TempDir(c.t)
	p := &place{c: c, dir: dir, data: filepath.Join(dir, "data"), ext: filepath.Join(dir, "external")}
	p.args = append(c.remap(dir), "-j", "2")
	if external != "" {
		p.args = append(p.args, "--external-mapping", external+"="+p.ext)
	}
	return p
}

func (p *place) restore(id string, extra ...string) result {
	return p.c.restore(id, p.data, append(extra, p.args...)...)
}

// sameAs compares all trees of two places.
func (p *place) sameAs(want *place) {
	p.c.t.Helper()
	compareTrees(p.c.t, want.data, p.data)
	compareTrees(p.c.t, want.ext, p.ext)
	for _, ts := range p.c.server.Tablespaces {
		compareTrees(p.c.t, filepath.Join(want.dir, ts.Name), filepath.Join(p.dir, ts.Name))
	}
}

// run starts a server on the place, changes many things and stops it.
func (p *place) run(t testing.TB, major int, mode pgtest.StopMode) {
	t.Helper()
	ctx := context.Background()
	s := pgtest.StartDir(t, major, p.data)
	s.WaitPrimary(ctx)
	for _, sql := range []string{
		"UPDATE accounts SET abalance = abalance + 1 WHERE aid % 97 = 3",
		"DELETE FROM accounts WHERE aid % 1009 = 5",
		"CREATE TABLE new AS SELECT i, repeat('x', 100) AS v FROM generate_series(1, 5000) i",
		"CREATE TABLE spacednew TABLESPACE ts1 AS SELECT * FROM new",
		"TRUNCATE tellers", "DROP TABLE history", "VACUUM accounts",
		"CREATE DATABASE another", "ALTER SYSTEM SET work_mem = '5MB'", "CHECKPOINT",
		"UPDATE accounts SET abalance = abalance + 1 WHERE aid % 89 = 1",
	} {
		s.SQL(ctx, sql)
	}
	s.SQLIn(ctx, "app", "SELECT count(*) FROM plain WHERE v LIKE 'a%'") // hint bits
	s.SQLIn(ctx, "app", "DROP TABLE spaced")
	s.SQLIn(ctx, "app", "DELETE FROM toasted WHERE id > 50")
	s.SQLIn(ctx, "app", "VACUUM toasted") // cuts the file
	s.Stop(mode)
	for _, junk := range []string{filepath.Join(p.data, "junk"), filepath.Join(p.data, "base/1/junk"), filepath.Join(p.ext, "deep/junk")} {
		if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func testIncrementalRestore(t *testing.T, cfg pgtest.Config) {
	t.Parallel()
	ctx := context.Background()
	src := startRich(t, cfg)
	external := makeExternal(t)
	c := newCatalog(t, src)
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 10, Tablespace: "ts1"})
	load := src.Load(ctx, lt, 2)
	full := c.backup("-E", external)
	load.WaitCount(load.Count() + 200)
	first, _ := c.increment("delta", "-E", external, "--compress-algorithm", "zlib")
	load.WaitCount(load.Count() + 200)
	second, _ := c.increment("delta", "-E", external, "--compress-algorithm", "lz4")
	journal := load.Journal(ctx)

	want := map[string]*place{}
	for _, b := range []backupInfo{first, second} {
		p := c.newPlace(external)
		p.restore(b.ID)
		want[b.ID] = p
	}
	p := c.newPlace(external)
	p.restore(full.ID)

	p.run(t, src.Major, pgtest.Fast)
	p.restore(first.ID, "-I", "lsn")
	p.sameAs(want[first.ID])

	p.run(t, src.Major, pgtest.Kill)
	p.restore(second.ID, "-I", "checksum")
	p.sameAs(want[second.ID])

	p.run(t, src.Major, pgtest.Immediate)
	p.killedRestore(second.ID, "Extracting the content", "-I", "lsn")
	p.restore(second.ID, "-I", "lsn")
	p.sameAs(want[second.ID])
	res := p.restore(second.ID, "-I", "checksum")
	p.sameAs(want[second.ID])
	if n := ratio(t, res); n > 1 {
		t.Errorf("nothing had changed: %d %% were written\n%v", n, res)
	}

	copied := c.newPlace(external)
	if out, err := src.AsUser(exec.Command("cp", "-a", src.DataDir, copied.data)).CombinedOutput(); err != nil {
		// Files come and go meanwhile.
		t.Logf("cp: %v\n%.500s", err, out)
	}
	for _, ts := range src.Tablespaces {
		if err := os.Remove(filepath.Join(copied.data, "pg_tblspc", fmt.Sprint(ts.OID))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(copied.data, "postmaster.pid")); err != nil {
		t.Fatal(err)
	}
	copied.restore(second.ID, "-I", "checksum")
	copied.sameAs(want[second.ID])

	restored := pgtest.StartDir(t, src.Major, p.data)
	restored.WaitPrimary(ctx)
	pgtest.CheckRestored(t, ctx, restored, journal, lsn(t, second.StopLSN))
	checkRich(t, restored)
	checkIndexes(t, restored)
}

// killAt ends the process as soon as it says something.
type killAt struct {
	text string
	kill func()
	said strings.Builder
}

func (k *killAt) Write(b []byte) (int, error) {
	k.said.Write(b)
	if strings.Contains(k.said.String(), k.text) {
		k.kill()
	}
	return len(b), nil
}

// killedRestore kills a restore as soon as it says text, and tells whether
// that was in time. A killed one leaves no pg_control, which comes last: with
// it the restore was complete, maybe not yet at its end.
func (p *place) killedRestore(id, text string, extra ...string) (killed bool) {
	t := p.c.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	args := append([]string{"-i", id, "-D", p.data}, append(extra, p.args...)...)
	cmd := tool(ctx, p.c.on("restore", args...)...)
	cmd.Stderr = &killAt{text: text, kill: func() { _ = cmd.Process.Kill() }}
	res := finish(t, ctx, cmd, nil)
	_, err := os.Stat(filepath.Join(p.data, "global/pg_control"))
	if err != nil && res.code == 0 {
		t.Errorf("pg_control after a restore: %v\n%v", err, res)
	}
	return err != nil
}

// A restore that was killed leaves what no server starts on; the same command
// goes on with it, however often, and what it completes is right.
func TestKilledRestore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 10, Tablespace: "ts1"})
	load := src.Load(ctx, lt, 2)
	b := c.backup()
	journal := load.Journal(ctx)

	p := c.newPlace("")
	for _, round := range []struct{ extra, texts []string }{
		{nil, []string{"Restore directories", "Start restoring", "Finish restore file", "Start Syncing"}},
		{[]string{"-I", "checksum"}, []string{"Extracting the content", "Start restoring", "Finish restore file", "Start Syncing"}},
	} {
		kills := 0
		for _, text := range round.texts {
			if !p.killedRestore(b.ID, text, round.extra...) {
				break // it was faster
			}
			kills++
			if s, err := pgserver.StartDir(ctx, src.Major, p.data); err == nil {
				t.Errorf("a server starts after a kill at %q", text)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if kills == 0 {
			t.Errorf("no restore was killed: %v", round)
		}
		if kills == len(round.texts) {
			p.restore(b.ID, round.extra...)
		}
		s := pgtest.StartDir(t, src.Major, p.data)
		s.WaitPrimary(ctx)
		pgtest.CheckRestored(t, ctx, s, journal, lsn(t, b.StopLSN))
		s.SQL(ctx, "UPDATE accounts SET abalance = 7")
		s.Stop(pgtest.Immediate)
	}
}

var ratioLine = regexp.MustCompile(`Restore incremental ratio \(less is better\): (\d+)%`)

func ratio(t testing.TB, res result) int {
	t.Helper()
	m := ratioLine.FindStringSubmatch(res.stderr)
	if m == nil {
		t.Fatalf("no ratio\n%v", res)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
