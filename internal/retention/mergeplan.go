package retention

import (
	"slices"

	"gsprobackup/internal/catalog"
)

// planMerges decides about the keepers, newest first, as the C tool does: a
// FULL that went into one of them is not there for the next.
func (d *decider) planMerges() {
	for _, b := range d.plan.Keepers {
		step := MergeStep{Backup: b}
		path := d.path(b)
		if step.Obstacle, step.By = d.mergeObstacle(path); step.Obstacle == None {
			step.Chain = path
			for _, x := range path {
				d.mergedInto[x] = b
			}
		}
		d.plan.Merges = append(d.plan.Merges, step)
	}
}

// mergeObstacle finds what keeps a chain from becoming its last member.
func (d *decider) mergeObstacle(path catalog.List) (Obstacle, *catalog.Backup) {
	full, dest := path[0], path[len(path)-1]
	if full.Mode != catalog.ModeFull {
		return FullMissing, nil
	}
	if !d.at[full].Expired || d.mergedInto[full] != nil {
		return FullNotExpired, full
	}
	retry := full.MergeDestID == dest.ID && (full.Status == catalog.StatusMerging || full.Status == catalog.StatusMerged)
	for _, x := range path {
		if x != dest && (!d.at[x].Expired || d.mergedInto[x] != nil) {
			return MemberKept, x
		}
		switch guard, guarded := d.guard[x]; {
		case guarded && guard.Cause == BehindDamaged:
			return BranchKept, d.list.ByID(guard.Backup)
		case guarded && guard.Cause != UnfinishedMerge, !retry && (guarded || !x.Status.Usable()):
			return NotMergeable, x
		}
	}
	if branch := d.keptBranch(path); branch != nil {
		return BranchKept, branch
	}
	return None, nil
}

// keptBranch finds a backup beside the chain that needs one of its members and
// will not be deleted in the same run. The C tool does not look, and makes it
// an orphan.
func (d *decider) keptBranch(path catalog.List) *catalog.Backup {
	dest := path[len(path)-1]
	for _, b := range d.list {
		if slices.Contains(path, b) || d.policy.Delete && !d.stays(b) {
			continue
		}
		onBranch := false
		d.up(b, func(x *catalog.Backup) bool {
			if x == dest {
				return false
			}
			onBranch = slices.Contains(path, x)
			return !onBranch
		})
		if onBranch {
			return b
		}
	}
	return nil
}
