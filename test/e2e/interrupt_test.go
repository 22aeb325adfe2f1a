package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// A backup may be killed or interrupted at any moment: the catalog lists, the
// server is not left behind in any state, the next backup works.
//
// The moments are random parts of the time a whole backup takes, measured at
// the start. They are the fault, not synchronisation: whatever step they hit,
// the same must hold.

// startSmall starts the server of these tests.
func startSmall(t testing.TB, major int) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Config{Major: major, DataChecksums: true, WALSegSizeMB: 1, Tablespaces: 1})
	s.SQL(context.Background(), "CREATE TABLE spaced TABLESPACE ts1 AS SELECT i, md5(i::text) AS v FROM generate_series(1, 20000) i")
	return s
}

// strike runs a backup and sends it a signal after a delay.
func (c *catalog) strike(sig syscall.Signal, delay time.Duration, extra ...string) result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	cmd := tool(ctx, c.backupArgs(extra...)...)
	return finish(c.t, ctx, cmd, func() {
		timer := time.AfterFunc(delay, func() {
			// The process may have ended already; Process knows.
			_ = cmd.Process.Signal(sig)
		})
		c.t.Cleanup(func() { timer.Stop() })
	})
}

// wholeBackup measures how long a backup takes.
func (c *catalog) wholeBackup(extra ...string) time.Duration {
	c.t.Helper()
	began := time.Now()
	c.backup(extra...)
	return time.Since(began)
}

// serverFree waits until the server has no session, WAL sender or slot of the
// tool any more, as the end of its sessions makes it.
func serverFree(t testing.TB, s *pgtest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	for {
		rows := s.SQL(ctx, `
SELECT 'session', coalesce(application_name, ''), coalesce(query, '') FROM pg_stat_activity
 WHERE pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender')
UNION ALL SELECT 'slot', slot_name, '' FROM pg_replication_slots`)
		if len(rows) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the server is not free of the tool: %v", rows)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

const kills = 50

func TestSIGKILL(t *testing.T) {
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	whole := c.wholeBackup("-j", "2")
	rnd := rand.New(rand.NewPCG(6, 50))
	unfinished := 0
	for i := range kills {
		delay := time.Duration(rnd.Int64N(int64(whole)))
		before := len(c.list())
		res := c.strike(syscall.SIGKILL, delay, "-j", "2", "--temp-slot")
		c.ok("show", "-B", c.dir)
		all := c.list()
		if res.code != 0 && len(all) > before && all[0].Status != "OK" && all[0].Status != "DONE" {
			unfinished++
			if all[0].Status != "RUNNING" && all[0].Status != "UNKNOWN" {
				t.Errorf("kill %d after %v: status %s", i, delay, all[0].Status)
			}
		}
		serverFree(t, src)
		// The next backup works, every time it is tried.
		if i%5 == 4 {
			if b := c.backup("-j", "2"); b.Status != "OK" {
				t.Errorf("backup after kill %d: %+v", i, b)
			}
		}
	}
	if unfinished < kills/4 {
		t.Errorf("only %d of %d kills hit a backup under way", unfinished, kills)
	}
	// What was killed is told from what is good, also by a checker.
	last := c.backup("-j", "2")
	c.checkFinished()
	c.fails([]string{"Some backups are not valid"}, c.on("validate")...)
	for _, b := range c.list() {
		if b.Status == "RUNNING" {
			t.Errorf("backup %s is still RUNNING after validate", b.ID)
		}
	}
	checkRestarts(t, c, last)
	c.ok(c.on("del-instance")...)
	if entries, err := os.ReadDir(filepath.Join(c.dir, "backups")); err != nil || len(entries) != 0 {
		t.Errorf("del-instance left %v, %v", entries, err)
	}
}

// checkRestarts restores a backup and starts it.
func checkRestarts(t *testing.T, c *catalog, b backupInfo) {
	t.Helper()
	ctx := context.Background()
	dir := pgtest.TempDir(t)
	data := filepath.Join(dir, "data")
	c.restore(b.ID, data, c.remap(dir)...)
	restored := pgtest.StartDir(t, c.server.Major, data)
	restored.WaitPrimary(ctx)
	checkStatic(t, c.server.Checksums(ctx), restored.Checksums(ctx))
}

func TestInterrupt15(t *testing.T)     { testInterrupt(t, 15, 10) }
func TestInterruptOldest(t *testing.T) { testInterrupt(t, pgtest.Majors(t)[0], 3) }

func testInterrupt(t *testing.T, major, each int) {
	src := startSmall(t, major)
	c := newCatalog(t, src)
	whole := c.wholeBackup("-j", "2")
	rnd := rand.New(rand.NewPCG(6, 10))
	failed := 0
	for i := range 2 * each {
		sig := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}[i%2]
		delay := time.Duration(rnd.Int64N(int64(whole)))
		before := len(c.list())
		res := c.strike(sig, delay, "-j", "2", "--temp-slot")
		all := c.list()
		status := "none"
		if len(all) > before {
			status = all[0].Status
		}
		switch {
		case res.code == 1 && (status == "ERROR" || status == "none"):
			failed++
			if !strings.Contains(strings.ToLower(res.stderr), "interrupted") {
				t.Errorf("%v after %v: no word of an interruption\n%v", sig, delay, res)
			}
		case res.code == 1 && status == "DONE":
			// Stored and durable; only its validation was interrupted.
		case res.code == 0 && status == "OK":
			// The signal came too late.
		case res.code == -1 && status == "none":
			// It came before the first line of the tool.
		default:
			t.Errorf("%v after %v of %v: exit status %d, status of the backup %s\n%v", sig, delay, whole, res.code, status, res)
		}
		checkUnlocked(t, c)
		serverFree(t, src)
	}
	if failed == 0 {
		t.Errorf("none of %d signals hit a backup under way", 2*each)
	}
	c.checkFinished()
	checkRestarts(t, c, c.backup("-j", "2"))
}

// checkFinished has the strict checker look at all backups that are whole. A
// process that was killed after its backup was sealed may leave its lock and a
// control file it was about to put in place.
func (c *catalog) checkFinished() {
	c.t.Helper()
	problems, _, err := checker.Check(c.dir, checker.Options{OnlyFinished: true})
	if err != nil {
		c.t.Fatal(err)
	}
	whole := map[string]bool{}
	for _, b := range c.list() {
		whole[b.ID] = b.Status == "OK" || b.Status == "DONE"
	}
	for _, p := range checker.Errors(problems) {
		parts := strings.SplitN(p.Path, "/", 4)
		left := len(parts) == 4 && (parts[3] == "backup.pid" || parts[3] == "backup.control.tmp")
		if left || len(parts) > 2 && !whole[parts[2]] {
			continue
		}
		c.t.Errorf("format: %v", p)
	}
}

// checkUnlocked wants no lock file in any backup.
func checkUnlocked(t testing.TB, c *catalog) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(c.backupDir("*"), "backup.pid"))
	if err != nil || len(left) > 0 {
		t.Errorf("locks left: %v, %v", left, err)
	}
}

// A server that goes away, or a WAL sender that is ended, fails the backup at
// once and with the cause. The tool is halted while that happens, so that the
// backup is certainly under way.
func TestLostServer(t *testing.T) {
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	res := c.disturb(func() error { return src.Server.Stop(pgtest.Immediate) })
	checkLost(t, c, res)
	src.Restart(context.Background())
	checkRestarts(t, c, c.backup())
}

func TestLostWALSender(t *testing.T) {
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	res := c.disturb(func() error { return end(src, "walsender") })
	checkLost(t, c, res)
	serverFree(t, src)
	checkRestarts(t, c, c.backup())
}

func TestLostSession(t *testing.T) {
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	res := c.disturb(func() error { return end(src, "client backend") })
	checkLost(t, c, res)
	serverFree(t, src)
	checkRestarts(t, c, c.backup())
}

// end ends the tool's one session of a kind.
func end(s *pgtest.Server, kind string) error {
	rows, err := s.Server.SQL(context.Background(), "postgres", `SELECT count(pg_terminate_backend(pid)::text) FROM pg_stat_activity
 WHERE backend_type = $1 AND pid <> pg_backend_pid()`, kind)
	if err == nil && rows[0][0] != "1" {
		err = fmt.Errorf("%s sessions of kind %s ended, want 1", rows[0][0], kind)
	}
	return err
}

func checkLost(t *testing.T, c *catalog, res result) {
	t.Helper()
	if res.code != 1 {
		t.Errorf("exit status %d, want 1\n%v", res.code, res)
	}
	if !strings.Contains(res.stderr, "ERROR: ") || !containsAny(res.stderr, "terminat", "shut", "closed", "EOF", "reset", "lost") {
		t.Errorf("the cause is not named\n%v", res)
	}
	if b := c.newest(); b.Status != "ERROR" {
		t.Errorf("status of the backup is %s, want ERROR", b.Status)
	}
	checkUnlocked(t, c)
}

func containsAny(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// disturb runs a backup, halts it when it begins to copy, calls harm, and lets
// it go on.
func (c *catalog) disturb(harm func() error) result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	cmd := tool(ctx, c.backupArgs()...)
	w := &watcher{word: "Start backing up files", seen: make(chan struct{})}
	cmd.Stderr = w
	harmed := make(chan error, 1)
	res := finish(c.t, ctx, cmd, func() {
		go func() {
			select {
			case <-w.seen:
			case <-ctx.Done():
				harmed <- ctx.Err()
				return
			}
			harmed <- errors.Join(
				cmd.Process.Signal(syscall.SIGSTOP), harm(), cmd.Process.Signal(syscall.SIGCONT))
		}()
	})
	cancel()
	if err := <-harmed; err != nil {
		c.t.Error(err)
	}
	res.stderr = w.text.String()
	return res
}

// watcher keeps what is written and tells when a word has come.
type watcher struct {
	word string
	seen chan struct{} // closed with the word
	text strings.Builder
	told bool
}

func (w *watcher) Write(p []byte) (int, error) {
	w.text.Write(p)
	if !w.told && strings.Contains(w.text.String(), w.word) {
		w.told = true
		close(w.seen)
	}
	return len(p), nil
}
