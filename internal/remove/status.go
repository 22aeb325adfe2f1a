package remove

import (
	"context"
	"errors"

	"gsprobackup/internal/catalog"
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
	if err := errors.Join(checkMerges(all, chosen), checkForeign(inst, chosen)); err != nil {
		return err
	}
	locker := inst.NewLocker()
	for _, b := range chosen {
		if b.Status == opts.Status {
			deps.Sink.Emit(StatusMatched{ID: b.ID, Status: b.Status, DryRun: opts.DryRun})
		}
		if opts.DryRun {
			continue
		}
		k, err := catalog.LockBackup(ctx, locker, b, intent)
		if err != nil {
			return err
		}
		// The size is told at the end, from what was known before.
		gone := *b
		if err := errors.Join(inst.DeleteBackup(ctx, &gone), k.Release()); err != nil {
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

// chooseStatus returns the backups of a status and their descendants, newest
// first.
func chooseStatus(all catalog.List, s catalog.Status) catalog.List {
	wanted := map[*catalog.Backup]bool{}
	for _, b := range all {
		if b.Status != s || wanted[b] {
			continue
		}
		wanted[b] = true
		for _, d := range all.Descendants(b) {
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
