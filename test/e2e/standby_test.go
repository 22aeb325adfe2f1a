package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// A backup taken from a hot standby, made by the tool itself, restores to what
// the primary held at its stop point.
func TestStandby15(t *testing.T)     { testStandby(t, 15) }
func TestStandbyNewest(t *testing.T) { m := pgtest.Majors(t); testStandby(t, m[len(m)-1]) }

func testStandby(t *testing.T, major int) {
	ctx := context.Background()
	primary := startRich(t, pgtest.Config{Major: major, DataChecksums: true})
	lt := primary.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 2, Tablespace: "ts1"})
	c := newCatalog(t, primary)
	base := c.backup("-j", "2")
	standby, dir := startStandby(t, c, base)

	load := primary.Load(ctx, lt, 2)
	catchUp(t, primary, standby)
	c.server, c.dataDir = standby, standby.DataDir
	info := c.backup("-j", "2", "--compress-algorithm", "zstd")
	if info.FromReplica != "true" || info.Status != "OK" {
		t.Errorf("show says %+v", info)
	}
	if load.Count() == 0 {
		t.Error("nothing was written during the backup")
	}
	journal := load.Journal(ctx)
	sums := primary.Checksums(ctx)
	c.ok(c.on("validate")...)
	c.checkFormat(checker.Options{})

	// The backup's tablespaces lie where the standby had them.
	out := pgtest.TempDir(t)
	data := filepath.Join(out, "data")
	var remap []string
	for _, ts := range primary.Tablespaces {
		remap = append(remap, "-T", filepath.Join(dir, ts.Name)+"="+filepath.Join(out, ts.Name))
	}
	c.restore(info.ID, data, remap...)
	for _, name := range []string{"standby.signal", "recovery.signal"} {
		if _, err := os.Stat(filepath.Join(data, name)); !os.IsNotExist(err) {
			t.Errorf("%s was restored: %v", name, err)
		}
	}
	restored := pgtest.StartDir(t, major, data, "primary_conninfo=")
	restored.WaitPrimary(ctx)
	pgtest.CheckRestored(t, ctx, restored, journal, lsn(t, info.StopLSN))
	checkStatic(t, sums, restored.Checksums(ctx))
	checkRich(t, restored)
	checkIndexes(t, restored)
	restored.Stop(pgtest.Fast)
	checkPageChecksums(t, restored)
}

// A standby that nothing is written to still gives a backup that ends.
func TestIdleStandby(t *testing.T) {
	ctx := context.Background()
	primary := startSmall(t, 15)
	c := newCatalog(t, primary)
	base := c.backup()
	standby, dir := startStandby(t, c, base)
	catchUp(t, primary, standby)
	c.server, c.dataDir = standby, standby.DataDir
	info := c.backup("--archive-timeout", "60")
	out := pgtest.TempDir(t)
	data := filepath.Join(out, "data")
	c.restore(info.ID, data, "-T", filepath.Join(dir, "ts1")+"="+filepath.Join(out, "ts1"))
	restored := pgtest.StartDir(t, 15, data, "primary_conninfo=")
	restored.WaitPrimary(ctx)
	checkStatic(t, primary.Checksums(ctx), restored.Checksums(ctx))
}

// startStandby makes a hot standby from a backup; its tablespaces lie in the
// returned directory.
func startStandby(t *testing.T, c *catalog, b backupInfo) (*pgtest.Server, string) {
	t.Helper()
	dir := pgtest.TempDir(t)
	data := filepath.Join(dir, "data")
	c.restore(b.ID, data, c.remap(dir)...)
	if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := account.Own(data); err != nil {
		t.Fatal(err)
	}
	conninfo := fmt.Sprintf("primary_conninfo=host=%s port=%d user=postgres", c.server.SocketDir, c.server.Port)
	return pgtest.StartDir(t, c.server.Major, data, conninfo, "hot_standby=on"), dir
}

// catchUp waits until the standby has replayed what the primary has written.
func catchUp(t *testing.T, primary, standby *pgtest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	target := primary.SQL(ctx, "SELECT pg_current_wal_flush_lsn()")[0][0]
	for standby.SQL(ctx, "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)", target)[0][0] != "t" {
		select {
		case <-ctx.Done():
			t.Fatalf("the standby does not reach %s", target)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
