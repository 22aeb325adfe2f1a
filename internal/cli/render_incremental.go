package cli

import (
	"gsprobackup/internal/event"
	"gsprobackup/internal/restore"
)

// renderIncremental has the words for an incremental restore (spec/server.md
// §6.2 to §6.4).
func renderIncremental(c *console, e event.Event) bool {
	switch e := e.(type) {
	case restore.RunningIncremental:
		c.info("Running incremental restore into nonempty directory: \"%s\"", e.PGData)
	case restore.Resumed:
		c.info("Continuing interrupted restore into directory: \"%s\"", e.PGData)
	case restore.OtherSystem:
		c.warn("Backup catalog was initialized for system id %d, but destination directory system id is %d", e.Catalog, e.Directory)
	case restore.PidFileMangled:
		c.warn("Pid file \"%s\" is mangled, cannot determine whether postmaster is running or not", e.Path)
	case restore.PostmasterRuns:
		c.warn("Postmaster with pid %d is running in destination directory \"%s\"", e.PID, e.PGData)
	case restore.LabelPresent:
		c.warn("Destination directory contains \"backup_control\" file. " +
			"This does NOT mean that you should delete this file and retry, only that " +
			"incremental restore in 'lsn' mode may produce incorrect result, when applied " +
			"to cluster with pg_control not synchronized with cluster state." +
			"Consider to use incremental restore in 'checksum' mode")
	case restore.IncrementalDisabled:
		c.info("Destination directory and tablespace directories are empty, disable incremental restore")
	case restore.ScanStarted:
		c.info("Extracting the content of destination directory for incremental restore")
	case restore.ScanFinished:
		c.info("Destination directory content extracted, time elapsed: %s", prettyTime(e.Elapsed))
	case restore.RemovalStarted:
		c.info("Removing redundant files in destination directory")
	case restore.RemovalFinished:
		c.info("Redundant files are removed, time elapsed: %s", prettyTime(e.Elapsed))
	default:
		return renderShift(c, e)
	}
	return true
}

func renderShift(c *console, e event.Event) bool {
	switch e := e.(type) {
	case restore.NoChecksums:
		c.info("Incremental restore in 'lsn' mode require data_checksums to be enabled in destination data directory")
	case restore.NoHistory:
		c.warn("Failed to get history for redo timeline %d, multi-timeline incremental restore in 'lsn' mode is impossible", e.Timeline)
	case restore.HistoryMandatory:
		c.warn("Redo timeline %d differs from target timeline %d, in this case, to safely run incremental restore in 'lsn' mode, the history file for timeline %d is mandatory",
			e.Redo, e.Backup, e.Redo)
	case restore.OtherHistory:
		c.info("Backup %s cannot be a shiftpoint, because its tli %d is not in history of redo timeline %d", e.ID, e.Timeline, e.Redo)
	case restore.ShiftPoint:
		c.info("Backup %s is chosen as shiftpoint, its Stop LSN will be used as shift LSN", e.ID)
	case restore.ShiftFound:
		c.info("Destination directory redo point %s on tli %d is within reach of backup %s with Stop LSN %s on tli %d",
			e.Redo, e.RedoTimeline, e.ID, e.Stop, e.Timeline)
		c.info("shift LSN: %s", e.Stop)
	default:
		return false
	}
	return true
}
