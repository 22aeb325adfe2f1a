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

// cuts is how many random cuts each of these tests makes, unless the
// environment says otherwise: E2E_CUTS=20 go test ./test/e2e -run RemoteCut
func cuts(t *testing.T) int {
	const name = "E2E_CUTS"
	text := os.Getenv(name)
	if text == "" {
		return 4
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// killAgent kills one of the agents that were started.
func (f far) killAgent(rnd *rand.Rand) {
	raw, err := os.ReadFile(f.log)
	if err != nil {
		f.t.Error(err)
		return
	}
	var pids []int
	for line := range strings.Lines(string(raw)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return
	}
	// It may have ended by itself.
	_ = syscall.Kill(pids[rnd.IntN(len(pids))], syscall.SIGKILL)
}

// cut runs the tool and kills an agent after a delay.
func (f far) cut(rnd *rand.Rand, delay time.Duration, args ...string) result {
	f.t.Helper()
	if err := os.Truncate(f.log, 0); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	killed := make(chan struct{})
	res := finish(f.t, ctx, f.prepare(tool(ctx, args...)), func() {
		time.AfterFunc(delay, func() { // the fault, not synchronisation
			f.killAgent(rnd)
			close(killed)
		})
	})
	<-killed
	return res
}

// cause wants a run that was cut to say so, with C's words.
func cause(t *testing.T, res result) (hit bool) {
	t.Helper()
	if res.code == 0 {
		return false
	}
	if res.code != 1 || !strings.Contains(res.stderr, "ERROR: Communication error: the agent on far.example killed by signal KILL") &&
		!strings.Contains(res.stderr, "ERROR: Failed to establish SSH connection: ") {
		t.Errorf("no cause is told\n%v", res)
	}
	return true
}

// An agent may be killed at any moment of a backup: the cause is told, the
// server leaves backup mode, the catalog is sound, the next backup works.
func TestRemoteCutBackup(t *testing.T) {
	src := startSmall(t, 15)
	f := newFar(t, src)
	args := func() []string { return f.backupArgs(append(viaSSH(), "-j", "2", "--temp-slot")...) }
	began := time.Now()
	f.okay(args()...)
	whole := time.Since(began)
	rnd := rand.New(rand.NewPCG(7, 20))
	hits := 0
	for i := range cuts(t) {
		before := len(f.list())
		res := f.cut(rnd, time.Duration(rnd.Int64N(int64(whole))), args()...)
		if cause(t, res) {
			hits++
			if all := f.list(); len(all) > before && all[0].Status != "ERROR" {
				t.Errorf("cut %d: status %s\n%v", i, all[0].Status, res)
			}
		}
		serverFree(t, src)
	}
	if hits == 0 {
		t.Error("no cut hit")
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
	rnd := rand.New(rand.NewPCG(8, 20))
	hits := 0
	for i := range cuts(t) {
		to := filepath.Join(dir, strconv.Itoa(i))
		res := f.cut(rnd, time.Duration(rnd.Int64N(int64(took))), args(to)...)
		if cause(t, res) {
			hits++
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
	if hits == 0 {
		t.Error("no cut hit")
	}
}
