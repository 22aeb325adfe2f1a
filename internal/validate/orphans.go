package validate

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"gsprobackup/internal/catalog"
)

// MarkOrphans makes the descendants of a backup that is not usable ORPHAN,
// newest first, and reports each (spec/server.md §6.2 step 5). backups are all
// of the instance. Those above a merge that is going on are only reported:
// they are good again in a moment, and a purge would take orphans.
func MarkOrphans(deps Deps, backups catalog.List, bad *catalog.Backup) error {
	going := merging(deps, bad)
	for _, b := range backups.Descendants(bad) {
		if going {
			deps.Sink.Emit(OrphanBadParent{ID: b.ID, Parent: bad.ID, ParentStatus: bad.Status})
			continue
		}
		if err := markBad(deps, b, bad); err != nil {
			return err
		}
	}
	return nil
}

// merging tells whether somebody is merging a backup right now.
func merging(deps Deps, b *catalog.Backup) bool {
	return (b.Status == catalog.StatusMerging || b.Status == catalog.StatusMerged) && deps.Instance.NewLocker().Alive(b.Dir)
}

// MarkMissingParent does the same, oldest first, for the descendants of a
// backup that is not there. A merge takes the ID of one that it has deleted.
func MarkMissingParent(deps Deps, backups catalog.List, missing catalog.ID) error {
	becoming := slices.ContainsFunc(backups, func(b *catalog.Backup) bool {
		return b.Mode == catalog.ModeFull && missing != 0 && b.MergeDestID == missing && merging(deps, b)
	})
	for i := len(backups) - 1; i >= 0; i-- {
		b := backups[i]
		if _, id, broken := oldestBad(backups, b); broken && id == missing {
			if becoming {
				deps.Sink.Emit(OrphanMissingParent{ID: b.ID, Parent: missing})
				continue
			}
			if err := markMissing(deps, b, missing); err != nil {
				return err
			}
		}
	}
	return nil
}

func markBad(deps Deps, b, bad *catalog.Backup) error {
	marked, err := orphan(deps, b)
	deps.Sink.Emit(OrphanBadParent{ID: b.ID, Parent: bad.ID, ParentStatus: bad.Status, Marked: marked})
	return err
}

func markMissing(deps Deps, b *catalog.Backup, missing catalog.ID) error {
	marked, err := orphan(deps, b)
	deps.Sink.Emit(OrphanMissingParent{ID: b.ID, Parent: missing, Marked: marked})
	return err
}

// orphan makes one backup ORPHAN if it was good so far. It is not locked:
// somebody may have changed or deleted it since it was listed.
func orphan(deps Deps, b *catalog.Backup) (marked bool, err error) {
	if !b.Status.Usable() {
		return false, nil
	}
	err = deps.Instance.UpdateControl(b, func(fresh *catalog.Backup) {
		if marked = fresh.Status.Usable(); marked {
			fresh.Status = catalog.StatusOrphan
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("save status of backup %s: %w", b.ID, err)
	}
	return marked, nil
}
