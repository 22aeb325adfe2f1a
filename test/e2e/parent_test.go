package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// incrementFails wants a backup to fail with all texts on stderr, and to leave
// an ERROR backup and a server free of the tool behind.
func (c *catalog) incrementFails(mode string, texts ...string) result {
	c.t.Helper()
	res := c.fails(texts, c.incrementArgs(mode)...)
	b := c.newest()
	if b.Status != "ERROR" || b.Mode != "PTRACK" {
		c.t.Errorf("show says %+v, want an ERROR backup", b)
	}
	if !strings.Contains(res.stderr, "WARNING: Backup "+b.ID+" is running, setting its status to ERROR") {
		c.t.Errorf("no word about the status of %s\n%v", b.ID, res)
	}
	serverFree(c.t, c.server)
	return res
}

const (
	noFull1 = "WARNING: Valid backup on current timeline 1 is not found, trying to look up on previous timelines\n" +
		"WARNING: Cannot find valid backup on previous timelines, WAL archive is not available\n"
	noFull2 = "ERROR: Create new full backup before an incremental one"
)

func TestIncrementNeedsAParent(t *testing.T) {
	src := startSmall(t, 17)
	c := newCatalog(t, src)

	res := c.incrementFails("delta", noFull1, noFull2)
	if strings.Contains(res.stderr, "stop backup") {
		t.Errorf("the server was put into backup mode for nothing\n%v", res)
	}
	full := c.backup()
	c.incrementFails("ptrack", "ERROR: cannot find changed blocks, summarize_wal is off")
	first, _ := c.increment("d") // a prefix, as with the other modes
	if first.Parent != full.ID || first.DataBytes > full.DataBytes/5 {
		t.Errorf("an increment of an idle server: %+v, FULL has %d bytes", first, full.DataBytes)
	}
	failed := c.list()[1].ID // the PTRACK attempt
	if got := c.list()[2].ID; got != full.ID {
		t.Fatalf("%s is not the FULL", got)
	}
	_, res = c.increment("DeLtA")
	if strings.Contains(res.stderr, failed) {
		t.Errorf("a failed backup older than the parent is mentioned\n%v", res)
	}
	c.fails([]string{`ERROR: invalid backup-mode "page"`}, c.on("backup", "-b", "page", "-D", c.dataDir)...)

	// A file list that does not match its control file is no base.
	second := c.newest()
	list := filepath.Join(c.backupDir(second.ID), "backup_content.control")
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(text), `"mode":"33152"`, `"mode":"33153"`, 1)
	if err := os.WriteFile(list, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	c.incrementFails("delta", "WARNING: Invalid CRC of backup control file '"+list+"'", "ERROR: Failed to get file list for backup "+second.ID)
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}

	if b, _ := c.increment("delta"); b.Parent != second.ID {
		t.Errorf("with the list repaired: %+v", b)
	}
	c.checkFormat(checker.Options{OnlyFinished: true})
}

func TestPtrackNeedsSummaries(t *testing.T) {
	ctx := context.Background()
	old := startSmall(t, 15)
	c := newCatalog(t, old)
	c.backup()
	c.incrementFails("ptrack", "ERROR: PTRACK backup is not possible with PostgreSQL 15, which has no summarize_wal")

	src := pgtest.Start(t, pgtest.Config{Major: 17, DataChecksums: true, Settings: map[string]string{"summarize_wal": "on"}})
	c = newCatalog(t, src)
	c.backup()
	src.SQL(ctx, "CREATE TABLE t AS SELECT generate_series(1, 1000) i")
	src.SQL(ctx, "CHECKPOINT")
	c.increment("ptrack")
	src.SQL(ctx, "INSERT INTO t SELECT generate_series(1, 1000)")
	src.SQL(ctx, "CHECKPOINT")
	parent := c.newest()
	// The summary that covers the parent's start is gone, as after
	// wal_summary_keep_time.
	dir := filepath.Join(src.DataDir, "pg_wal", "summaries")
	waitSummaries(t, src, parent.StopLSN)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("no summaries: %v", err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	c.incrementFails("ptrack", "ERROR: WAL summaries are missing between "+parent.StartLSN)
	if b, _ := c.increment("delta"); b.Parent != parent.ID {
		t.Errorf("DELTA after it: %+v", b)
	}
}

// waitSummaries waits until the server has summarized its WAL up to a position.
func waitSummaries(t *testing.T, s *pgtest.Server, lsn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	for s.SQL(ctx, "SELECT summarized_lsn >= '"+lsn+"' FROM pg_get_wal_summarizer_state()")[0][0] != "t" {
		time.Sleep(10 * time.Millisecond)
	}
}

func TestChecksumsSwitchedOn(t *testing.T) {
	ctx := context.Background()
	src := pgtest.Start(t, pgtest.Config{Major: 15})
	c := newCatalog(t, src)
	full := c.backup()
	src.Stop(pgtest.Fast)
	out, err := src.AsUser(exec.Command(src.PgBin("pg_checksums"), "--enable", "-N", "-D", src.DataDir)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	src.Restart(ctx)
	c.incrementFails("delta", "ERROR: Data checksums were switched on or off since backup "+full.ID)
}

// While an increment runs, its parents can be restored and validated but not
// deleted; and if they become bad all the same, the increment does not count.
func TestParentIsGuarded(t *testing.T) {
	ctx := context.Background()
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	full := c.backup()
	parent, _ := c.increment("delta")

	// The tool is stopped as soon as it waits for the server's checkpoint.
	paused := func(during func()) result {
		t.Helper()
		toolCtx, cancel := context.WithTimeout(ctx, hangGuard)
		defer cancel()
		src.SQL(ctx, "BEGIN; CREATE TABLE IF NOT EXISTS dirty (v text); INSERT INTO dirty SELECT repeat('x', 1000) FROM generate_series(1, 2000); COMMIT")
		cmd := tool(toolCtx, c.incrementArgs("delta", "-C")...)
		return finish(t, toolCtx, cmd, func() {
			waitFor(t, src, "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%pg_backup_start(%' AND wait_event LIKE 'Checkpoint%'")
			signal(t, cmd, syscall.SIGSTOP)
			during()
			signal(t, cmd, syscall.SIGCONT)
			src.SQL(ctx, "CHECKPOINT") // the tool's goes on at full speed with it
		})
	}

	res := paused(func() {
		c.fails([]string{"WARNING: Backup " + parent.ID + " is the parent of a backup that is being taken"}, c.on("delete", "-i", parent.ID)...)
		c.fails([]string{"is the parent of a backup that is being taken"}, c.on("delete", "-i", full.ID)...)
		c.ok(c.on("validate", "-i", parent.ID)...)
		c.restore(parent.ID, filepath.Join(pgtest.TempDir(t), "data"), "-T", src.Tablespaces[0].Dir+"="+filepath.Join(pgtest.TempDir(t), "ts"))
	})
	if res.code != 0 || c.newest().Parent != parent.ID {
		t.Fatal(res)
	}

	control := filepath.Join(c.backupDir(full.ID), "backup.control")
	text, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	res = paused(func() {
		bad := strings.Replace(string(text), "status = OK", "status = CORRUPT", 1)
		if err := os.WriteFile(control, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if res.code != 1 || !strings.Contains(res.stderr, "ERROR: Backup "+full.ID+", which backup "+c.newest().ID+" is based on, has status: CORRUPT") || c.newest().Status != "ERROR" {
		t.Errorf("parent became bad: %v", res)
	}
	if err := os.WriteFile(control, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.ok(c.on("delete", "-i", full.ID)...)
	if left := c.list(); len(left) != 0 {
		t.Errorf("%d backups left", len(left))
	}
}

func signal(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits for a query to count something.
func waitFor(t *testing.T, s *pgtest.Server, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	for s.SQL(ctx, query)[0][0] == "0" {
		time.Sleep(10 * time.Millisecond)
	}
}
