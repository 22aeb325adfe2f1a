package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// A chain taken under load with three codecs becomes one FULL backup that
// restores to what the last increment would have.
func TestMerge(t *testing.T) {
	ctx := context.Background()
	src := pgtest.Start(t, pgtest.Config{Major: 15, DataChecksums: true})
	c := newCatalog(t, src)
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 1, AccountsPerBranch: 5000})
	load := src.Load(ctx, lt, 2)
	full, _ := c.increment("full", "--compress-algorithm", "none")
	first, _ := c.increment("delta", "--compress-algorithm", "zlib")
	last, _ := c.increment("delta", "--compress-algorithm", "lz4")
	journal := load.Journal(ctx)
	src.Stop(pgtest.Fast)

	res := c.ok(c.on("merge", "-i", last.ID, "-j", "2")...)
	for _, text := range []string{
		"INFO: Merge started\n", "INFO: Merging backup " + last.ID + " with parent chain\n",
		"INFO: Delete: " + first.ID, "INFO: Rename merged full backup " + full.ID + " to " + last.ID + "\n",
		"INFO: Backup " + last.ID + " data files are valid\nINFO: Merge of backup " + last.ID + " completed\n",
	} {
		if !strings.Contains(res.stderr, text) {
			t.Errorf("%q is not on stderr\n%v", text, res)
		}
	}
	list := c.list()
	if len(list) != 1 || list[0].ID != last.ID || list[0].Mode != "FULL" || list[0].Status != "OK" || list[0].StopLSN != last.StopLSN {
		t.Fatalf("show says %+v", list)
	}
	c.checkFormat(checker.Options{})
	c.ok("validate", "-B", c.dir)
	data := filepath.Join(pgtest.TempDir(t), "data")
	c.restore(last.ID, data)
	restored := pgtest.StartDir(t, src.Major, data)
	restored.WaitPrimary(ctx)
	pgtest.CheckRestored(t, ctx, restored, journal, lsn(t, last.StopLSN))
}
