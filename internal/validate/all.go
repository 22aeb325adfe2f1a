package validate

import (
	"context"
	"errors"
	"fmt"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
)

// ErrInvalid says that a validation of many backups found bad ones. It was
// reported by SomeInvalid; only the exit status is left to tell.
var ErrInvalid = errors.New("some backups are not valid")

// InstanceResult sums up one instance.
type InstanceResult struct{ Corrupt, Locked bool }

// Instance validates all backups of an instance, newest first (spec/server.md
// §7.3): chain, files, WAL. Descendants of a bad backup become ORPHAN, those
// of one that turns out good again are checked at once.
func Instance(ctx context.Context, deps Deps, opts Options) (res InstanceResult, err error) {
	inst := deps.Instance
	backups, err := inst.Backups(ctx)
	if err != nil {
		return res, err
	}
	opts.Archive = inst.WALDir()
	v := instance{deps: deps, opts: opts, backups: backups, locker: inst.NewLocker()}
	defer func() { err = errors.Join(err, v.unlock()) }()
	deps.Sink.Emit(InstanceStarted{Instance: inst.Name()})
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
	backups []*catalog.Backup
	locker  *lock.Locker
	locks   []*lock.Lock
	result  InstanceResult
	// seen are the backups that were checked out of order.
	seen map[catalog.ID]bool
}

func (v *instance) validate(ctx context.Context, b *catalog.Backup) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if v.seen[b.ID] {
		return nil
	}
	target, ok, err := v.chain(b)
	if err != nil {
		return err
	}
	if !ok {
		v.result.Corrupt = true
		return nil
	}
	// In a broken chain the oldest bad member is what can be mended.
	if err := v.one(ctx, target); err != nil {
		return err
	}
	if !target.Status.Usable() {
		v.result.Corrupt = true
		return MarkOrphans(v.deps, v.backups, target)
	}
	return v.reviveOrphans(ctx, target)
}

// chain finds what to check for a backup: itself, or the oldest member of its
// chain that is not usable. ok is false when a parent is missing.
func (v *instance) chain(b *catalog.Backup) (target *catalog.Backup, ok bool, err error) {
	byID := map[catalog.ID]*catalog.Backup{}
	for _, x := range v.backups {
		byID[x.ID] = x
	}
	target = b
	steps := 0
	for x := b; x.Mode == catalog.ModePtrack; {
		parent := byID[x.ParentID]
		if steps++; parent == nil || steps > len(v.backups) {
			return nil, false, MarkMissingParent(v.deps, v.backups, x.ParentID)
		}
		if !parent.Status.Usable() {
			target = parent
		}
		x = parent
	}
	if target != b {
		if err := MarkOrphans(v.deps, v.backups, target); err != nil {
			return nil, false, err
		}
	}
	return target, true, nil
}

// one checks files and WAL of a backup.
func (v *instance) one(ctx context.Context, b *catalog.Backup) error {
	if v.seen == nil {
		v.seen = map[catalog.ID]bool{}
	}
	if v.seen[b.ID] {
		return nil
	}
	v.seen[b.ID] = true
	if b.Unreadable {
		v.result.Corrupt = true
		v.deps.Sink.Emit(Skipped{ID: b.ID, Status: b.Status})
		return nil
	}
	l, err := v.locker.Acquire(ctx, b.Dir, b.ID.String(), lock.Intent{})
	if errors.Is(err, lock.ErrHeld) {
		v.deps.Sink.Emit(LockedElsewhere{ID: b.ID})
		v.result.Locked = true
		return nil
	}
	if err != nil {
		return err
	}
	v.locks = append(v.locks, l)
	if err := Files(ctx, v.deps, b, v.opts); err != nil {
		return err
	}
	return WAL(ctx, v.deps, b, v.opts)
}

// reviveOrphans checks the ORPHAN descendants of a good backup, oldest first,
// as far as their chains are whole now.
func (v *instance) reviveOrphans(ctx context.Context, b *catalog.Backup) error {
	usable := map[catalog.ID]bool{b.ID: true}
	for _, d := range descendants(v.backups, b.ID) {
		if d.Status == catalog.StatusOrphan && usable[d.ParentID] {
			if err := v.one(ctx, d); err != nil {
				return err
			}
			if !d.Status.Usable() {
				v.result.Corrupt = true
			}
		}
		usable[d.ID] = d.Status.Usable()
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
