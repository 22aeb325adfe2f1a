package cli

import (
	"gsprobackup/internal/event"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/restore"
)

// renderRestore has the words for events of internal/restore (spec/cli.md
// §10.8).
func renderRestore(c *console, e event.Event) bool {
	return renderRestoreChoice(c, e) || renderIncremental(c, e) || renderReach(c, e) || renderRestoreFiles(c, e)
}

func renderRestoreChoice(c *console, e event.Event) bool {
	switch e := e.(type) {
	case restore.Began:
		if e.Validate {
			c.logf("Validate begin.")
		} else {
			c.logf("Restore begin.")
		}
	case restore.SkippedStatus:
		c.warn("Skipping backup %s, because it has non-valid status: %s", e.ID, e.Status)
	case restore.BadStatus:
		c.warn("Backup %s has status: %s", e.ID, e.Status)
	case restore.NoTablespaceMap:
		c.noMap = true
		c.logf("there is no file tablespace_map")
	case restore.CheckingTablespaces:
		c.logf("check tablespace directories of backup %s", e.ID)
	case restore.CheckingExternals:
		c.logf("check external directories of backup %s", e.ID)
	case restore.ValidatingParents:
		c.info("Validating parents for backup %s", e.ID)
	case restore.BackupValid:
		c.info("Backup %s is valid.", e.ID)
	case restore.UsedUnvalidated:
		c.warn("Backup %s is used without validation.", e.ID)
	case restore.ForcedInvalid:
		c.warn("Backup %s is not valid, restore is forced", e.ID)
	case restore.RestoringFrom:
		c.info("Restoring the database from backup at %s", optvalue.FormatTime(e.StartTime, c.env.Location))
		if c.noMap { // the C tool looks twice and says it twice
			c.logf("there is no file tablespace_map")
		}
	case restore.Completed:
		if e.Validate {
			c.info("Validate of backup %s completed.", e.ID)
		} else {
			c.info("Restore of backup %s completed.", e.ID)
		}
	default:
		return false
	}
	return true
}

func renderRestoreFiles(c *console, e event.Event) bool {
	switch e := e.(type) {
	case restore.MakingDirectories:
		if c.profile.DSS {
			c.logf("Restore directories and symlinks... in %s", e.PGData)
		} else {
			c.logf("Restore directories and symlinks...")
		}
	case restore.MakingExternals:
		c.logf("Restore external directories")
	case restore.FilesStarted:
		if c.profile.PhaseLines {
			c.info("Start restoring backup files. DATA size: %s", prettySize(e.Bytes))
			c.info("Begin restore file")
		} else {
			c.info("Start restoring backup files. PGDATA size: %s", prettySize(e.Bytes))
		}
		for i := 1; c.profile.ThreadLines && i <= c.threads; i++ {
			c.logf("Start thread %d", i)
		}
		c.startBar(tailRestore, e.Files, e.Bytes)
	case restore.FileRestored:
		c.fileProgress("Restore", e.Path, e.Done, e.Total)
		c.updateBar(tailRestore, e.Done, e.Total, e.Size)
	case restore.FilesFinished:
		c.restoreFinished(e)
	case restore.SyncStarted:
		if c.profile.PhaseLines {
			c.info("Start Syncing restored files to disk")
		} else {
			c.info("Syncing restored files to disk")
		}
		c.startBar(tailSyncRestore, e.Files, 0)
	case restore.SyncFinished:
		c.updateBar(tailSyncRestore, e.Files, e.Files, 0)
		c.finishBar(tailSyncRestore)
		if c.profile.PhaseLines {
			c.info("Finish Syncing restored files.")
		}
		c.info("Restored backup files are synced, time elapsed: %s", prettyTime(e.Elapsed))
		c.recoverySettings()
	case restore.SyncSkipped:
		c.warn("Restored files are not synced to disk")
		c.recoverySettings()
	case restore.RecoverySettings:
		// The C tool writes them when everything else is synced.
		c.recovery = &e
	default:
		return false
	}
	return true
}

func (c *console) restoreFinished(e restore.FilesFinished) {
	c.finishBar(tailRestore)
	if c.profile.PhaseLines {
		c.info("Finish restore file")
	}
	if e.Failed {
		c.errorf("Backup files restoring failed. Transfered bytes: %s, time elapsed: %s", prettySize(e.Written), prettyTime(e.Elapsed)) //nolint:misspell // the C tool's spelling
		return
	}
	c.info("Backup files are restored. Transfered bytes: %s, time elapsed: %s", prettySize(e.Written), prettyTime(e.Elapsed)) //nolint:misspell // the C tool's spelling
	if e.Bytes > 0 {
		c.info("Restore incremental ratio (less is better): %.f%% (%s/%s)",
			float64(e.Written)/float64(e.Bytes)*100, prettySize(e.Written), prettySize(e.Bytes))
	}
}

func (c *console) recoverySettings() {
	e := c.recovery
	if e == nil {
		return
	}
	c.logf("----------------------------------------")
	c.logf("creating %s", e.File)
	if e.Command == "" {
		c.warn("you need to input restore command manually.")
	} else {
		c.logf("Setting restore command to '%s'", e.Command)
	}
}
