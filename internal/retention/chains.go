package retention

import (
	"gsprobackup/internal/catalog"
)

// chains answers questions about who needs whom. Links go by ID, so when two
// directories claim one ID, both are needed.
type chains struct {
	list   catalog.List
	parent map[*catalog.Backup]*catalog.Backup
}

func newChains(list catalog.List) chains {
	byID := make(map[catalog.ID]*catalog.Backup, len(list))
	for i := len(list) - 1; i >= 0; i-- { // the first of a double ID stays
		byID[list[i].ID] = list[i]
	}
	c := chains{list: list, parent: make(map[*catalog.Backup]*catalog.Backup, len(list))}
	for _, b := range list {
		if b.Mode != catalog.ModeFull && b.ParentID != 0 {
			c.parent[b] = byID[b.ParentID]
		}
	}
	return c
}

// up calls visit for b's ancestors, nearest first, until it returns false.
func (c chains) up(b *catalog.Backup, visit func(*catalog.Backup) bool) {
	x := c.parent[b]
	for steps := 0; x != nil && steps < len(c.list); steps++ { // links may lead in a circle
		if !visit(x) {
			return
		}
		x = c.parent[x]
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
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
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
