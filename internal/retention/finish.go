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
//
// One that cannot be finished stays as it is, and the policy keeps its members.
// It must not end the run, this one and those to come: a disk that is full, why
// it could not be finished maybe, would never be freed.
func (r *run) finishMerges(ctx context.Context) error {
	tried := map[catalog.ID]bool{}
	for {
		full := r.nextUnfinished(tried)
		if full == nil {
			return nil
		}
		tried[full.ID] = true
		err := r.deps.Merger.Finish(ctx, r.list, full)
		switch {
		case err == nil:
			r.result.Merged = true
		case ctx.Err() != nil:
			return err
		case !errors.Is(err, lock.ErrHeld): // else somebody is at work on it
			r.unfinished = errors.Join(r.unfinished, err)
		}
		// It may have taken hours: the next one is looked for in a new list.
		if r.list, err = r.relist(ctx); err != nil {
			return err
		}
	}
}

// nextUnfinished is the FULL backup of a merge to be finished, nil if there is
// no more. Unless backups are to be deleted, the policy wants all of them.
func (r *run) nextUnfinished(tried map[catalog.ID]bool) *catalog.Backup {
	wanted := map[*catalog.Backup]bool{}
	for _, x := range Decide(r.list, r.opts.Policy, r.deps.Now()).Decisions {
		wanted[x.Backup] = !x.Expired || !r.opts.Policy.Delete
	}
	for _, full := range newChains(r.list).unfinished(wanted) {
		if !tried[full.ID] {
			return full
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
		lost := b.Status == catalog.StatusError || b.Status == catalog.StatusDeleting
		return wanted[b] && !lost && !slices.Contains(path, b) && c.needs(b, full) && !c.needs(b, dest)
	}
	return !slices.ContainsFunc(path, bad) && !slices.ContainsFunc(c.list, beside)
}
