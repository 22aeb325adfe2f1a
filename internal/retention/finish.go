package retention

import (
	"context"
	"errors"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
)

// finishMerges takes up the merges that were cut off. Until they are finished
// nothing of their chains can be restored or built upon, and the policy does
// not lead to them again once increments are gone or a day has passed.
func (r *run) finishMerges(ctx context.Context) error {
	plan := Decide(r.list, r.opts.Policy, r.deps.Now())
	wanted := map[*catalog.Backup]bool{}
	for _, x := range plan.Decisions {
		wanted[x.Backup] = !x.Expired
	}
	for _, full := range newChains(r.list).unfinished(wanted) {
		err := r.deps.Merger.Finish(ctx, r.list, full)
		if errors.Is(err, lock.ErrHeld) {
			continue // somebody is at work on it
		}
		if err != nil {
			return err
		}
		r.result.Merged = true
		if r.list, err = r.relist(ctx); err != nil {
			return err
		}
	}
	return nil
}

// unfinished are the FULL backups of merges that can be finished. While one
// says MERGING it may still have what a wanted backup beside the chain needs,
// for C does not look before it begins.
func (c chains) unfinished(wanted map[*catalog.Backup]bool) (fulls catalog.List) {
	members := c.merging()
	for _, full := range c.list {
		if full.Mode != catalog.ModeFull || full.MergeDestID == 0 || !members[full] || c.doubled(full) {
			continue
		}
		if full.Status == catalog.StatusMerging && !c.finishable(c.path(c.list.ByID(full.MergeDestID)), wanted) {
			continue
		}
		fulls = append(fulls, full)
	}
	return fulls
}

// finishable tells whether a chain that says MERGING can be merged without
// loss.
func (c chains) finishable(path catalog.List, wanted map[*catalog.Backup]bool) bool {
	full, dest := path[0], path[len(path)-1]
	bad := func(b *catalog.Backup) bool {
		return b.Status != catalog.StatusMerging && !b.Status.Usable() || c.doubled(b)
	}
	beside := func(b *catalog.Backup) bool {
		return wanted[b] && !slices.Contains(path, b) && c.needs(b, full) && !c.needs(b, dest)
	}
	return !slices.ContainsFunc(path, bad) && !slices.ContainsFunc(c.list, beside)
}
