package cli

import (
	"gsprobackup/internal/backup"
	"gsprobackup/internal/event"
)

// renderBackupParent has the words for the choice of a parent and the search
// for changed blocks (spec/cli.md §10.6 rows 8 and 12, spec/server.md §3.2).
func renderBackupParent(c *console, e event.Event) bool {
	switch e := e.(type) {
	case backup.LatestFull:
		c.logf("Latest valid FULL backup: %s", e.ID)
	case backup.NoParent:
		switch e.Fault {
		case backup.MissingAncestor:
			c.warn("Backup %s has missing parent: %s. Cannot be a parent", e.ID, e.Other)
		case backup.BadAncestor:
			c.warn("Backup %s has invalid parent: %s. Cannot be a parent", e.ID, e.Other)
		default:
			c.warn("Backup %s has status: %s. Cannot be a parent.", e.ID, e.Status)
		}
	case backup.ParentChosen:
		c.info("Parent backup: %s", e.ID)
	case backup.ParentMissing:
		c.warn("Valid backup on current timeline %d is not found, trying to look up on previous timelines", e.Timeline)
		c.warn("Cannot find valid backup on previous timelines, WAL archive is not available")
	case backup.ChangeRange:
		c.logf("Current tli: %X", uint32(e.Timeline))
		c.logf("Parent start_lsn: %s", e.ParentStart)
		c.logf("start_lsn: %s", e.Start)
	case backup.PagemapStarted:
		c.info("Extracting pagemap of changed blocks")
		if c.profile.BitmapLines {
			c.info("change bitmap start lsn location is %s", e.From)
		}
	case backup.PagemapEnd:
		if !c.profile.BitmapLines {
			break
		}
		c.info("change bitmap end lsn location is %s", e.Text)
	case backup.PagemapDone:
		c.info("Pagemap successfully extracted, time elapsed: %.0f sec", e.Elapsed.Seconds())
	case backup.TrackingBehind:
		c.logf("changed blocks are known up to %s, waiting for %s", e.At, e.Want)
	case backup.ClusterYounger:
		c.warn("The data directory was restored or copied after backup %s was taken, all its data files are copied", e.Parent)
	default:
		return false
	}
	return true
}
