package retention

import (
	"slices"

	"gsprobackup/internal/catalog"
)

// chains answers questions about who needs whom. Links go by ID; when two
// directories claim one ID, it is not known which one the children mean.
type chains struct {
	list   catalog.List
	parent map[*catalog.Backup]*catalog.Backup
	count  map[catalog.ID]int
}

func newChains(list catalog.List) chains {
	byID := make(map[catalog.ID]*catalog.Backup, len(list))
	for i := len(list) - 1; i >= 0; i-- { // the first of a double ID stays
		byID[list[i].ID] = list[i]
	}
	c := chains{list: list, parent: make(map[*catalog.Backup]*catalog.Backup, len(list)), count: map[catalog.ID]int{}}
	for _, b := range list {
		c.count[b.ID]++
		if b.Mode != catalog.ModeFull && b.ParentID != 0 {
			c.parent[b] = byID[b.ParentID]
		}
	}
	return c
}

// doubled tells whether another directory claims the same ID.
func (c chains) doubled(b *catalog.Backup) bool { return c.count[b.ID] > 1 }

// up calls visit for b's ancestors, nearest first, until it returns false.
// Links that lead in a circle are followed once.
func (c chains) up(b *catalog.Backup, visit func(*catalog.Backup) bool) {
	seen := catalog.List{b}
	for x := c.parent[b]; x != nil && !slices.Contains(seen, x) && visit(x); x = c.parent[x] {
		seen = append(seen, x)
	}
}

// needs tells whether restoring b takes a.
func (c chains) needs(b, a *catalog.Backup) bool {
	found := false
	if b != a {
		c.up(b, func(x *catalog.Backup) bool {
			found = x.ID == a.ID
			return !found
		})
	}
	return found
}

// top is the oldest reachable member of b's chain.
func (c chains) top(b *catalog.Backup) *catalog.Backup {
	top := b
	c.up(b, func(x *catalog.Backup) bool {
		top = x
		return true
	})
	return top
}

// full is the FULL backup of b's chain, nil if the chain is broken.
func (c chains) full(b *catalog.Backup) *catalog.Backup {
	if top := c.top(b); top.Mode == catalog.ModeFull {
		return top
	}
	return nil
}

// path is the chain from the top to b.
func (c chains) path(b *catalog.Backup) catalog.List {
	path := catalog.List{b}
	c.up(b, func(x *catalog.Backup) bool {
		path = append(path, x)
		return true
	})
	slices.Reverse(path)
	return path
}

// merging are the backups whose content an unfinished merge has not saved
// elsewhere: a MERGED FULL, and everything from a MERGING FULL to the backup
// it is merged with. A MERGING FULL whose destination is gone is lost.
func (c chains) merging() map[*catalog.Backup]bool {
	members := map[*catalog.Backup]bool{}
	for _, b := range c.list {
		switch {
		case b.Mode != catalog.ModeFull:
		case b.Status == catalog.StatusMerged:
			members[b] = true
		case b.Status == catalog.StatusMerging:
			dest := c.list.ByID(b.MergeDestID)
			if dest != nil && c.top(dest) == b {
				for _, x := range c.path(dest) {
					members[x] = true
				}
			}
		}
	}
	return members
}

// mergedBelow is the FULL of an unfinished merge that b is based on, nil if
// there is none. Such a backup is good again when the merge is finished, be it
// that it looks like an orphan now: the backup its parent becomes has not got
// its ID yet.
func (c chains) mergedBelow(b *catalog.Backup) *catalog.Backup {
	for _, f := range c.list {
		if f.Mode != catalog.ModeFull || f.MergeDestID == 0 {
			continue
		}
		dest := c.list.ByID(f.MergeDestID)
		above := false
		switch {
		case f.Status == catalog.StatusMerging:
			above = dest != nil && c.top(dest) == f && c.needs(b, f)
		case f.Status == catalog.StatusMerged && dest != nil:
			above = c.needs(b, dest)
		case f.Status == catalog.StatusMerged:
			top := c.top(b)
			above = top.Mode != catalog.ModeFull && top.ParentID == f.MergeDestID
		}
		if above {
			return f
		}
	}
	return nil
}
