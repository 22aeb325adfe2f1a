package remove

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
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

// killed deletes idA and its child on a full disk and dies before step n. It
// tells whether there are that many steps.
func killed(t *testing.T, n int) (*crashfs.FS, bool) {
	t.Helper()
	inner := crashfs.New()
	if err := build(inner, "/b"); err != nil {
		t.Fatal(err)
	}
	f := faultfs.New(inner)
	seen := 0
	f.Before(func(op faultfs.Op) error {
		if seen++; seen >= n {
			return crashfs.ErrCrashed
		}
		if op.Kind == faultfs.Write || op.Kind == faultfs.Create {
			return syscall.ENOSPC
		}
		return nil
	})
	err := removeBackup(f, idA)
	return inner, errors.Is(err, crashfs.ErrCrashed)
}

// Wherever a deletion on a full disk is killed, what it leaves is known as
// being deleted, and any later deletion in the instance finishes it. A
// directory in which a backup is being begun is left alone.
func TestKilledOnFullDisk(t *testing.T) {
	for name, next := range map[string]func(Deps) error{
		"delete another": func(d Deps) error { return Backup(ctx, d, Options{ID: idD}) },
		"delete status": func(d Deps) error {
			return Status(ctx, d, StatusOptions{Status: catalog.StatusCorrupt})
		},
	} {
		left := 0
		for n := 1; ; n++ {
			fsys, more := killed(t, n)
			if !more {
				break
			}
			what := fmt.Sprintf("%s after step %d", name, n)
			d, err := deps(fsys, "/b", event.Discard)
			if err != nil {
				t.Fatal(err)
			}
			begun := filepath.Join(d.Instance.Dir(), (idD + 9).String())
			if err := errors.Join(fsys.Mkdir(begun, 0o700), fsys.Mkdir(filepath.Join(begun, "database"), 0o700)); err != nil {
				t.Fatal(err)
			}
			d.Now = func() time.Time { return (idD + 10).Time() }
			list, err := d.Instance.Backups(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range list {
				if b.Leaving {
					left++
				}
				empty, err := fsys.ReadDir(b.Dir)
				if b.NoControl && b.Dir != begun && (err != nil || len(empty) > 0) {
					t.Errorf("%s: %s is not known as being deleted: %v", what, b.ID, empty)
				}
			}
			if err := next(d); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := fsys.Stat(filepath.Join(begun, "database")); err != nil {
				t.Errorf("%s: a backup that is being begun was touched: %v", what, err)
			}
			if list, err = d.Instance.Backups(ctx); err != nil {
				t.Fatal(err)
			}
			for _, b := range list {
				if empty, _ := fsys.ReadDir(b.Dir); !b.Status.Usable() && b.Dir != begun && len(empty) > 0 {
					t.Errorf("%s: backup %s (%s) is left", what, b.ID, b.Status)
				}
			}
		}
		if left == 0 {
			t.Errorf("%s: no deletion was cut off", name)
		}
	}
}

// The remains can also be named, and those a command has locked are left to it.
func TestRemainsAreABackup(t *testing.T) {
	full := func(t *testing.T) (Deps, *catalog.Backup) {
		t.Helper()
		fsys, root := fsx.OS(), filepath.Join(t.TempDir(), "b") // with flock
		if err := build(fsys, root); err != nil {
			t.Fatal(err)
		}
		d, err := deps(fsys, root, event.Discard)
		if err != nil {
			t.Fatal(err)
		}
		a := filepath.Join(d.Instance.Dir(), idA.String())
		if err := fsys.Rename(filepath.Join(a, catalog.ControlName), filepath.Join(a, catalog.DeletingName)); err != nil {
			t.Fatal(err)
		}
		list, err := d.Instance.Backups(ctx)
		if err != nil {
			t.Fatal(err)
		}
		b := list.ByID(idA)
		if b == nil || b.Status != catalog.StatusDeleting || b.ParentID != idF || b.Unreadable {
			t.Fatalf("read as %+v", b)
		}
		return d, b
	}
	ids := func(d Deps) (ids []catalog.ID) {
		list, err := d.Instance.Backups(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range list {
			ids = append(ids, b.ID)
		}
		return ids
	}
	for name, work := range map[string]func(Deps) error{
		"by ID":     func(d Deps) error { return Backup(ctx, d, Options{ID: idA}) },
		"by status": func(d Deps) error { return Status(ctx, d, StatusOptions{Status: catalog.StatusDeleting}) },
	} {
		d, _ := full(t)
		if err := work(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := ids(d); !slices.Equal(got, []catalog.ID{idD, idG, idC, idF}) {
			t.Errorf("%s: left %v", name, got)
		}
	}
	d, a := full(t)
	if err := Backup(ctx, d, Options{ID: idD, DryRun: true}); err != nil || !slices.Contains(ids(d), idA) {
		t.Errorf("dry run: %v, %v", err, ids(d))
	}
	if _, err := catalog.LockBackup(ctx, d.Instance.NewLocker(), a, lock.Intent{}); err != nil {
		t.Fatal(err)
	}
	if err := Backup(ctx, d, Options{ID: idD}); err != nil || !slices.Contains(ids(d), idA) {
		t.Errorf("in use: %v, %v", err, ids(d))
	}
}
