package remove

import (
	"context"
	"errors"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/usererr"
)

// StatusOptions of Status.
type StatusOptions struct {
	Status catalog.Status
	DryRun bool
}

// Status deletes all backups of one status with their descendants, newest
// first. One that cannot be locked ends the run, so that nothing it needs is
// deleted.
func Status(ctx context.Context, deps Deps, opts StatusOptions) error {
	inst := deps.Instance
	all, err := inst.Backups(ctx)
	if err != nil {
		return err
	}
	if !opts.DryRun {
		if all, err = inst.SweepRemnants(all, deps.Now()); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		deps.Sink.Emit(NoBackups{Instance: inst.Name()})
		return nil
	}
	deps.Sink.Emit(StatusWanted(opts))
	chosen := chooseStatus(all, opts.Status)
	if !opts.DryRun {
		if _, err := inst.FinishDeletions(ctx, all, chosen); err != nil {
			return err
		}
	}
	if err := errors.Join(checkMerges(all, chosen), inst.CheckForeign(chosen)); err != nil {
		return err
	}
	locker := inst.NewLocker()
	for _, b := range chosen {
		if opts.DryRun {
			deps.Sink.Emit(StatusMatched{ID: b.ID, Status: b.Status, DryRun: true})
			continue
		}
		k, err := catalog.LockBackup(ctx, locker, b, intent)
		if err != nil {
			return err
		}
		deps.Sink.Emit(StatusMatched{ID: b.ID, Status: b.Status})
		if err = checkStill(ctx, inst, b, opts.Status, chosen); err == nil {
			// The size is told at the end, from what was known before.
			gone := *b
			err = inst.DeleteBackup(ctx, locker, &gone)
		}
		if err := errors.Join(err, k.Release()); err != nil {
			return err
		}
	}
	deps.Sink.Emit(TotalKnown{Backups: len(chosen), Bytes: residentSize(chosen)})
	switch {
	case len(chosen) == 0:
		deps.Sink.Emit(NothingMatched{Instance: inst.Name(), Status: opts.Status})
	case !opts.DryRun:
		deps.Sink.Emit(StatusDeleted{Backups: len(chosen), Instance: inst.Name()})
	}
	return nil
}

// checkStill looks at a backup again, now that it is locked. Those before it
// may have taken a long time, in which it was finished or found to be good, or
// another one was taken on top of it.
func checkStill(ctx context.Context, i *catalog.Instance, b *catalog.Backup, s catalog.Status, chosen catalog.List) error {
	fresh, err := i.WithSink(event.Discard).Backups(ctx)
	if err != nil {
		return err
	}
	in := func(list catalog.List, dir string) int {
		return slices.IndexFunc(list, func(x *catalog.Backup) bool { return x.Dir == dir })
	}
	n := in(fresh, b.Dir)
	if n < 0 || in(chooseStatus(fresh, s), b.Dir) < 0 {
		return usererr.New("Backup %s was changed by another process", b.ID)
	}
	for _, x := range withAllOn(fresh, fresh[n]) {
		if in(chosen, x.Dir) < 0 {
			return usererr.New("Backup %s was started on top of backup %s meanwhile", x.ID, b.ID)
		}
	}
	return nil
}

// chooseStatus returns the backups of a status and their descendants, newest
// first.
func chooseStatus(all catalog.List, s catalog.Status) catalog.List {
	wanted := map[*catalog.Backup]bool{}
	for _, b := range all {
		if b.Status != s || wanted[b] {
			continue
		}
		for _, d := range withAllOn(all, b) {
			wanted[d] = true
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
