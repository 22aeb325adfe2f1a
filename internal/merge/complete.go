package merge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/validate"
)

// complete does what is left for a FULL that says MERGED: it deletes the
// increments, takes the destination's ID and becomes OK.
func (m *merge) complete(ctx context.Context) error {
	dest := m.result
	if err := fsx.RemoveIfThere(m.deps.FS, filepath.Join(m.full.Dir, journalName)); err != nil {
		return fmt.Errorf("remove merge journal: %w", err)
	}
	for _, b := range m.chain[1:] {
		if b.ID == dest {
			if err := m.takePin(b); err != nil {
				return err
			}
		}
		if err := m.deps.Instance.DeleteBackup(ctx, m.locker, b); err != nil {
			return err
		}
	}
	full, oldDir, newDir := m.full.ID, m.full.Dir, filepath.Join(m.deps.Instance.Dir(), dest.String())
	if oldDir != newDir {
		m.emit(Renamed{OldDir: oldDir, NewDir: newDir, Full: full, Dest: dest})
		if err := m.deps.FS.Rename(oldDir, newDir); err != nil {
			return fmt.Errorf("rename merged backup: %w", err)
		}
		m.full.Dir = newDir
	}
	if err := m.deps.FS.SyncDir(m.deps.Instance.Dir()); err != nil {
		return fmt.Errorf("rename merged backup: %w", err)
	}
	err := m.deps.Instance.UpdateControl(m.full, func(b *catalog.Backup) {
		b.ID, b.MergeDestID, b.ParentID, b.Status = dest, 0, 0, catalog.StatusOK
	})
	if err != nil {
		return fmt.Errorf("save control file of backup %s: %w", dest, err)
	}
	if m.verdict == nil { // this run has not checked it
		return m.lastCheck(ctx)
	}
	for _, e := range m.verdict {
		m.emit(e)
	}
	return nil
}

// takePin gives the result the pin and the note of the destination once more:
// set-backup takes no lock, and the merge may have taken hours.
func (m *merge) takePin(dest *catalog.Backup) error {
	if dest.Unreadable {
		return nil
	}
	err := m.deps.Instance.MarkDeleting(dest)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return nil // DeleteBackup has its ways
	case err != nil:
		return err
	case dest.ExpireTime.Equal(m.full.ExpireTime) && dest.Note == m.full.Note:
		return nil
	}
	err = m.deps.Instance.UpdateControl(m.full, func(b *catalog.Backup) { b.ExpireTime, b.Note = dest.ExpireTime, dest.Note })
	if err != nil {
		return fmt.Errorf("save control file of backup %s: %w", m.full.ID, err)
	}
	return nil
}

// lastCheck is for a merge of which only the end was left, maybe C's.
func (m *merge) lastCheck(ctx context.Context) error {
	deps := validate.Deps{FS: m.deps.FS, Instance: m.deps.Instance, Sink: m.deps.Sink}
	if err := validate.Files(ctx, deps, m.full, validate.Options{Threads: m.threads}); err != nil {
		return err
	}
	if m.full.Status != catalog.StatusOK {
		return mergingFailed(m.full.ID)
	}
	return nil
}
