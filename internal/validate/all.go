package validate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
)

// InstanceResult sums up one instance.
type InstanceResult struct{ Corrupt, Locked bool }

// Instance validates all backups of an instance, newest first (spec/server.md
// §7.3): chain, files, WAL. Descendants of a bad backup become ORPHAN, those
// of one that turns out good again are checked at once.
func Instance(ctx context.Context, deps Deps, opts Options) (res InstanceResult, err error) {
	inst := deps.Instance
	deps.Sink.Emit(InstanceStarted{Instance: inst.Name()})
	backups, err := inst.Backups(ctx)
	if err != nil {
		return res, err
	}
	opts.Archive = inst.WALDir()
	v := instance{deps: deps, opts: opts, backups: backups, locker: inst.NewLocker()}
	defer func() { err = errors.Join(err, v.unlock()) }()
	for _, b := range backups {
		if err := v.validate(ctx, b); err != nil {
			return v.result, err
		}
	}
	return v.result, nil
}

// instance is the validation of one instance under way.
type instance struct {
	deps    Deps
	opts    Options
	backups catalog.List
	locker  *lock.Locker
	locks   []*lock.Lock
	result  InstanceResult
}

// validate checks one backup, unless something older in its chain is missing
// or bad: then it only becomes ORPHAN. The oldest bad one gets its chance when
// its turn comes, and its descendants with it.
func (v *instance) validate(ctx context.Context, b *catalog.Backup) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	bad, missing, broken := oldestBad(v.backups, b)
	if broken || bad != nil && bad != b {
		moving, err := v.moving(ctx, b)
		if err != nil {
			return err
		}
		if moving {
			v.inUse(b)
			return nil
		}
	}
	switch {
	case broken:
		v.result.Corrupt = true
		return markMissing(v.deps, b, missing)
	case bad != nil && bad != b:
		return markBad(v.deps, b, bad)
	}
	checked, err := v.one(ctx, b)
	if err != nil || !checked {
		return err
	}
	if !b.Status.Usable() {
		v.result.Corrupt = true
		return v.orphanChildren(b)
	}
	return v.reviveOrphans(ctx, b)
}

// moving tells whether what is wrong with a chain may only be that somebody is
// at work on it: what was listed is not so any more, or the process that uses
// the bad member is alive. Nothing is said and nobody becomes ORPHAN then.
func (v *instance) moving(ctx context.Context, b *catalog.Backup) (bool, error) {
	now, err := v.deps.Instance.WithSink(event.Discard).Backups(ctx)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(now, func(x *catalog.Backup) bool { return x.Dir == b.Dir })
	if i < 0 || now[i].ID != b.ID || now[i].Status != b.Status || now[i].ParentID != b.ParentID {
		return true, nil
	}
	wasBad, _, wasBroken := oldestBad(v.backups, b)
	bad, _, broken := oldestBad(now, now[i])
	switch {
	case broken != wasBroken:
		return true, nil
	case broken: // a parent is noted some time after the start
		return b.Status == catalog.StatusRunning && v.locker.Alive(b.Dir), nil
	case bad == nil || bad.ID != wasBad.ID || bad.Status != wasBad.Status:
		return true, nil
	}
	switch bad.Status {
	case catalog.StatusRunning, catalog.StatusMerging, catalog.StatusMerged, catalog.StatusDeleting:
		return v.locker.Alive(bad.Dir), nil
	}
	return false, nil
}

func (v *instance) inUse(b *catalog.Backup) {
	v.deps.Sink.Emit(LockedElsewhere{ID: b.ID})
	v.result.Locked = true
}

// oldestBad walks the chain of a backup down to its FULL. bad is the oldest
// member that is not OK or DONE, b itself included. broken says that the chain
// ends at a backup whose parent, missing, is not there; that ID is 0 for a
// backup without readable control file.
func oldestBad(backups catalog.List, b *catalog.Backup) (bad *catalog.Backup, missing catalog.ID, broken bool) {
	x := b
	for steps := 0; ; steps++ {
		if !x.Status.Usable() {
			bad = x
		}
		if x.Mode == catalog.ModeFull {
			return bad, 0, false
		}
		parent := backups.Parent(x)
		if parent == nil || steps > len(backups) {
			return bad, x.ParentID, true
		}
		x = parent
	}
}

// one checks files and WAL of a backup; checked is false if somebody else is
// using it.
func (v *instance) one(ctx context.Context, b *catalog.Backup) (checked bool, err error) {
	l, err := v.locker.Acquire(ctx, b.Dir, b.ID.String(), lock.Intent{})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.gone(b)
		return false, nil
	case errors.Is(err, lock.ErrHeld):
		v.inUse(b)
		return false, nil
	case err != nil:
		return false, err
	}
	v.locks = append(v.locks, l)
	if v.deps.Instance.Gone(b) {
		v.gone(b)
		return false, nil
	}
	if !v.refresh(b) {
		v.inUse(b)
		return false, nil
	}
	if err = Files(ctx, v.deps, b, v.opts); err == nil {
		err = WAL(ctx, v.deps, b, v.opts)
	}
	if err != nil && ctx.Err() == nil && v.deps.Instance.Gone(b) {
		v.gone(b)
		return false, nil
	}
	return true, err
}

// gone passes over a backup that was deleted, or merged, since it was listed:
// nothing is wrong with those that are left.
func (v *instance) gone(b *catalog.Backup) { v.deps.Sink.Emit(DeletedMeanwhile{ID: b.ID}) }

// refresh gives b what its control file says now that it is locked: a backup
// that was being taken when the list was read may be good, and must not become
// ERROR. It is false if another backup has this place now.
func (v *instance) refresh(b *catalog.Backup) bool {
	if b.Unreadable {
		return true
	}
	fresh, err := catalog.ReadControl(v.deps.FS, b.ControlPath(), event.Discard)
	if err != nil {
		return true // reported when it is checked
	}
	if fresh.ID != b.ID || fresh.ParentID != b.ParentID {
		return false
	}
	fresh.Dir = b.Dir
	*b = *fresh
	return true
}

// orphanChildren makes the good descendants of a bad backup ORPHAN, oldest
// first.
func (v *instance) orphanChildren(bad *catalog.Backup) error {
	all := v.backups.Descendants(bad)
	for i := len(all) - 1; i >= 0; i-- {
		if d := all[i]; d.Status.Usable() {
			if err := markBad(v.deps, d, bad); err != nil {
				return err
			}
		}
	}
	return nil
}

// reviveOrphans checks the ORPHAN descendants of a good backup, oldest first,
// as far as their chains are whole now.
func (v *instance) reviveOrphans(ctx context.Context, b *catalog.Backup) error {
	all := v.backups.Descendants(b)
	for i := len(all) - 1; i >= 0; i-- {
		d := all[i]
		bad, _, broken := oldestBad(v.backups, d)
		if d.Status != catalog.StatusOrphan || bad != d || broken {
			continue
		}
		if _, err := v.one(ctx, d); err != nil {
			return err
		}
		if !d.Status.Usable() {
			v.result.Corrupt = true
		}
	}
	return nil
}

func (v *instance) unlock() error {
	var errs []error
	for _, l := range v.locks {
		if err := l.Release(); err != nil {
			errs = append(errs, fmt.Errorf("unlock backup: %w", err))
		}
	}
	return errors.Join(errs...)
}
