package cli

import (
	"strings"

	"gsprobackup/internal/event"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/remove"
	"gsprobackup/internal/retention"
)

// willOrCan is what the C tool says without and with --dry-run.
func willOrCan(dryRun bool) string {
	if dryRun {
		return "can"
	}
	return "will"
}

// renderRemove has the words for events of internal/remove (spec/cli.md
// §10.10).
func renderRemove(c *console, e event.Event) bool {
	switch e := e.(type) {
	case remove.ChainFound:
		c.logf("Backups based on %s %s be deleted", e.ID, willOrCan(e.DryRun))
	case remove.Selected:
		c.logf("Backup %s %s be deleted", e.ID, willOrCan(e.DryRun))
	case remove.SizeKnown:
		c.info("Resident data size to free by delete of backup %s : %s", e.ID, prettySize(e.Bytes))
	case remove.NoBackups:
		c.warn("Instance '%s' has no backups", e.Instance)
	case remove.StatusWanted:
		mode := ""
		if e.DryRun {
			mode = " in dry run mode"
		}
		c.info("Deleting all backups with status '%s'%s", e.Status, mode)
		c.logf("Backups based on these target backups %s be deleted", willOrCan(e.DryRun))
	case remove.StatusMatched:
		c.info("Backup %s with status %s %s be deleted", e.ID, e.Status, willOrCan(e.DryRun))
	case remove.TotalKnown:
		c.info("Resident data size to free by delete of %d backups: %s", e.Backups, prettySize(e.Bytes))
	case remove.InstanceMatched:
		c.info("Instance '%s' can be deleted", e.Instance)
	case remove.StatusDeleted:
		noun := "backups"
		if e.Backups == 1 {
			noun = "backup"
		}
		c.info("Successfully deleted %d %s from instance '%s'", e.Backups, noun, e.Instance)
	case remove.NothingMatched:
		c.warn("Instance '%s' has no backups with status '%s'", e.Instance, e.Status)
	default:
		return false
	}
	return true
}

// renderRetention has the words for events of internal/retention (spec/cli.md
// §10.9). What a dry run would do is told
// with --explain, or at VERBOSE.
func renderRetention(c *console, e event.Event) bool {
	switch e := e.(type) {
	case retention.PolicyUsed:
		if e.Policy.Redundancy > 0 {
			c.logf("REDUNDANCY=%d", e.Policy.Redundancy)
		}
		if e.Policy.Window > 0 {
			c.logf("WINDOW=%d", e.Policy.Window)
		}
	case retention.PolicyMissing:
		c.warn("Retention policy is not set")
	case retention.NoBackups:
		c.warn("Backup list is empty, retention purge and merge are problematic")
	case retention.EvaluationStarted:
		c.info("Evaluate backups by retention")
	case retention.PinRespected:
		c.logf("Backup %s is pinned until '%s', retain", e.ID, optvalue.FormatTime(e.Until, c.env.Location))
	case retention.Evaluated:
		c.evaluated(e)
	case retention.Decided:
		c.explained(e.Decision)
	case retention.PurgeConsidered:
		c.logf("Consider backup %s for purge", e.ID)
	case retention.ParentChecked:
		c.logf("Check if backup %s is parent of backup %s", e.ID, e.Keeper)
	case retention.Retained:
		c.logf("Retain backup %s because his descendant %s is guarded by retention", e.ID, e.By)
	case retention.PurgeSkipped:
		c.warn("Skip purging backup %s, because %s", e.ID, e.Reason)
	case retention.LockSkipped:
		c.warn("Cannot lock backup %s directory, skip purging", e.ID)
	case retention.Finished:
		c.retentionFinished(e.Result)
	default:
		return renderRetentionMerge(c, e)
	}
	return true
}

func renderRetentionMerge(c *console, e event.Event) bool {
	switch e := e.(type) {
	case retention.MergeConsidered:
		c.info("Consider backup %s for merge", e.ID)
	case retention.MergeSkipped:
		c.mergeSkipped(e.Step)
	case retention.MergeStarted:
		c.info("Merge incremental chain between full backup %s and backup %s", e.Full, e.ID)
	case retention.MergingFinished:
		c.info("Retention merging finished")
	default:
		return false
	}
	return true
}

// evaluated is one line of the report. A backup without readable control file
// has no mode.
func (c *console) evaluated(e retention.Evaluated) {
	state := "Active"
	if e.Decision.Expired {
		state = "Expired"
	}
	d := e.Decision
	c.info("Backup %s, mode: %s, status: %s. Redundancy: %d/%d, Time Window: %dd/%dd. %s",
		d.Backup.ID, d.Backup.Mode, d.Backup.Status, d.Fulls, e.Redundancy, d.Age, d.Span, state)
}

// explained says what becomes of a backup and why, which the C tool does not.
func (c *console) explained(d retention.Decision) {
	say := c.verbose
	if c.explain {
		say = c.info
	}
	say("Backup %s: %s, because %s", d.Backup.ID, d.Action, reasons(d.Reasons))
}

func reasons(list []retention.Reason) string {
	var words []string
	for _, r := range list {
		words = append(words, r.String())
	}
	return strings.Join(words, " and ")
}

func (c *console) mergeSkipped(m retention.MergeStep) {
	id := m.Backup.ID
	switch m.Obstacle {
	case retention.FullMissing:
		c.warn("Failed to find FULL parent for %s", id)
	case retention.FullNotExpired:
		c.warn("Skip backup %s for merging, because his FULL parent is not marked for purge", id)
	case retention.MemberKept:
		c.warn("Skip backup %s for merging, because backup %s of its chain is retained", id, m.By.ID)
	case retention.BranchKept:
		c.warn("Skip backup %s for merging, because backup %s is based on the same chain", id, m.By.ID)
	case retention.NotMergeable:
		c.warn("Skip backup %s for merging, because backup %s has status: %s", id, m.By.ID, m.By.Status)
	}
}

func (c *console) retentionFinished(r retention.Result) {
	if !r.Merged {
		c.info("There are no backups to merge by retention policy")
	}
	if r.Deleted {
		c.info("Purging finished")
	} else {
		c.info("There are no backups to delete by retention policy")
	}
	if !r.WALRemoved {
		c.info("There is no WAL to purge by retention policy")
	}
}

// renderWALPurge has the words for the WAL part of internal/retention.
func renderWALPurge(c *console, e event.Event) bool {
	switch e := e.(type) {
	case retention.PinIgnored:
		c.logf("Pinned backup %s is ignored for the purpose of WAL retention", e.ID)
	case retention.WALAnchored:
		c.logf("On timeline %d WAL is protected from purge at %s", e.Timeline, e.LSN)
	case retention.WALProtected:
		c.logf("Archive backup %s to stay consistent protect from purge WAL interval between %s and %s on timeline %d",
			e.ID, e.Begin, e.End, e.Timeline)
	case retention.WALPlanned:
		c.walPlanned(e)
	default:
		return false
	}
	return true
}

func (c *console) walPlanned(e retention.WALPlanned) {
	t := e.Timeline
	switch {
	case t.All:
		c.info("On timeline %d all files %s be removed", t.TLI, willOrCan(e.DryRun))
	case t.Keep > t.First:
		c.info("On timeline %d WAL segments between %s and %s %s be removed", t.TLI, e.First, e.Keep, willOrCan(e.DryRun))
	case t.Keep < t.First:
		c.logf("On timeline %d first segment %s is greater than oldest segment to keep %s", t.TLI, e.First, e.Keep)
	default:
		c.info("Nothing to remove on timeline %d", t.TLI)
	}
	if t.LogicalSize > 0 {
		c.info("Logical WAL size to remove on timeline %d : %s", t.TLI, prettySize(t.LogicalSize))
	}
	if t.ResidentSize > 0 {
		c.info("Resident WAL size to free on timeline %d : %s", t.TLI, prettySize(t.ResidentSize))
	}
}
