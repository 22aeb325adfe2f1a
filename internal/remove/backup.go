package remove

import (
	"context"
	"errors"
	"slices"
	"syscall"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/usererr"
)

// intent is that of all deletions: also on a full disk.
var intent = lock.Intent{Destructive: true, WithoutSpace: true}

// Options of Backup.
type Options struct {
	ID     catalog.ID
	DryRun bool
}

// Backup deletes a backup with all its descendants, the oldest first, as the C
// tool does. Nothing is deleted unless all can be locked.
//
// Called again after an interruption it finishes the work, also when the named
// backup itself is gone already.
func Backup(ctx context.Context, deps Deps, opts Options) (err error) {
	all, err := deps.Instance.Backups(ctx)
	if err != nil {
		return err
	}
	if !opts.DryRun {
		if all, err = deps.Instance.SweepRemnants(all, deps.Now()); err != nil {
			return err
		}
	}
	chosen := choose(all, opts.ID)
	if !opts.DryRun {
		if all, err = deps.Instance.FinishDeletions(ctx, all, chosen); err != nil {
			return err
		}
	}
	if len(chosen) == 0 {
		return usererr.New("Failed to find backup %s, cannot delete", opts.ID)
	}
	deps.Sink.Emit(ChainFound(opts))
	for _, b := range chosen {
		deps.Sink.Emit(Selected{ID: b.ID, DryRun: opts.DryRun})
	}
	deps.Sink.Emit(SizeKnown{ID: opts.ID, Bytes: residentSize(chosen)})
	if err := errors.Join(checkMerges(all, chosen), deps.Instance.CheckForeign(chosen)); err != nil || opts.DryRun {
		return err
	}
	oldestFirst := slices.Clone(chosen)
	slices.Reverse(oldestFirst)
	locker := deps.Instance.NewLocker()
	unlock, err := lockAll(ctx, locker, oldestFirst)
	defer func() { err = errors.Join(err, unlock()) }()
	if err != nil {
		return err
	}
	if err := checkNewcomers(ctx, deps.Instance, opts.ID, chosen); err != nil {
		return err
	}
	order := oldestFirst
	switch err := mark(deps.Instance, chosen); {
	case errors.Is(err, syscall.ENOSPC):
		order = chosen // unmarked, the parents have to outlive their children
	case err != nil:
		return err
	}
	for _, b := range order {
		if err := deps.Instance.DeleteBackup(ctx, locker, b); err != nil {
			return err
		}
	}
	return nil
}

// choose returns a backup and all its descendants, newest first. If it is gone
// but has children that say DELETING, these are what an interrupted run left.
func choose(all catalog.List, id catalog.ID) catalog.List {
	wanted := map[*catalog.Backup]bool{}
	add := func(b *catalog.Backup) {
		for _, d := range withAllOn(all, b) {
			wanted[d] = true
		}
	}
	if b := all.ByID(id); b != nil {
		add(b)
	} else {
		for _, b := range all {
			if b.ParentID == id && b.Status == catalog.StatusDeleting {
				add(b)
			}
		}
	}
	var chosen catalog.List
	for _, b := range all {
		if wanted[b] {
			chosen = append(chosen, b)
		}
	}
	return chosen
}

// mark sets DELETING, children first: at no time does a good backup stand on
// one that is being deleted.
func mark(i *catalog.Instance, newestFirst catalog.List) error {
	for _, b := range newestFirst {
		if err := i.MarkDeleting(b); err != nil {
			return err
		}
	}
	return nil
}

// lockAll locks backups; unlock is never nil.
func lockAll(ctx context.Context, locker *lock.Locker, list catalog.List) (unlock func() error, err error) {
	var locks []*lock.Lock
	unlock = func() (err error) {
		for _, k := range locks {
			err = errors.Join(err, k.Release())
		}
		return err
	}
	for _, b := range list {
		k, err := catalog.LockBackup(ctx, locker, b, intent)
		if err != nil {
			return unlock, err
		}
		locks = append(locks, k)
	}
	return unlock, nil
}

// checkNewcomers looks again, now that everything is locked: a backup that was
// started on one of the chosen must not lose its parent.
func checkNewcomers(ctx context.Context, i *catalog.Instance, id catalog.ID, chosen catalog.List) error {
	fresh, err := i.WithSink(event.Discard).Backups(ctx)
	if err != nil {
		return err
	}
	for _, b := range choose(fresh, id) {
		if !slices.ContainsFunc(chosen, func(c *catalog.Backup) bool { return c.Dir == b.Dir }) {
			return usererr.New("Backup %s was started on top of backup %s meanwhile, nothing is deleted", b.ID, id)
		}
	}
	return nil
}
