package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/test/pgtest"
	"gsprobackup/test/sshserver"
)

// The line may be cut at any byte of a backup or a restore. Whatever it hits,
// the command fails or is done, the catalog is sound, and a rerun works. One of
// each by default, E2E_CUTS of each otherwise.
func TestSSHRandomCuts(t *testing.T) {
	t.Parallel()
	count := 1
	if os.Getenv("E2E_CUTS") != "" {
		count = cuts(t)
	}
	f := newSSHFixture(t, sshserver.Options{})
	dir := pgtest.TempDir(t)
	whole := func(args ...string) int64 {
		before := f.proxy.Passed()
		f.ok(args...)
		return f.proxy.Passed() - before
	}
	random := rand.New(rand.NewPCG(7, uint64(count)))
	cut := func(name string, all int64, args ...string) result {
		at := random.Int64N(all)
		f.proxy.At(at, f.proxy.Cut)
		res := run(t, args...)
		f.proxy.At(1<<60, func() {})
		f.noAgents()
		t.Logf("%s cut at byte %d of %d: exit status %d", name, at, all, res.code)
		if res.code != 0 && res.code != 1 {
			t.Error(res)
		}
		return res
	}

	all := whole(f.farBackup("")...)
	for range count {
		before := f.newest().ID
		res := cut("backup", all, f.farBackup("")...)
		serverFree(t, f.server)
		checkUnlocked(t, f.catalog)
		newest := f.newest()
		switch {
		case res.code == 0 && newest.ID != before && newest.Status == "OK":
		case res.code == 1 && (newest.ID == before || newest.Status == "ERROR"):
		default:
			t.Errorf("backup %s after %s has status %s\n%v", newest.ID, before, newest.Status, res)
		}
	}
	f.ok(f.farBackup("")...)
	f.checkFinished()

	reference := filepath.Join(dir, "reference")
	all = whole(f.farRestore(reference, "")...)
	want := describe(t, reference)
	for range count {
		target := filepath.Join(dir, "restored")
		res := cut("restore", all, f.farRestore(target, "")...)
		if res.code == 1 {
			checkHalfRestored(t, target)
			f.ok(f.farRestore(target, "")...)
		}
		wantAlike(t, want, describe(t, target), `^tablespace_map$`)
		for _, d := range []string{target, target + "-ts"} {
			if err := os.RemoveAll(d); err != nil {
				t.Error(err)
			}
		}
	}
}
