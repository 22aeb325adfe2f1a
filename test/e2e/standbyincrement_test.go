package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// Increments may come from a standby, on parents from the primary and the other
// way round.
func TestIncrementsFromStandby(t *testing.T) {
	ctx := context.Background()
	primary := pgtest.Start(t, pgtest.Config{
		Major: 17, DataChecksums: true, Settings: map[string]string{"summarize_wal": "on", "wal_keep_size": "1GB"},
	})
	lt := primary.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 2, AccountsPerBranch: 5000})
	c := newCatalog(t, primary)
	base := c.backup()
	standby, _ := startStandby(t, c, base)
	load := primary.Load(ctx, lt, 2)

	take := func(server *pgtest.Server, mode string) (backupInfo, result) {
		t.Helper()
		load.WaitCount(load.Count() + 200)
		primary.SQL(ctx, "CHECKPOINT")
		catchUp(t, primary, standby)
		c.server, c.dataDir = server, server.DataDir
		b, res := c.increment(mode, "-j", "2")
		if b.Status != "OK" || (b.FromReplica == "true") != (server == standby) {
			t.Errorf("show says %+v", b)
		}
		return b, res
	}
	const younger = "was restored or copied after backup"
	// It may have been restored within the second in which the FULL began.
	id, err := strconv.ParseInt(base.ID, 36, 64) // Unix time
	if err != nil {
		t.Fatal(err)
	}
	later := time.Unix(id+1, 0)
	if err := os.Chtimes(filepath.Join(standby.DataDir, "PG_VERSION"), later, later); err != nil {
		t.Fatal(err)
	}
	_, res := take(standby, "ptrack")
	if !strings.Contains(res.stderr, younger) {
		t.Errorf("no word about the young standby\n%v", res)
	}
	chain := []backupInfo{c.newest()}
	for _, step := range []struct {
		server *pgtest.Server
		mode   string
	}{{standby, "ptrack"}, {primary, "ptrack"}, {standby, "delta"}} {
		b, res := take(step.server, step.mode)
		small := b.DataBytes
		if small > 16<<20 {
			small -= 16 << 20 // a partial segment at the end counts as data
		}
		if strings.Contains(res.stderr, younger) || small > base.DataBytes/2 {
			t.Errorf("%s has %d bytes, the FULL %d\n%v", b.ID, b.DataBytes, base.DataBytes, res)
		}
		chain = append(chain, b)
	}
	journal := load.Journal(ctx)
	c.ok(c.on("validate")...)
	c.checkFormat(checker.Options{})
	for _, b := range chain {
		data := filepath.Join(pgtest.TempDir(t), "data")
		c.restore(b.ID, data)
		restored := pgtest.StartDir(t, 17, data, "primary_conninfo=")
		restored.WaitPrimary(ctx)
		pgtest.CheckRestored(t, ctx, restored, journal, lsn(t, b.StopLSN))
		checkIndexes(t, restored)
		checkVisibility(t, restored)
		restored.Stop(pgtest.Fast)
		checkPageChecksums(t, restored)
	}
}
