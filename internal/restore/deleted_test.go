package restore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
	"gsprobackup/test/golden"
)

// A backup that is deleted while it is validated or restored by name is said
// to be, in plain words.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		at   func(event.Event) bool   // deleted at this event
		op   func(op faultfs.Op) bool // or before this operation
	}{
		{"before it is locked", nil, func(op faultfs.Op) bool { return op.Kind == faultfs.Create }},
		{"before its turn", func(e event.Event) bool { _, ok := e.(restore.ValidatingParents); return ok }, nil},
		{"while it is checked", func(e event.Event) bool { _, ok := e.(validate.FilesStarted); return ok }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, golden.Ptrack)
			id := w.c.Backups[len(w.c.Backups)-1]
			gone := false
			remove := func() {
				if !gone {
					gone = true
					w.must(os.RemoveAll(filepath.Dir(w.path(id, "backup.control"))))
				}
			}
			faulty := faultfs.New(w.m.FS())
			faulty.Before(func(op faultfs.Op) error {
				if tt.op != nil && tt.op(op) && filepath.Base(op.Path) == "backup.pid" {
					remove()
				}
				return nil
			})
			sink := event.Func(func(e event.Event) {
				if tt.at != nil && tt.at(e) {
					remove()
				}
			})
			opts := w.options(id)
			opts.Instance = w.instanceOn(faulty)
			err := restore.Check(context.Background(), restore.Deps{FS: fsx.FS(faulty), Host: remote.Local(faulty), Sink: sink}, opts)
			var u *usererr.Error
			if !errors.As(err, &u) || u.Text != "Backup "+id+" was deleted meanwhile" || u.ExitCode() != 1 || !gone {
				t.Errorf("gone: %v, error: %v", gone, err)
			}
		})
	}
}
