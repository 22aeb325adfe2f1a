package retention

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
)

var ctx = context.Background()

// chain is the catalog of these tests: F1 ← a ← b expired, F2 ← k with k kept
// by its pin, F3 within redundancy.
const (
	idF1 catalog.ID = 1_790_000_000 + 1000*iota
	idA
	idB
	idF2
	idK
	idF3
)

func build(f fsx.FS, root string) error {
	c := catalog.Open(f, root, catalog.Options{Location: time.UTC})
	if err := c.Init(); err != nil {
		return err
	}
	inst, err := c.AddInstance(ctx, "n1", catalog.NewConfig())
	if err != nil {
		return err
	}
	for _, b := range []struct{ id, parent catalog.ID }{{idF1, 0}, {idA, idF1}, {idB, idA}, {idF2, 0}, {idK, idF2}, {idF3, 0}} {
		mode := catalog.ModeFull
		if b.parent != 0 {
			mode = catalog.ModePtrack
		}
		x, err := inst.NewBackupDir(b.id.Time(), mode, 0)
		if err != nil {
			return err
		}
		x.ParentID, x.Status, x.RecoveryTime = b.parent, catalog.StatusOK, b.id.Time()
		if b.id == idK {
			x.ExpireTime = today.AddDate(1, 0, 0)
		}
		file, err := f.OpenFile(filepath.Join(x.DatabaseDir(), "x"), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(file.Close(), inst.SaveControl(x)); err != nil {
			return err
		}
	}
	return nil
}

func instance(f fsx.FS, root string, sink event.Sink) (*catalog.Instance, error) {
	return catalog.Open(f, root, catalog.Options{Location: time.UTC, Sink: sink}).Instance("n1")
}

// purge runs retention with redundancy 1.
func purge(f fsx.FS, root string, sink event.Sink, merger Merger) (Result, error) {
	inst, err := instance(f, root, sink)
	if err != nil {
		return Result{}, err
	}
	return Run(ctx, Deps{FS: f, Instance: inst, Sink: sink, Now: func() time.Time { return today }, Merger: merger},
		Options{Policy: Policy{Redundancy: 1, Delete: true, Merge: merger != nil}})
}

// good names the backups that claim to be usable, oldest first, and fails for
// one that is not.
func good(t *testing.T, what string, f fsx.FS, root string) (ids []catalog.ID) {
	t.Helper()
	inst, err := instance(f, root, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	list, err := inst.Backups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if !b.Status.Usable() {
			continue
		}
		chain, err := list.ChainTo(b)
		if err != nil {
			t.Errorf("%s: backup %s claims to be %s: %v", what, b.ID, b.Status, err)
		}
		for _, x := range chain {
			if _, err := f.Stat(filepath.Join(x.DatabaseDir(), "x")); err != nil || !x.Status.Usable() {
				t.Errorf("%s: backup %s is %s, but %s is %s, %v", what, b.ID, b.Status, x.ID, x.Status, err)
			}
		}
		ids = append(ids, b.ID)
	}
	slices.Reverse(ids)
	return ids
}

var kept = []catalog.ID{idF2, idK, idF3}

// finished checks that only the kept backups are there, and nothing else.
func finished(t *testing.T, what string, f fsx.FS, root string) {
	t.Helper()
	if ids := good(t, what, f, root); !slices.Equal(ids, kept) {
		t.Errorf("%s: good backups are %v", what, ids)
	}
	entries, err := f.ReadDir(root + "/backups/n1")
	if err != nil || len(entries) != len(kept)+1 { // and the configuration
		t.Errorf("%s: left over: %v, %v", what, entries, err)
	}
}

// After a crash at any step nothing that was kept is touched, nothing that
// says OK is not, and the next run finishes.
func TestCrashWhilePurging(t *testing.T) {
	run := func(f fsx.FS) error {
		_, err := purge(f, "/b", event.Discard, nil)
		return err
	}
	crashfs.EachStep(t, func(f fsx.FS) error { return build(f, "/b") }, run, func(s crashfs.Step, f *crashfs.FS) {
		if ids := good(t, s.String(), f, "/b"); !containsAll(ids, kept) {
			t.Errorf("%s: good backups are %v", s, ids)
		}
		if err := run(f); err != nil {
			t.Errorf("%s: next run: %v", s, err)
		}
		finished(t, s.String(), f, "/b")
	})
}

func containsAll(ids, want []catalog.ID) bool {
	for _, id := range want {
		if !slices.Contains(ids, id) {
			return false
		}
	}
	return true
}

// The same for errors: each step fails once, or from there on nothing can be
// written.
func TestFaultsWhilePurging(t *testing.T) {
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		for _, sticky := range []bool{false, true} {
			for n := 1; ; n++ {
				inner := crashfs.New()
				if err := build(inner, "/b"); err != nil {
					t.Fatal(err)
				}
				f := faultfs.New(inner)
				seen := 0
				f.Before(func(op faultfs.Op) error {
					if seen++; seen == n || sticky && seen > n && op.Kind != faultfs.Remove {
						return fault
					}
					return nil
				})
				_, err := purge(f, "/b", event.Discard, nil)
				what := fmt.Sprintf("%v at step %d, sticky %t: %v", fault, n, sticky, err)
				if ids := good(t, what, inner, "/b"); !containsAll(ids, kept) {
					t.Errorf("%s: good backups are %v", what, ids)
				}
				if _, err := purge(inner, "/b", event.Discard, nil); err != nil {
					t.Errorf("%s: next run: %v", what, err)
				}
				finished(t, what, inner, "/b")
				if seen < n {
					break
				}
			}
		}
	}
}

// On a full disk, where nothing can be written at all, deleting still works.
func TestPurgeOnFullDisk(t *testing.T) {
	inner := crashfs.New()
	if err := build(inner, "/b"); err != nil {
		t.Fatal(err)
	}
	f := faultfs.New(inner)
	f.Before(func(op faultfs.Op) error {
		if op.Kind == faultfs.Write || op.Kind == faultfs.Create || op.Kind == faultfs.Mkdir {
			return syscall.ENOSPC
		}
		return nil
	})
	if _, err := purge(f, "/b", event.Discard, nil); err != nil {
		t.Fatal(err)
	}
	finished(t, "full disk", inner, "/b")
}

// What a deletion on a full disk has left is finished by the next run, whatever
// the policy, but not by a dry one.
func TestRunFinishesDeletions(t *testing.T) {
	f := crashfs.New()
	if err := build(f, "/b"); err != nil {
		t.Fatal(err)
	}
	inst, err := instance(f, "/b", event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(inst.Dir(), idF3.String())
	if err := f.Rename(filepath.Join(dir, catalog.ControlName), filepath.Join(dir, catalog.DeletingName)); err != nil {
		t.Fatal(err)
	}
	deps := Deps{FS: f, Instance: inst, Sink: event.Discard, Now: func() time.Time { return today }}
	for _, dry := range []bool{true, false} {
		if _, err := Run(ctx, deps, Options{Policy: Policy{Redundancy: 100, Delete: true}, DryRun: dry}); err != nil {
			t.Fatal(err)
		}
		list, err := inst.Backups(ctx)
		if err != nil || (list.ByID(idF3) != nil) != dry || len(list) < 5 {
			t.Errorf("dry run %t: left %d backups, %v", dry, len(list), err)
		}
	}
}

// events collects what happens, and may interfere.
func events(t *testing.T, log *[]string, meanwhile func(event.Event)) event.Sink {
	return event.Func(func(e event.Event) {
		if meanwhile != nil {
			meanwhile(e)
		}
		switch e.(type) {
		case PurgeSkipped, Retained, LockSkipped, catalog.Deleting, MergeStarted, MergeSkipped:
			*log = append(*log, summary(e))
		}
	})
}

func summary(e event.Event) string {
	switch e := e.(type) {
	case PurgeSkipped:
		return fmt.Sprintf("skip %s: %s", name(e.ID), e.Reason)
	case Retained:
		return fmt.Sprintf("retain %s for %s", name(e.ID), name(e.By))
	case LockSkipped:
		return "locked " + name(e.ID)
	case catalog.Deleting:
		return "delete " + name(e.Backup.ID)
	case MergeStarted:
		return fmt.Sprintf("merge %s to %s", name(e.Full), name(e.ID))
	}
	return fmt.Sprintf("%T", e)
}

func name(id catalog.ID) string {
	names := map[catalog.ID]string{idF1: "F1", idA: "a", idB: "b", idF2: "F2", idK: "k", idF3: "F3"}
	if n, ok := names[id]; ok {
		return n
	}
	return "new"
}

func TestPurgeLooksAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		// do is called when a is considered, before anything is deleted of
		// its chain but b.
		do   func(t *testing.T, inst *catalog.Instance)
		want string
	}{
		{"nothing happens", func(*testing.T, *catalog.Instance) {}, "retain F2 for k, delete b, delete a, delete F1"},
		{"locked", func(t *testing.T, inst *catalog.Instance) {
			k, err := inst.NewLocker().Acquire(ctx, filepath.Join(inst.Dir(), idA.String()), "a", lock.Intent{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = k.Release() })
		}, "retain F2 for k, delete b, locked a, retain F1 for a"},
		{"pinned", func(t *testing.T, inst *catalog.Instance) {
			change(t, inst, idA, func(b *catalog.Backup) { b.ExpireTime = today.AddDate(0, 1, 0) })
		}, "retain F2 for k, delete b, skip a: it is pinned, retain F1 for a"},
		{"validated", func(t *testing.T, inst *catalog.Instance) {
			change(t, inst, idA, func(b *catalog.Backup) { b.Status = catalog.StatusCorrupt })
		}, "retain F2 for k, delete b, skip a: it was changed meanwhile, retain F1 for a"},
		{"a backup is started", func(t *testing.T, inst *catalog.Instance) {
			b, err := inst.NewBackupDir(today, catalog.ModePtrack, 0)
			if err != nil {
				t.Fatal(err)
			}
			b.ParentID = idA
			if err := inst.SaveControl(b); err != nil {
				t.Fatal(err)
			}
		}, "retain F2 for k, delete b, retain a for new, retain F1 for new"},
		{"deleted by somebody else", func(t *testing.T, inst *catalog.Instance) {
			if err := os.RemoveAll(filepath.Join(inst.Dir(), idA.String())); err != nil {
				t.Fatal(err)
			}
		}, "retain F2 for k, delete b, delete F1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "b")
			if err := build(fsx.OS(), root); err != nil {
				t.Fatal(err)
			}
			inst, err := instance(fsx.OS(), root, event.Discard)
			if err != nil {
				t.Fatal(err)
			}
			var log []string
			_, err = purge(fsx.OS(), root, events(t, &log, func(e event.Event) {
				if e == (PurgeConsidered{ID: idA}) {
					tt.do(t, inst)
				}
			}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(log, ", "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func change(t *testing.T, inst *catalog.Instance, id catalog.ID, f func(*catalog.Backup)) {
	t.Helper()
	list, err := inst.Backups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := inst.UpdateControl(list.ByID(id), f); err != nil {
		t.Fatal(err)
	}
}

// Directories that are no backups stay, and so does what cannot be read.
func TestPurgeLeavesForeignDirectories(t *testing.T) {
	root := filepath.Join(t.TempDir(), "b")
	if err := build(fsx.OS(), root); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "backups/n1")
	for _, name := range []string{"OLD/notes.txt", "REMNAN/database/base/1", "DAMAGED/backup.control"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("?"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := purge(fsx.OS(), root, event.Discard, nil); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"OLD": true, "REMNAN": false, "DAMAGED": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// mergerFunc is a Merger.
type mergerFunc func(catalog.List) error

func (f mergerFunc) Merge(_ context.Context, chain catalog.List) error { return f(chain) }

// Finish gets the FULL alone.
func (f mergerFunc) Finish(_ context.Context, list catalog.List, full *catalog.Backup) error {
	if !slices.Contains(list, full) {
		return errors.New("the FULL is of another list")
	}
	return f(catalog.List{full})
}

func TestMergeComesFirst(t *testing.T) {
	f := crashfs.New()
	if err := build(f, "/b"); err != nil {
		t.Fatal(err)
	}
	var log []string
	failure := errors.New("no space")
	_, err := purge(f, "/b", events(t, &log, nil), mergerFunc(func(chain catalog.List) error {
		if len(chain) != 2 || chain[0].ID != idF2 || chain[1].ID != idK {
			t.Errorf("chain %v", chain)
		}
		return failure
	}))
	if got := strings.Join(log, ", "); !errors.Is(err, failure) || got != "merge F2 to k" {
		t.Errorf("%v, %s", err, got)
	}
	log = nil
	result, err := purge(f, "/b", events(t, &log, nil), mergerFunc(func(catalog.List) error { return nil }))
	if got := strings.Join(log, ", "); err != nil || got != "merge F2 to k, delete b, delete a, delete F1" {
		t.Errorf("%v, %s", err, got)
	}
	if result != (Result{Merged: true, Deleted: true}) {
		t.Errorf("%+v", result)
	}
	if ids := good(t, "after", f, "/b"); !slices.Equal(ids, kept) {
		t.Errorf("good backups are %v", ids)
	}
}
