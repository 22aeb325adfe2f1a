package cli

import (
	"gsprobackup/internal/backup"
	"gsprobackup/internal/event"
)

// renderBackup has the words for events of internal/backup, in the C tool's
// order (spec/cli.md §10.6). A long switch is split by phase.
func renderBackup(c *console, e event.Event) bool {
	return renderBackupStart(c, e) || renderBackupParent(c, e) || renderBackupCopy(c, e) || renderBackupStop(c, e) || renderBackupEnd(c, e)
}

func renderBackupStart(c *console, e event.Event) bool {
	switch e := e.(type) {
	case backup.Started:
		walMode := "ARCHIVE"
		if e.Stream {
			walMode = "STREAM"
		}
		c.info("Backup start, gs_probackup version: %s, instance: %s, backup ID: %s, backup mode: %s, wal mode: %s, remote: %t, compress-algorithm: %s, compress-level: %d",
			programVersion, e.Instance, e.ID, e.Mode, walMode, e.Remote, e.Algorithm, e.CompressLevel)
		c.remote = e.Remote
	case backup.DestinationReady:
		c.logf("Backup destination is initialized")
	case backup.ChecksumState:
		c.checksumState(e.Enabled)
	case backup.FromStandby:
		c.info("Backup %s is going to be taken from standby", e.ID)
	case backup.NoteAdded:
		c.info("Adding note to backup %s: '%s'", e.ID, e.Note)
	case backup.NoteRemoved:
		c.noteRemoved(e.ID)
	case backup.CopyPrepared:
		c.logf("Database backup start")
	case backup.ReplicationSlots:
		if e.Found {
			c.warn("logical replication slots for subscriptions will be backed up. If don't use them after restoring, please drop them to avoid affecting xlog recycling.")
		} else {
			c.logf("logical replication slots for subscriptions not found")
		}
	case backup.StreamIdentified:
		c.logf("started streaming WAL at %s (timeline %d)", e.LSN, e.Timeline)
		c.receiverLine("check identify system success")
	default:
		return false
	}
	return true
}

// checksumState is unconditional in the C tool. Here it tells the truth, but in
// the words of 1.1, which only had the warning: scripts filter that line.
func (c *console) checksumState(enabled bool) {
	switch {
	case enabled && c.profile.ChecksumsKnown:
		c.logf("This openGauss instance was initialized with data block checksums. Data block corruption will be detected")
	default:
		c.warn("This openGauss instance was initialized without data block checksums. gs_probackup have no way to detect data block corruption without them. Reinitialize PGDATA with option '--data-checksums'.")
	}
}

func renderBackupCopy(c *console, e event.Event) bool {
	switch e := e.(type) {
	case backup.HiddenSkipped:
		c.warn("Skip hidden file: '%s'", e.Path)
	case backup.SpecialSkipped:
		c.warn("Skip '%s': unexpected file format", e.Path)
	case backup.ExternalInTablespace:
		c.warn("External directory path (-E option) \"%s\" is in tablespace directory \"%s\"", e.External, e.Tablespace)
	case backup.DatabaseMapSkipped:
		c.verbose("no map of databases: %v", e.Err)
	case backup.DataDirectory:
		c.dataDirectory(e)
	case backup.CopyStarted:
		if c.profile.PhaseLines {
			c.info("Start backing up files")
		} else {
			c.info("Start transferring data files")
		}
		c.startBar(tailBackup, e.Files, e.Bytes)
	case backup.FileCopied:
		c.fileProgress("Process", e.Path, e.Done, e.Total)
		c.updateBar(tailBackup, e.Done, e.Total, e.Size)
	case backup.CopyFinished:
		c.finishBar(tailBackup)
		if c.profile.PhaseLines {
			c.info("Finish backuping file")
		}
	case backup.InvalidFileSize:
		c.warn("File: \"%s\", invalid file size %d", e.Path, e.Size)
	case backup.HeaderMapCreated:
		c.logf("Creating page header map \"%s\"", e.Path)
	case backup.Transferred:
		c.info("Data files are transferred, time elapsed: %s", prettyTime(e.Elapsed))
	case backup.TransferFailed:
		c.errorf("Data files transferring failed, time elapsed: %s", prettyTime(e.Elapsed))
	default:
		return false
	}
	return true
}

// dataDirectory prints sizes and space. The path in the first line is the
// backup's, whatever the line says.
func (c *console) dataDirectory(e backup.DataDirectory) {
	if !c.profile.DiskSpaceLines {
		if c.profile.BaseLine && !c.remote {
			c.info("Cannot parse path \"base\"")
		}
		c.info("PGDATA size: %s", prettySize(e.Estimated))
		return
	}
	c.info("The instance_config.pgdata is: %s", e.BackupDir)
	c.info("bsize:%d, blocks:%d, bfree:%d, bavail:%d, bfiles:%d, bffree:%d,",
		e.Space.BlockSize, e.Space.Blocks, e.Space.BlocksFree, e.Space.BlocksAvail, e.Space.Files, e.Space.FilesFree)
	c.info("PGDATA estimated size: %s", prettySize(e.Estimated))
	c.info("The remaining disk space is: %s; The required space for backup is: %s;", prettySize(e.Space.Avail()), prettySize(e.Estimated))
}

func renderBackupStop(c *console, e event.Event) bool {
	switch e := e.(type) {
	case backup.StopWaiting:
		c.info("wait for pg_stop_backup()")
	case backup.StopDone:
		c.info("pg_stop backup() successfully executed")
	case backup.NewTablespace:
		c.warn("Tablespace \"%s\" was created during the backup and is not part of it, recovery creates it at its original location", e.Path)
	case backup.NewUnlogged:
		c.logf("File \"%s\" is of a relation that became unlogged during the backup and is left out, recovery makes it from the init fork", e.Path)
	case backup.StopLSN:
		c.logf("stop_lsn: %s", e.LSN)
	case backup.StopLSNInvalid:
		c.warn("Invalid offset in stop_lsn value %s", e.LSN)
	case backup.LookingForLSN:
		c.logf("Looking for LSN %s in segment: %s", e.LSN, e.Segment)
	case backup.WaitingForLSN:
		c.info("Wait for LSN %s in streamed WAL segment %s", e.LSN, e.Segment)
	case backup.StandbyTargetWait:
		c.info("Wait a few minutes to get the target LSN or the last valid record prior to the target LSN")
	case backup.SegmentFound:
		c.logf("Found WAL segment: %s", e.Path)
	case backup.OpeningSegment:
		c.openingSegment(0, e.Path)
	case backup.LSNFound:
		c.logf("Found LSN: %s", e.LSN)
	case backup.PriorLSNFound:
		c.logf("Found prior LSN: %s", e.Record)
	case backup.StreamFinished:
		c.logf("finished streaming WAL at %s (timeline %d)", e.LSN, e.Timeline)
	case backup.MinRecoveryPoint:
		c.logf("Current minRecPoint %s", e.Current)
		c.logf("Setting minRecPoint to %s", e.Set)
	case backup.RecoveryTimeSearch:
		c.logf("Getting the Recovery Time from WAL")
		c.openingSegment(0, e.Segment)
	case backup.RecoveryTimeMissing:
		c.logf("Failed to find Recovery Time in WAL, forced to trust current_timestamp")
	default:
		return false
	}
	return true
}

func (c *console) openingSegment(thread int, path string) {
	c.logf("Thread [%d]: Opening WAL segment \"%s\"", thread, path)
}

func renderBackupEnd(c *console, e event.Event) bool {
	switch e := e.(type) {
	case backup.SyncStarted:
		c.info("Syncing backup files to disk")
		c.startBar(tailSyncBackup, e.Files, 0)
	case backup.SyncFinished:
		c.updateBar(tailSyncBackup, e.Files, e.Files, 0)
		c.finishBar(tailSyncBackup)
		if c.profile.PhaseLines {
			c.info("Finish Syncing backup files.")
		}
		c.info("Backup files are synced, time elapsed: %s", prettyTime(e.Elapsed))
	case backup.SyncSkipped:
		c.warn("Backup files are not synced to disk")
	case backup.Pinned:
		c.pinned(e.ID.String(), e.Until)
	case backup.Completed:
		c.info("Backup %s resident size: %s", e.ID, prettySize(e.Resident))
		c.info("Backup %s completed", e.ID)
	case backup.Failing:
		c.tell(e.Err)
	case backup.StopAfterFailure:
		c.warn("backup in progress, stop backup")
	case backup.CancelSent:
		c.warn("Cancel request sent")
	case backup.MarkedError:
		c.warn("Backup %s is running, setting its status to ERROR", e.ID)
	default:
		return false
	}
	return true
}
