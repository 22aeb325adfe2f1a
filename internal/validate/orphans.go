package validate

import (
	"fmt"

	"gsprobackup/internal/catalog"
)

// MarkOrphans makes the descendants of a backup that is not usable ORPHAN,
// oldest first, and reports each (spec/server.md §6.2 step 5). backups are all
// of the instance, newest first.
func MarkOrphans(deps Deps, backups []*catalog.Backup, bad *catalog.Backup) error {
	return orphan(deps, backups, bad.ID, func(b *catalog.Backup, marked bool) {
		deps.Sink.Emit(OrphanBadParent{ID: b.ID, Parent: bad.ID, ParentStatus: bad.Status, Marked: marked})
	})
}

// MarkMissingParent does the same for the descendants of a backup that is not
// there.
func MarkMissingParent(deps Deps, backups []*catalog.Backup, missing catalog.ID) error {
	return orphan(deps, backups, missing, func(b *catalog.Backup, marked bool) {
		deps.Sink.Emit(OrphanMissingParent{ID: b.ID, Parent: missing, Marked: marked})
	})
}

func orphan(deps Deps, backups []*catalog.Backup, root catalog.ID, report func(*catalog.Backup, bool)) error {
	for _, b := range descendants(backups, root) {
		marked := b.Status.Usable()
		if marked {
			if err := deps.Instance.SetStatus(b, catalog.StatusOrphan); err != nil {
				return fmt.Errorf("save status of backup %s: %w", b.ID, err)
			}
		}
		report(b, marked)
	}
	return nil
}

// descendants lists all backups that build upon one, oldest first.
func descendants(backups []*catalog.Backup, root catalog.ID) []*catalog.Backup {
	in := map[catalog.ID]bool{root: true}
	var list []*catalog.Backup
	for i := len(backups) - 1; i >= 0; i-- {
		b := backups[i]
		if b.ParentID != 0 && in[b.ParentID] && b.ID != root {
			in[b.ID] = true
			list = append(list, b)
		}
	}
	return list
}
