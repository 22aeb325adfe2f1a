package retention

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
)

// purge deletes what the plan says, newest first, so that nothing ever loses
// its parent.
func (r *run) purge(ctx context.Context) error {
	var expired []Decision
	doomed := map[string]bool{} // by directory
	for _, x := range r.plan.Decisions {
		if x.Expired && x.Action != Merge {
			expired = append(expired, x)
		}
		if x.Action == Delete {
			doomed[x.Backup.Dir] = true
		}
	}
	locker := r.deps.Instance.NewLocker()
	for _, x := range leafFirst(r.list, expired) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.emit(PurgeConsidered{ID: x.Backup.ID})
		if x.Action != Delete {
			r.retain(x)
			continue
		}
		for _, k := range r.keepers() {
			r.emit(ParentChecked{ID: x.Backup.ID, Keeper: k.ID})
		}
		deleted, err := r.purgeOne(ctx, locker, x.Backup, doomed)
		if err != nil {
			return err
		}
		doomed[x.Backup.Dir] = deleted // what stays guards its ancestors
		r.result.Deleted = r.result.Deleted || deleted
	}
	return nil
}

// keepers are the increments that expired backups are checked against; those
// that were merged need nobody.
func (r *run) keepers() (keepers catalog.List) {
	for _, x := range r.plan.Decisions {
		if x.Action != Merge && slices.Contains(r.plan.Keepers, x.Backup) {
			keepers = append(keepers, x.Backup)
		}
	}
	return keepers
}

// retain tells why an expired backup stays.
func (r *run) retain(x Decision) {
	reason := x.Reasons[0]
	found := false
	for _, k := range r.keepers() {
		r.emit(ParentChecked{ID: x.Backup.ID, Keeper: k.ID})
		if found = reason == (Reason{NeededBy, k.ID}); found {
			break
		}
	}
	if reason.Cause == NeededBy {
		r.emit(Retained{ID: x.Backup.ID, By: reason.Backup})
	} else {
		r.emit(PurgeSkipped{ID: x.Backup.ID, Reason: reason})
	}
}

// purgeOne deletes a backup, unless it is in use or the catalog is no longer
// what the decision was made for.
func (r *run) purgeOne(ctx context.Context, locker *lock.Locker, b *catalog.Backup, doomed map[string]bool) (deleted bool, err error) {
	k, err := catalog.LockBackup(ctx, locker, b, lock.Intent{Destructive: true, WithoutSpace: true})
	switch {
	case errors.Is(err, lock.ErrHeld):
		r.emit(LockSkipped{ID: b.ID})
		return false, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil // somebody else has deleted it
	case err != nil:
		return false, err
	}
	defer func() { err = errors.Join(err, k.Release()) }()
	ok, err := r.stillExpired(ctx, b, doomed)
	if !ok || err != nil {
		return false, err
	}
	return true, r.deps.Instance.DeleteBackup(ctx, locker, b)
}

// stillExpired looks at the catalog again, under the lock of b.
func (r *run) stillExpired(ctx context.Context, b *catalog.Backup, doomed map[string]bool) (bool, error) {
	fresh, err := r.relist(ctx)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(fresh, func(x *catalog.Backup) bool { return x.Dir == b.Dir })
	if i < 0 {
		return false, nil
	}
	reason, err := r.newReason(b, fresh[i])
	if err != nil {
		return false, err
	}
	if reason != nil {
		r.emit(PurgeSkipped{ID: b.ID, Reason: *reason})
		return false, nil
	}
	links := newChains(fresh)
	for _, x := range fresh {
		if !doomed[x.Dir] && links.needs(x, b) {
			r.emit(Retained{ID: b.ID, By: x.ID})
			return false, nil
		}
	}
	return true, nil
}

// newReason finds out why a backup, as it is now, must stay; nil for no
// reason.
func (r *run) newReason(old, now *catalog.Backup) (*Reason, error) {
	if pinned(now, r.deps.Now()) {
		return &Reason{Cause: Pinned}, nil
	}
	if now.ID != old.ID || now.Status != old.Status || now.Mode != old.Mode || now.NoControl != old.NoControl {
		return &Reason{Cause: Changed}, nil
	}
	if now.NoControl {
		foreign, err := r.deps.Instance.ForeignFile(now)
		if err != nil || foreign == "" {
			return nil, err
		}
		return &Reason{Cause: Foreign}, nil
	}
	err := catalog.CheckControlSum(r.deps.FS, now)
	if errors.Is(err, catalog.ErrControlSum) {
		return &Reason{Cause: Damaged}, nil
	}
	return nil, err
}

// leafFirst puts every backup behind its descendants and otherwise leaves the
// order. It matters only when the clock went back between two backups.
func leafFirst(list catalog.List, decisions []Decision) []Decision {
	links := newChains(list)
	rest := slices.Clone(decisions)
	sorted := make([]Decision, 0, len(rest))
	for len(rest) > 0 {
		next := 0
		for i, x := range rest {
			needed := slices.ContainsFunc(rest, func(y Decision) bool { return links.parent[y.Backup] == x.Backup })
			if !needed {
				next = i
				break
			}
		}
		sorted = append(sorted, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return sorted
}
