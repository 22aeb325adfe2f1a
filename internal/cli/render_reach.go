package cli

import (
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/restore"
)

// renderReach has the words for the search of the target in archived WAL
// (spec/server.md §7.3). What C has no words for is about timelines and gaps,
// which it does not look at.
func renderReach(c *console, e event.Event) bool {
	switch e := e.(type) {
	case restore.ArchiveScanned:
		// C's function for it also reads page maps.
		c.logf("Extracting pagemap from tli %d on range from %s to 0/0", e.Timeline, e.From)
	case restore.ArchiveEnded:
		c.archiveEnded(e)
	case restore.ArchiveGap:
		c.warn("WAL segment %s is the end of what can be used, although the archive has %s and later", e.Segment, e.Next)
	case restore.TargetReached:
		c.info("Backup validation completed successfully on time %s, xid %d and LSN %s", c.isoTime(e.Time), e.XID, e.LSN)
	case restore.LatestFound:
		c.info("Recovery can be done up to time %s, xid %d and LSN %s", c.isoTime(e.Time), e.XID, e.LSN)
	case restore.RecoveryLimit:
		c.warn("Recovery can be done up to time %s, xid %d and LSN %s", c.isoTime(e.Time), e.XID, e.LSN)
	case restore.XIDNotArchived:
		c.warn("Transaction %d had not ended when backup %s did and is not in the WAL archive, it will not be restored", e.XID, e.ID)
	case restore.BranchPassed:
		c.warn("Timeline %d branched off at %s, recovery goes on along timeline %d", e.Branch, e.Switch, e.Timeline)
	case restore.HistoryUnreadable:
		c.warn("%v", e.Err)
	default:
		return false
	}
	return true
}

func (c *console) archiveEnded(e restore.ArchiveEnded) {
	if e.Absent {
		c.warn("Thread [1]: Could not read WAL record at %s", e.LSN)
		c.errorf("Thread [1]: WAL segment \"%s\" is absent", e.Path)
		return
	}
	c.warn("Thread [1]: Could not read WAL record at %s: %s", e.LSN, e.Reason)
	c.errorf("Thread [1]: Possible WAL corruption. Error has occured during reading WAL segment \"%s\"", e.Path)
}

func (c *console) isoTime(t time.Time) string { return optvalue.FormatTime(t, c.env.Location) }
