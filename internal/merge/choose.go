package merge

import (
	"context"
	"errors"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/usererr"
)

// choose finds FULL and destination for a target (spec/server.md §7.4, first
// table). dest may be nil when a merged FULL has none left.
func (m *merge) choose(ctx context.Context, id catalog.ID) (err error) {
	m.emit(Started{})
	if m.list, err = m.deps.Instance.Backups(ctx); err != nil {
		return err
	}
	target := m.list.ByID(id)
	if target == nil || target.Unreadable { // half-deleted, as an increment of a merged FULL may be
		if full := m.mergedInto(id); full != nil {
			target = full
		}
	}
	if target == nil {
		return usererr.New("Target backup %s was not found", id)
	}
	switch target.Status {
	case catalog.StatusOK, catalog.StatusDone, catalog.StatusMerging, catalog.StatusMerged, catalog.StatusDeleting:
	default:
		return usererr.New("Backup %s has status: %s", target.ID, target.Status)
	}
	if target.Mode == catalog.ModeFull {
		return m.chooseChild(target)
	}
	return m.chooseFull(target)
}

// mergedInto finds the merged FULL that becomes backup id.
func (m *merge) mergedInto(id catalog.ID) *catalog.Backup {
	for _, b := range m.list {
		if b.Mode == catalog.ModeFull && b.Status == catalog.StatusMerged && b.MergeDestID == id {
			return b
		}
	}
	return nil
}

// chooseChild finds the destination for a FULL.
func (m *merge) chooseChild(full *catalog.Backup) error {
	m.full = full
	m.emit(TargetIsFull{ID: full.ID})
	switch full.Status {
	case catalog.StatusMerging, catalog.StatusMerged:
		m.dest = m.list.ByID(full.MergeDestID)
		if m.dest == full { // renamed already
			m.dest = nil
		}
		if m.dest != nil {
			return nil
		}
		if full.Status == catalog.StatusMerging || full.MergeDestID == 0 {
			return usererr.New("Full backup %s has unfinished merge with missing backup %s", full.ID, full.MergeDestID)
		}
		m.emit(DestMissing{Full: full.ID, Dest: full.MergeDestID})
		return nil
	case catalog.StatusDeleting:
		return usererr.New("Backup %s has status: %s", full.ID, full.Status)
	}
	var children catalog.List
	for _, c := range m.list.Children(full) {
		if c.Status.Usable() {
			children = append(children, c)
		}
	}
	if len(children) > 1 {
		return usererr.New("Merge target is full backup and has multiple direct children, you must specify child backup id you want to merge with")
	}
	m.emit(ChildWanted{})
	if len(children) == 0 {
		return usererr.New("Failed to find merge candidate, backup %s has no valid children", full.ID)
	}
	m.dest = children[0]
	return nil
}

// chooseFull finds the FULL for an increment.
func (m *merge) chooseFull(dest *catalog.Backup) error {
	m.dest = dest
	rerun := dest.Status == catalog.StatusMerging || dest.Status == catalog.StatusDeleting
	if rerun {
		m.emit(Rerun{ID: dest.ID})
	}
	chain, err := m.list.ChainTo(dest)
	if err == nil {
		m.full = chain[0]
		if m.full.Status == catalog.StatusMerged && m.full.MergeDestID != dest.ID {
			return usererr.New("Full backup %s has unfinished merge with backup %s", m.full.ID, m.full.MergeDestID)
		}
		return nil
	}
	var broken *catalog.ChainError
	if errors.As(err, &broken) {
		m.emit(catalog.NoFullParent{Of: broken.Of, Missing: broken.Missing})
	}
	if !rerun {
		return usererr.Wrap(err, "Failed to find parent full backup for %s", dest.ID)
	}
	m.emit(ChainBroken{})
	if m.full = m.mergedInto(dest.ID); m.full == nil {
		return usererr.Wrap(err, "Failed to find full backup that has unfinished mergewith backup %s, cannot rerun merge", dest.ID)
	}
	return nil
}

// members are the backups from FULL to destination as far as they are there;
// some are gone when increments of a merged FULL were being deleted.
func (m *merge) members() catalog.List {
	var upwards catalog.List
	for b := m.dest; b != nil && b != m.full && len(upwards) <= len(m.list); b = m.list.ByID(b.ParentID) {
		upwards = append(upwards, b)
	}
	chain := catalog.List{m.full}
	for i := len(upwards) - 1; i >= 0; i-- {
		chain = append(chain, upwards[i])
	}
	return chain
}

// checkBranches refuses to take the ground from under backups beside the
// chain. The C tool merges, and they are lost.
func (m *merge) checkBranches(chain catalog.List) error {
	for _, b := range m.list {
		if !b.Status.Usable() && b.Status != catalog.StatusRunning {
			continue
		}
		needs, err := m.list.ChainTo(b)
		if err != nil || needs[0] != m.full || slices.Contains(chain, b) || slices.Contains(needs, m.dest) {
			continue
		}
		return usererr.New("Backup %s is based on a backup that would be merged into backup %s", b.ID, m.dest.ID).
			WithHint("delete backup %s first, or merge it instead", b.ID)
	}
	return nil
}
