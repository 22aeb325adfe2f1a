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
	for _, full := range newChains(r.list).unfinished() {
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

// unfinished are the FULL backups of merges that can be finished.
func (c chains) unfinished() (fulls catalog.List) {
	members := c.merging()
	for _, full := range c.list {
		if full.Mode != catalog.ModeFull || full.MergeDestID == 0 || !members[full] || c.doubled(full) {
			continue
		}
		if full.Status == catalog.StatusMerging && slices.ContainsFunc(c.path(c.list.ByID(full.MergeDestID)), func(b *catalog.Backup) bool {
			return b.Status != catalog.StatusMerging && !b.Status.Usable() || c.doubled(b)
		}) {
			continue
		}
		fulls = append(fulls, full)
	}
	return fulls
}
