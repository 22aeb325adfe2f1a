package catalog

import (
	"errors"
	"io/fs"

	"gsprobackup/internal/event"
	"gsprobackup/internal/usererr"
)

// Gone tells whether a backup that was listed has been deleted since, or is
// being deleted. A merge makes backups go, too.
func (i *Instance) Gone(b *Backup) bool {
	if b.NoControl {
		_, err := i.fs.Lstat(b.Dir)
		return errors.Is(err, fs.ErrNotExist)
	}
	if b.Leaving {
		return false // it was listed as being deleted
	}
	fresh, err := ReadControl(i.fs, b.ControlPath(), event.Discard)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return fresh.Status == StatusDeleting && b.Status != StatusDeleting
}

// DeletedError is the error for a backup that is Gone; cause is what could not
// be done for that reason, or nil.
func DeletedError(b *Backup, cause error) error {
	return usererr.Wrap(cause, "Backup %s was deleted meanwhile", b.ID)
}
