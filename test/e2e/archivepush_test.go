package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gsprobackup/test/pgtest"
)

// segmentsVar is how many segments TestArchivePushKilled has archived:
// E2E_SEGMENTS=1000.
const segmentsVar = "E2E_SEGMENTS"

// A server under load archives with several workers in batches; archive-push is
// killed at random all the time. Not one segment is lost or half-written, and
// none is ever seen half-written.
func TestArchivePushKilled(t *testing.T) {
	t.Parallel()
	segments := uint64(100)
	if text := os.Getenv(segmentsVar); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		segments = n
	}
	ctx := context.Background()
	major := pgtest.Majors(t)[0]
	// All segments stay with the server, for comparison.
	src := pgtest.Start(t, pgtest.Config{Major: major, WALSegSizeMB: 1, Settings: archiving(major, 20000)})
	c := newCatalog(t, src)
	// A command that was killed is a failure like any other to the server; from
	// a signal it would rest for 10 seconds.
	archiveTo(t, src, c, "-j", "4", "--batch-size", "10", "||", "exit", "1")
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{})
	load := src.Load(ctx, lt, 2)

	begin := segmentOf(switchWAL(t, src))
	stop := make(chan struct{})
	var group sync.WaitGroup
	var kills atomic.Int64
	group.Go(func() { killPushes(c.dir, stop, &kills) })
	group.Go(func() { watchArchive(t, c, stop) })
	last := begin
	for last < begin+segments || kills.Load() < 3 {
		last = segmentOf(switchWAL(t, src))
		if last > begin+20*segments {
			t.Errorf("only %d processes were killed", kills.Load())
			break
		}
	}
	load.Stop()
	close(stop)
	group.Wait()
	c.waitArchived(src)
	t.Logf("%d segments, %d kills", last-begin, kills.Load())
	checkArchive(t, c, src, begin, last)
}

// killPushes kills archive-push processes of a catalog at random moments of
// their short lives until stop is closed.
func killPushes(dir string, stop <-chan struct{}, kills *atomic.Int64) {
	rnd := rand.New(rand.NewPCG(1, 1))
	prefix := []byte(toolPath + "\x00archive-push\x00-B\x00" + dir + "\x00")
	for {
		procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, p := range slices.Backward(procs) {
			line, err := os.ReadFile(p)
			if err != nil || !bytes.HasPrefix(line, prefix) {
				continue
			}
			time.Sleep(time.Duration(rnd.IntN(15)) * time.Millisecond) // how far it comes
			pid, err := strconv.Atoi(strings.Split(p, "/")[2])
			if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
				kills.Add(1)
			}
			break
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rnd.IntN(100)) * time.Millisecond):
		}
	}
}

// watchArchive looks at every name that turns up in the archive: it stands for
// a whole segment from the first moment on.
func watchArchive(t *testing.T, c *catalog, stop <-chan struct{}) {
	dir := filepath.Join(c.dir, "wal", c.instance)
	seen := map[string]bool{}
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
			return
		}
		for _, e := range entries {
			if len(e.Name()) != 24 || seen[e.Name()] {
				continue
			}
			seen[e.Name()] = true
			if fi, err := e.Info(); err != nil || fi.Size() != 1<<20 {
				t.Errorf("%s has %v bytes, %v", e.Name(), fi.Size(), err)
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// checkArchive compares all segments with the server's own and wants nothing
// else to be there.
func checkArchive(t *testing.T, c *catalog, s *pgtest.Server, begin, end uint64) {
	t.Helper()
	dir := filepath.Join(c.dir, "wal", c.instance)
	for n := begin; n <= end; n++ {
		name := fmt.Sprintf("00000001%08X%08X", n>>12, n&0xfff)
		want, err := os.ReadFile(filepath.Join(s.DataDir, "pg_wal", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("segment %s: %d bytes, %v", name, len(got), err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if len(e.Name()) != 24 {
			t.Errorf("%s is left over", e.Name())
		}
	}
}

// After a failover the old primary comes back, knows nothing of the new
// timeline and is promoted, too. It cannot overwrite what the new primary has
// archived, and the archive restores to the new primary's state.
func TestPromotedOldPrimary(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	majors := pgtest.Majors(t)
	h := newPITRHistory(t, majors[len(majors)-1], 7)
	h.backup(h.cat.backupArgs("--no-validate", "--no-sync"))
	h.write(20)
	h.seal()
	dir := filepath.Join(pgtest.TempDir(t), "data")
	h.cat.ok(h.cat.on("restore", "-D", dir, "--no-sync", "--latest")...)
	young := &pitrHistory{
		t: t, cat: h.cat, rnd: h.rnd, prefix: "young", moments: append([]moment{}, h.moments...), backups: h.backups,
		server: pgtest.StartDir(t, h.server.Major, dir),
	}
	young.server.WaitPrimary(ctx)
	young.write(20)
	young.seal()
	young.server.Stop(pgtest.Fast)
	before := describe(t, filepath.Join(h.cat.dir, "wal", h.cat.instance))

	h.write(30) // what nobody will see again
	h.server.SQL(ctx, "ALTER SYSTEM SET restore_command = 'false'")
	h.server.SQL(ctx, "ALTER SYSTEM SET recovery_target_timeline = 'current'")
	h.server.SQL(ctx, "ALTER SYSTEM SET recovery_target_time = ''")
	h.server.Stop(pgtest.Fast)
	if err := os.WriteFile(filepath.Join(h.server.DataDir, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := account.Own(h.server.DataDir); err != nil {
		t.Fatal(err)
	}
	h.server.Restart(ctx)
	h.server.WaitPrimary(ctx)
	if tli := h.server.SQL(ctx, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")[0][0]; tli != "00000002" {
		t.Fatalf("the old primary is on timeline %s", tli)
	}
	h.write(10)
	switchWAL(t, h.server)
	refused := []byte("WAL file already exists in archive with different content: ")
	deadline := time.After(5 * time.Minute) // an archiver looks again after one
	for log := []byte(nil); !bytes.Contains(log, refused); log = h.server.LogTail(1 << 20) {
		select {
		case <-deadline:
			t.Fatalf("nothing was refused\nserver log:\n%s", h.server.LogTail(4000))
		case <-time.After(20 * time.Millisecond):
		}
	}
	h.server.Stop(pgtest.Immediate)
	after := describe(t, filepath.Join(h.cat.dir, "wal", h.cat.instance))
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s: %s, was %s", name, after[name], was)
		}
	}
	young.restoreTo(t, aim{want: exactly(len(young.moments)), args: []string{"--recovery-target-timeline=latest", "--latest"}})
}
