package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"gsprobackup/internal/catalog/lock"
)

// remnantAge keeps SweepRemnants away from a directory that a backup has made
// a moment ago and is about to fill.
const remnantAge = time.Minute

// SweepRemnants removes what a delete leaves that is killed at its very last
// step: an empty directory, which nothing links to the rest of its chain any
// more. It returns the list without them.
func (i *Instance) SweepRemnants(list List, now time.Time) (List, error) {
	var rest List
	swept := false
	for _, b := range list {
		if !b.NoControl || now.Sub(b.StartTime()) < remnantAge || filepath.Base(b.Dir) != b.ID.String() {
			rest = append(rest, b)
			continue
		}
		err := i.fs.Remove(b.Dir)
		switch {
		case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
			rest = append(rest, b)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("delete what is left of backup %s: %w", b.ID, err)
		default:
			swept = true
		}
	}
	if !swept {
		return rest, nil
	}
	if err := i.fs.SyncDir(i.dir); err != nil {
		return nil, fmt.Errorf("delete what is left of backups: %w", err)
	}
	return rest, nil
}

// FinishDeletions deletes what is left of backups whose deletion was begun on
// a full disk and cut off. It returns the list without them. Spared are those
// in spare, which the caller deletes itself, and those somebody has locked. A
// backup that is being taken is never hit: nothing but a deletion makes the
// name that is looked for.
func (i *Instance) FinishDeletions(ctx context.Context, list, spare List) (List, error) {
	locker := i.NewLocker()
	var rest List
	for _, b := range list {
		if !b.Leaving || slices.Contains(spare, b) {
			rest = append(rest, b)
			continue
		}
		held, err := i.finishDeletion(ctx, locker, b)
		if err != nil {
			return nil, err
		}
		if held {
			rest = append(rest, b)
		}
	}
	return rest, nil
}

func (i *Instance) finishDeletion(ctx context.Context, locker *lock.Locker, b *Backup) (held bool, err error) {
	k, err := LockBackup(ctx, locker, b, lock.Intent{Destructive: true, WithoutSpace: true})
	switch {
	case errors.Is(err, lock.ErrHeld):
		return true, nil
	case errors.Is(err, fs.ErrNotExist): // somebody else has finished it
		return false, nil
	case err != nil:
		return false, err
	}
	return false, errors.Join(i.DeleteBackup(ctx, locker, b), k.Release())
}
