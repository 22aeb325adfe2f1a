package retention

import (
	"slices"
	"time"

	"gsprobackup/internal/catalog"
)

// controlGrace is how long a backup may be without control file before it
// counts as a remnant.
const controlGrace = time.Hour

// Decide applies a policy to the backups of an instance (newest first, as
// catalog lists them) at time now, whose zone is that of the calendar. It is a
// pure function: it looks at nothing but its arguments, and changes nothing.
func Decide(list catalog.List, p Policy, now time.Time) Plan {
	d := decider{policy: p, now: now, chains: newChains(list), guard: map[*catalog.Backup]Reason{},
		at: map[*catalog.Backup]*Decision{}, mergedInto: map[*catalog.Backup]*catalog.Backup{}}
	d.judge()
	d.guardTheRepairable()
	d.findKeepers()
	if p.Merge {
		d.planMerges()
	}
	d.decide()
	return d.plan
}

// decider is a decision under way.
type decider struct {
	policy Policy
	now    time.Time
	chains
	plan Plan
	at   map[*catalog.Backup]*Decision
	// guard is why an expired backup must not be touched.
	guard map[*catalog.Backup]Reason
	// mergedInto has the members of chains to be merged.
	mergedInto map[*catalog.Backup]*catalog.Backup
}

// judge finds out which backups are expired.
func (d *decider) judge() {
	newest := d.newestFulls()
	fulls := 1
	d.plan.Decisions = make([]Decision, len(d.list))
	for i, b := range d.list {
		x := &d.plan.Decisions[i]
		d.at[b] = x
		*x = Decision{Backup: b, Fulls: fulls, Age: d.policy.age(b.RecoveryTime, d.now), Span: pinDays(b)}
		if x.Span == 0 {
			x.Span = int64(d.policy.Window)
		}
		if b.Mode == catalog.ModeFull {
			fulls++
		}
		x.Reasons = d.reasonsToKeep(b, newest)
		x.Expired = len(x.Reasons) == 0
	}
}

// ahead is by how much a backup may be before the clock: IDs are when several
// are taken within one second.
const ahead = time.Minute

// newestFulls are the FULL backups that redundancy keeps. One from the future,
// taken while the clock was wrong, is kept but takes nobody's place: else each
// new backup would be the oldest one, and go.
func (d *decider) newestFulls() map[*catalog.Backup]bool {
	newest := map[*catalog.Backup]bool{}
	places := d.policy.Redundancy
	for _, b := range d.list {
		switch {
		case b.Mode != catalog.ModeFull || !b.Status.Usable() || places == 0:
		case b.StartTime().Sub(d.now) > ahead:
			newest[b] = true
		default:
			newest[b] = true
			places--
		}
	}
	return newest
}

// reasonsToKeep is empty for an expired backup.
func (d *decider) reasonsToKeep(b *catalog.Backup, newest map[*catalog.Backup]bool) (keep []Reason) {
	if !d.policy.IsSet() {
		return []Reason{{Cause: NoRule}}
	}
	if full := d.full(b); full != nil && newest[full] {
		keep = append(keep, Reason{WithinRedundancy, full.ID})
	}
	if d.policy.Window > 0 && d.policy.insideWindow(backupTime(b), d.now) {
		keep = append(keep, Reason{Cause: WithinWindow})
	}
	if len(keep) == 0 && pinned(b, d.now) {
		keep = append(keep, Reason{Cause: Pinned})
	}
	return keep
}

// guardTheRepairable protects what looks worthless and is not.
func (d *decider) guardTheRepairable() {
	merging := d.merging()
	for i, b := range d.list {
		if damaged(b) {
			d.guardBehind(i)
		}
		switch top := d.top(b); {
		case d.doubled(b):
			d.guard[b] = Reason{Cause: Doubled}
		case damaged(b):
			d.guard[b] = Reason{Cause: Damaged}
		case damaged(top):
			d.guard[b] = Reason{BehindDamaged, top.ID}
		case b.NoControl && d.now.Sub(b.StartTime()) < controlGrace:
			d.guard[b] = Reason{Cause: TooYoung}
		case merging[b] && d.guard[b].Cause != BehindDamaged:
			d.guard[b] = Reason{Cause: UnfinishedMerge}
		case d.guard[b].Cause != BehindDamaged:
			if full := d.mergedBelow(b); full != nil {
				d.guard[b] = Reason{AboveMerge, full.ID}
			}
		}
	}
}

// damaged tells whether the control file of a backup is there, but does not
// say what the backup is.
func damaged(b *catalog.Backup) bool {
	if b.Unreadable {
		return !b.NoControl
	}
	return b.Mode == catalog.ModeInvalid || b.Status == catalog.StatusUnknown
}

// guardBehind guards the chain that a damaged backup most likely continues:
// everything older up to the next FULL that can be a parent.
func (d *decider) guardBehind(i int) {
	for _, b := range d.list[i+1:] {
		if _, ok := d.guard[b]; !ok {
			d.guard[b] = Reason{BehindDamaged, d.list[i].ID}
		}
		if b.Mode == catalog.ModeFull && b.Status.Usable() {
			return
		}
	}
}

// findKeepers collects the increments that stay and whose parent does not.
func (d *decider) findKeepers() {
	for _, b := range d.list {
		if parent := d.parent[b]; parent != nil && !d.at[b].Expired && d.at[parent].Expired {
			d.plan.Keepers = append(d.plan.Keepers, b)
		}
	}
}

// decide turns expiry into actions.
func (d *decider) decide() {
	for i := range d.plan.Decisions {
		x := &d.plan.Decisions[i]
		if into := d.mergedInto[x.Backup]; into != nil {
			x.Action = Merge
			if into != x.Backup {
				x.Reasons = append(x.Reasons, Reason{MergedInto, into.ID})
			}
			continue
		}
		if !x.Expired {
			continue
		}
		if guard, ok := d.guard[x.Backup]; ok {
			x.Reasons = []Reason{guard}
		} else if by := d.keptDescendant(x.Backup); by != nil {
			x.Reasons = []Reason{{NeededBy, by.ID}}
		} else if !d.policy.Delete {
			x.Reasons = []Reason{{Cause: NotAsked}}
		} else {
			x.Action = Delete
			x.Reasons = []Reason{{Cause: Outdated}}
		}
	}
}

// stays tells whether a backup will be there afterwards, be it that others
// need it or not.
func (d *decider) stays(b *catalog.Backup) bool {
	if into := d.mergedInto[b]; into != nil {
		return into == b
	}
	_, guarded := d.guard[b]
	return guarded || !d.at[b].Expired
}

// keptDescendant finds a backup that stays and needs a, a keeper if there is
// one. (A merged one needs only members of its chain, nobody asks for those.)
func (d *decider) keptDescendant(a *catalog.Backup) *catalog.Backup {
	for _, b := range slices.Concat(d.plan.Keepers, d.list) {
		if d.stays(b) && d.needs(b, a) {
			return b
		}
	}
	return nil
}
