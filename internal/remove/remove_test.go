package remove

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// F ← a ← b, F ← c, G ← d.
const (
	idF catalog.ID = 1_790_000_000 + 1000*iota
	idA
	idB
	idC
	idG
	idD
)

var parents = map[catalog.ID]catalog.ID{idF: 0, idA: idF, idB: idA, idC: idF, idG: 0, idD: idG}

func build(f fsx.FS, root string) error {
	c := catalog.Open(f, root, catalog.Options{Location: time.UTC})
	if err := c.Init(); err != nil {
		return err
	}
	inst, err := c.AddInstance(ctx, "n1", catalog.NewConfig())
	if err != nil {
		return err
	}
	for _, id := range []catalog.ID{idF, idA, idB, idC, idG, idD} {
		mode := catalog.ModePtrack
		if parents[id] == 0 {
			mode = catalog.ModeFull
		}
		b, err := inst.NewBackupDir(id.Time(), mode, 0)
		if err != nil {
			return err
		}
		b.ParentID, b.Status, b.DataBytes, b.WALBytes = parents[id], catalog.StatusOK, 10, 5
		file, err := f.OpenFile(filepath.Join(b.DatabaseDir(), "x"), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(file.Close(), inst.SaveControl(b)); err != nil {
			return err
		}
	}
	return nil
}

func deps(f fsx.FS, root string, sink event.Sink) (Deps, error) {
	inst, err := catalog.Open(f, root, catalog.Options{Location: time.UTC, Sink: sink}).Instance("n1")
	now := func() time.Time { return idD.Time().AddDate(0, 1, 0) }
	return Deps{Instance: inst, Sink: sink, Now: now}, err
}

func removeBackup(f fsx.FS, id catalog.ID) error {
	d, err := deps(f, "/b", event.Discard)
	if err != nil {
		return err
	}
	return Backup(ctx, d, Options{ID: id})
}

// good names the usable backups, oldest first; each must have what it needs.
func good(t *testing.T, what string, f fsx.FS) (ids []catalog.ID) {
	t.Helper()
	d, err := deps(f, "/b", event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.Instance.Backups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if !b.Status.Usable() {
			continue
		}
		chain, err := list.ChainTo(b)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, x := range chain {
			if _, err := f.Stat(filepath.Join(x.DatabaseDir(), "x")); err != nil || !x.Status.Usable() {
				t.Errorf("%s: backup %s is %s, but %s is %s: %v", what, b.ID, b.Status, x.ID, x.Status, err)
			}
		}
		ids = append(ids, b.ID)
	}
	slices.Reverse(ids)
	return ids
}

// Wherever a deletion is cut off, no backup that says OK lacks its parent, and
// the same command finishes the work.
func TestCrashWhileDeletingChain(t *testing.T) {
	crashfs.EachStep(t, func(f fsx.FS) error { return build(f, "/b") }, func(f fsx.FS) error {
		return removeBackup(f, idA)
	}, func(s crashfs.Step, f *crashfs.FS) {
		ids := good(t, s.String(), f)
		for _, id := range []catalog.ID{idF, idC, idG, idD} {
			if !slices.Contains(ids, id) {
				t.Errorf("%s: backup %s is gone", s, id)
			}
		}
		entries, err := f.ReadDir("/b/backups/n1")
		if err != nil {
			t.Fatal(err)
		}
		there := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == idA.String() })
		if err := removeBackup(f, idA); err != nil && there {
			t.Errorf("%s: next run: %v", s, err)
		}
		if entries, err = f.ReadDir("/b/backups/n1"); err != nil || len(entries) != 5 {
			t.Errorf("%s: left over: %v, %v", s, entries, err)
		}
	})
}

// The same for errors: any step fails once, or from there on nothing can be
// written.
func TestFaultsWhileDeletingChain(t *testing.T) {
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
					if seen++; seen == n || sticky && seen > n && (op.Kind == faultfs.Write || op.Kind == faultfs.Create) {
						return fault
					}
					return nil
				})
				err := removeBackup(f, idA)
				what := fmt.Sprintf("%v at step %d, sticky %t: %v", fault, n, sticky, err)
				for _, id := range []catalog.ID{idF, idC, idG, idD} {
					if !slices.Contains(good(t, what, inner), id) {
						t.Errorf("%s: backup %s is gone", what, id)
					}
				}
				again := removeBackup(inner, idA) // not found when only an empty directory was left
				if entries, err := inner.ReadDir("/b/backups/n1"); err != nil || len(entries) != 5 {
					t.Errorf("%s: after the next run (%v) left over: %v, %v", what, again, entries, err)
				}
				if seen < n {
					break
				}
			}
		}
	}
}

func TestDeleteOnFullDisk(t *testing.T) {
	inner := crashfs.New()
	if err := build(inner, "/b"); err != nil {
		t.Fatal(err)
	}
	f := faultfs.New(inner)
	f.Before(func(op faultfs.Op) error {
		if op.Kind == faultfs.Write || op.Kind == faultfs.Create {
			return syscall.ENOSPC
		}
		return nil
	})
	if err := removeBackup(f, idF); err != nil {
		t.Fatal(err)
	}
	if ids := good(t, "full disk", inner); !slices.Equal(ids, []catalog.ID{idG, idD}) {
		t.Errorf("left: %v", ids)
	}
}

// play runs a deletion on real files and returns its events and error as text.
func play(t *testing.T, prepare func(*catalog.Instance, catalog.List), meanwhile func(*catalog.Instance, event.Event), work func(Deps) error) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "b")
	if err := build(fsx.OS(), root); err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer(idF.String(), "F", idA.String(), "a", idB.String(), "b", idC.String(), "c", idG.String(), "G", idD.String(), "d")
	var log []string
	var d Deps
	d, err := deps(fsx.OS(), root, event.Func(func(e event.Event) {
		if meanwhile != nil {
			meanwhile(d.Instance, e)
		}
		switch e := e.(type) {
		case catalog.Deleting:
			log = append(log, "delete "+e.Backup.ID.String())
		case catalog.FileDeleting, lock.ProcessAlive:
		default:
			log = append(log, fmt.Sprintf("%T%v", e, e))
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.Instance.WithSink(event.Discard).Backups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(d.Instance, list)
	}
	if err := work(d); err != nil {
		log = append(log, err.Error())
	}
	return names.Replace(strings.ReplaceAll(strings.Join(log, ", "), "remove.", ""))
}

// startOn begins a backup an hour later on top of another.
func startOn(t *testing.T, i *catalog.Instance, parent catalog.ID) {
	t.Helper()
	b, err := i.NewBackupDir(idD.Time().Add(time.Hour), catalog.ModePtrack, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.ParentID = parent
	if err := i.SaveControl(b); err != nil {
		t.Fatal(err)
	}
}

func TestDelete(t *testing.T) {
	set := func(id catalog.ID, s catalog.Status) func(*catalog.Instance, catalog.List) {
		return func(i *catalog.Instance, l catalog.List) {
			err := i.UpdateControl(l.ByID(id), func(b *catalog.Backup) { b.Status, b.MergeDestID = s, idA })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	held := func(id catalog.ID) func(*catalog.Instance, catalog.List) {
		return func(i *catalog.Instance, l catalog.List) {
			if _, err := catalog.LockBackup(ctx, i.WithSink(event.Discard).NewLocker(), l.ByID(id), lock.Intent{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	id := func(id catalog.ID, dry bool) func(Deps) error {
		return func(d Deps) error { return Backup(ctx, d, Options{ID: id, DryRun: dry}) }
	}
	status := func(s catalog.Status) func(Deps) error {
		return func(d Deps) error { return Status(ctx, d, StatusOptions{Status: s}) }
	}
	for _, tt := range []struct {
		name      string
		prepare   func(*catalog.Instance, catalog.List)
		meanwhile func(*catalog.Instance, event.Event)
		work      func(Deps) error
		want      string
	}{
		{"one", nil, nil, id(idB, false), "ChainFound{b false}, Selected{b false}, SizeKnown{b 10}, delete b"},
		{"a chain, dry", nil, nil, id(idA, true), "ChainFound{a true}, Selected{b true}, Selected{a true}, SizeKnown{a 20}"},
		{"one is in use", held(idB), nil, id(idA, false),
			"ChainFound{a false}, Selected{b false}, Selected{a false}, SizeKnown{a 20}, Cannot lock backup b directory"},
		{"half of a merge", set(idF, catalog.StatusMerging), nil, id(idA, false),
			"ChainFound{a false}, Selected{b false}, Selected{a false}, SizeKnown{a 20}, Backup a is part of the unfinished merge of full backup F with backup a"},
		{"the whole of it", set(idF, catalog.StatusMerging), nil, id(idF, false),
			"ChainFound{F false}, Selected{c false}, Selected{b false}, Selected{a false}, Selected{F false}, SizeKnown{F 40}, delete F, delete a, delete b, delete c"},
		{"a backup is started on it", nil, func(i *catalog.Instance, e event.Event) {
			if _, ok := e.(SizeKnown); ok {
				startOn(t, i, idB)
			}
		}, id(idB, false), "ChainFound{b false}, Selected{b false}, SizeKnown{b 10}, Backup " + (idD + 3600).String() + " was started on top of backup b meanwhile, nothing is deleted"},
		{"not a backup", func(i *catalog.Instance, _ catalog.List) {
			if err := os.MkdirAll(filepath.Join(i.Dir(), (idD+5).String(), "my files"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil, func(d Deps) error {
			err := Backup(ctx, d, Options{ID: idD + 5})
			return errors.New(strings.ReplaceAll(err.Error(), d.Instance.Dir(), "DIR"))
		}, "catalog.ControlUnreadable"},
		{"a status with descendants", set(idA, catalog.StatusCorrupt), nil, status(catalog.StatusCorrupt),
			"StatusWanted{CORRUPT false}, StatusMatched{b OK false}, delete b, StatusMatched{a CORRUPT false}, delete a, TotalKnown{2 20}, StatusDeleted{2 n1}"},
		{"one of them in use", func(i *catalog.Instance, l catalog.List) { set(idA, catalog.StatusCorrupt)(i, l); held(idB)(i, l) }, nil,
			status(catalog.StatusCorrupt), "StatusWanted{CORRUPT false}, Cannot lock backup b directory"},
		{"half of a finished merge", set(idF, catalog.StatusMerged), nil, id(idA, false),
			"ChainFound{a false}, Selected{b false}, Selected{a false}, SizeKnown{a 20}, Backup a is part of the unfinished merge of full backup F with backup a"},
		{"what it has left", func(i *catalog.Instance, l catalog.List) {
			set(idF, catalog.StatusMerged)(i, l)
			set(idA, catalog.StatusDeleting)(i, l)
		}, nil,
			status(catalog.StatusDeleting), "StatusWanted{DELETING false}, Backup a is part of the unfinished merge of full backup F with backup a"},
		{"a merge without its name", func(i *catalog.Instance, l catalog.List) {
			set(idF, catalog.StatusMerged)(i, l)
			if err := os.RemoveAll(l.ByID(idA).Dir); err != nil {
				t.Fatal(err)
			}
		}, nil, id(idF, false), "ChainFound{F false}, Selected{c false}, Selected{b false}, Selected{F false}, SizeKnown{F 30}, delete F, delete b, delete c"},
		{"a merge with a gap", func(i *catalog.Instance, l catalog.List) {
			err := errors.Join(i.UpdateControl(l.ByID(idF), func(b *catalog.Backup) { b.Status, b.MergeDestID = catalog.StatusMerged, idB }),
				os.RemoveAll(l.ByID(idA).Dir))
			if err != nil {
				t.Fatal(err)
			}
		}, nil, id(idF, false), "ChainFound{F false}, Selected{c false}, Selected{b false}, Selected{F false}, SizeKnown{F 30}, delete F, delete b, delete c"},
		{"finished meanwhile", set(idC, catalog.StatusRunning), func(i *catalog.Instance, e event.Event) {
			if _, ok := e.(StatusMatched); ok {
				l, err := i.WithSink(event.Discard).Backups(ctx)
				if err != nil {
					t.Fatal(err)
				}
				set(idC, catalog.StatusOK)(i, l)
			}
		}, status(catalog.StatusRunning), "StatusWanted{RUNNING false}, StatusMatched{c RUNNING false}, Backup c was changed by another process"},
		{"one more on it meanwhile", set(idD, catalog.StatusDone), func(i *catalog.Instance, e event.Event) {
			if _, ok := e.(StatusMatched); ok {
				startOn(t, i, idD)
			}
		}, status(catalog.StatusDone), "StatusWanted{DONE false}, StatusMatched{d DONE false}, Backup " + (idD + 3600).String() + " was started on top of backup d meanwhile"},
		{"no such status", nil, nil, status(catalog.StatusRunning),
			"StatusWanted{RUNNING false}, TotalKnown{0 0}, NothingMatched{n1 RUNNING}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := play(t, tt.prepare, tt.meanwhile, tt.work)
			if tt.want == "catalog.ControlUnreadable" {
				if !strings.Contains(got, tt.want) || !strings.Contains(got, `is not a backup`) {
					t.Errorf("got %s", got)
				}
				return
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestNoBackups(t *testing.T) {
	got := play(t, func(i *catalog.Instance, l catalog.List) {
		for _, b := range l {
			if err := os.RemoveAll(b.Dir); err != nil {
				t.Fatal(err)
			}
		}
	}, nil, func(d Deps) error {
		if err := Status(ctx, d, StatusOptions{Status: catalog.StatusOK}); err != nil {
			return err
		}
		return Backup(ctx, d, Options{ID: idF})
	})
	if got != "NoBackups{n1}, Failed to find backup F, cannot delete" {
		t.Error(got)
	}
}
