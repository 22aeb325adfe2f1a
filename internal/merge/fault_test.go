package merge_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/test/golden"
)

// allSteps makes TestFailAtEveryStep take its name literally: minutes instead
// of seconds.
var allSteps = flag.Bool("allsteps", false, "fail at every step, not at some")

// few reduces a chain to files that meet every way of being merged.
func (w *world) few(want func(e *catalog.Entry) bool) {
	w.t.Helper()
	inst := w.instance()
	list, err := inst.Backups(context.Background())
	w.must(err)
	for _, b := range list {
		entries, err := catalog.LoadContent(w.fs, b)
		w.must(err)
		var sums contentlist.Counters
		dirs := map[string]bool{}
		keep := []*catalog.Entry{}
		for i := range entries {
			if e := &entries[i]; e.IsRegular() && want(e) {
				keep = append(keep, e)
				for d := path.Dir(e.Path); d != "."; d = path.Dir(d) {
					dirs[fmt.Sprint(e.ExternalDir, d)] = true
				}
			}
		}
		for i := range entries {
			e := &entries[i]
			if e.IsDir() && dirs[fmt.Sprint(e.ExternalDir, e.Path)] {
				keep = append(keep, e)
			}
			if e.IsRegular() && e.Size > 0 && !slices.Contains(keep, e) {
				w.must(w.fs.Remove(path.Join(b.EntryDir(e.ExternalDir), e.Path)))
			}
		}
		for _, e := range keep {
			sums.Add(e, false)
		}
		w.must(catalog.SaveContent(w.fs, b, true, slices.Values(keep)))
		w.must(inst.UpdateControl(b, func(b *catalog.Backup) {
			b.ContentCRC, b.DataBytes, b.WALBytes, b.UncompressedBytes = 0, sums.DataBytes, sums.WALBytes, sums.UncompressedBytes
		}))
	}
}

// smallChain is a chain of three with a handful of files.
func smallChain(t testing.TB) *world {
	w := newWorld(t, golden.Mixed)
	w.cut = true
	names := []string{"base/16384/16394", "base/16384/14606", "global/pg_control", "backup_label", "PG_VERSION"}
	w.few(func(e *catalog.Entry) bool { return slices.Contains(names, e.Path) })
	return w
}

// Whatever step fails, or is the last one of a killed process: before the
// chain says MERGING all its members are as they were, and another run brings
// the result that an undisturbed one would have, with nothing left over.
func TestFailAtEveryStep(t *testing.T) {
	last := "TOWAGN"
	template := smallChain(t)
	want := template.chain(last)
	for _, tt := range []struct {
		name          string
		fault         faultfs.Fault
		first, stride int
	}{
		{"kill", faultfs.Fault{Sticky: true, Err: errKilled}, 3, 13},
		{"ENOSPC", faultfs.Fault{Err: unix.ENOSPC}, 5, 37},
		{"EIO", faultfs.Fault{Err: unix.EIO}, 7, 41},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fault := tt.fault
			if *allSteps {
				tt.first, tt.stride = 1, 1
			}
			for n := tt.first; ; n += tt.stride {
				w := template.clone(t)
				faulty := faultfs.New(w.fs)
				w.fs = faulty
				fault.Nth = n
				faulty.Inject(fault)
				err := w.merge(last)
				steps := len(faulty.Ops())
				w.fs = lazy{w.m.FS()}
				if steps < n {
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%d steps", steps)
					return
				}
				op := faulty.Ops()[n-1]
				states := w.statuses()
				// Some steps may fail: a directory that is there, the mark
				// on a backup that is deleted.
				if err == nil && !strings.Contains(states, "TOWAGN FULL OK") {
					t.Errorf("step %d %s: not noticed", n, op)
				}
				if !strings.Contains(states, "TOWAGE FULL MERG") && !strings.Contains(states, "TOWAGN FULL") {
					for _, id := range []string{"TOWAGE", "TOWAGJ", "TOWAGN"} {
						if !strings.Contains(states, id+" FULL OK") && !strings.Contains(states, id+" PTRACK OK") {
							t.Errorf("step %d %s: %s", n, op, states)
						}
					}
					diff(t, w.chain(last), want)
				}
				for _, id := range []string{"TOWAGE", "TOWAGJ", "TOWAGN"} {
					// A dead process' lock is the business of package lock;
					// here its process lives.
					_ = os.Remove(w.path(id, "backup.pid"))
				}
				if !strings.Contains(states, "TOWAGN FULL OK") {
					if err := w.merge(last); err != nil {
						t.Fatalf("step %d %s: %s: rerun: %v", n, op, states, err)
					}
				}
				if got := w.statuses(); got != "TOWAGN FULL OK, TOWAGR PTRACK OK" {
					t.Fatalf("step %d %s: after the rerun %s", n, op, got)
				}
				w.sound(last, want)
				if t.Failed() {
					t.Fatalf("step %d %s: %v, was %s", n, op, errors.Unwrap(err), states)
				}
			}
		})
	}
}
