package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/test/pgtest"
)

// cuts is how many cuts that hit each of these tests makes, unless the
// environment says otherwise: E2E_CUTS=20 go test ./test/e2e -run RemoteCut
func cuts(t *testing.T) int {
	const name = "E2E_CUTS"
	text := os.Getenv(name)
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// agents are the processes of the agents that were started.
func (f far) agents() (pids []int) {
	raw, err := os.ReadFile(f.log)
	if err != nil {
		f.t.Error(err)
	}
	for line := range strings.Lines(string(raw)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cutter chooses moments to kill an agent: random ones within the time a whole
// run took, and earlier ones after it came too late. The moments are the
// fault, not synchronisation.
type cutter struct {
	far
	rnd    *rand.Rand
	within time.Duration
}

// cut runs the tool and kills one of its agents.
func (c *cutter) cut(args ...string) result {
	c.t.Helper()
	if err := os.Truncate(c.log, 0); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	res := finish(c.t, ctx, c.prepare(tool(ctx, args...)), func() {
		for len(c.agents()) == 0 && ctx.Err() == nil {
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Duration(c.rnd.Int64N(int64(c.within))))
		if pids := c.agents(); len(pids) > 0 {
			// It may have ended by itself.
			_ = syscall.Kill(pids[c.rnd.IntN(len(pids))], syscall.SIGKILL)
		}
	})
	if res.code == 0 {
		c.within = c.within/2 + 1
	}
	return res
}

// cause wants a run that was cut to say so, with C's words.
func cause(t *testing.T, res result) (hit bool) {
	t.Helper()
	if res.code == 0 {
		return false
	}
	if res.code != 1 || !strings.Contains(res.stderr, "Communication error: the agent on far.example killed by signal KILL") &&
		!strings.Contains(res.stderr, "ERROR: Failed to establish SSH connection: ") {
		t.Errorf("no cause is told\n%v", res)
	}
	return true
}

// An agent may be killed at any moment of a backup: the cause is told, the
// server leaves backup mode, the catalog is sound, the next backup works.
func TestRemoteCutBackup(t *testing.T) {
	t.Parallel()
	src := startSmall(t, 15)
	f := newFar(t, src)
	args := func() []string { return f.backupArgs(append(viaSSH(), "-j", "2", "--temp-slot")...) }
	began := time.Now()
	f.okay(args()...)
	whole := time.Since(began)
	c := &cutter{f, rand.New(rand.NewPCG(7, 20)), whole}
	for i := 0; i < cuts(t); {
		before := len(f.list())
		res := c.cut(args()...)
		if cause(t, res) {
			i++
			if all := f.list(); len(all) > before && all[0].Status != "ERROR" {
				t.Errorf("cut %d: status %s\n%v", i, all[0].Status, res)
			}
		}
		serverFree(t, src)
	}
	f.okay(args()...)
	f.checkFinished()
	if b := f.newest(); b.Status != "OK" {
		t.Errorf("backup after the cuts: %+v", b)
	}
	checkRestarts(t, f.catalog, f.newest())
}

// The same for a restore: no server starts on what is not complete, and the
// same command completes it.
func TestRemoteCutRestore(t *testing.T) {
	t.Parallel()
	src := startSmall(t, 15)
	f := newFar(t, src)
	f.okay(f.backupArgs(append(viaSSH(), "-j", "2")...)...)
	id := f.newest().ID
	dir := pgtest.TempDir(t)
	args := func(to string) []string {
		return f.on("restore", append(viaSSH("-i", id, "-D", filepath.Join(to, "data"), "-j", "2"), f.remap(to)...)...)
	}
	whole := filepath.Join(dir, "whole")
	began := time.Now()
	f.okay(args(whole)...)
	took := time.Since(began)
	c := &cutter{f, rand.New(rand.NewPCG(8, 20)), took}
	for i := 0; i < cuts(t); {
		to := filepath.Join(dir, "cut")
		res := c.cut(args(to)...)
		if cause(t, res) {
			i++
			if _, err := os.Stat(filepath.Join(to, "data/global/pg_control")); err == nil {
				t.Errorf("cut %d left a pg_control", i)
			}
			f.okay(args(to)...)
		}
		compareTrees(t, whole, to)
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
}
