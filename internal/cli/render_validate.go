package cli

import (
	"gsprobackup/internal/event"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// renderValidate has the words for events of internal/validate (spec/cli.md
// §10.7, §10.12).
func renderValidate(c *console, e event.Event) bool {
	return renderValidatePhase(c, e) || renderValidateFile(c, e) || renderValidatePage(c, e) ||
		renderValidateStatus(c, e) || renderValidateWAL(c, e)
}

func renderValidatePhase(c *console, e event.Event) bool {
	switch e := e.(type) {
	case validate.InstanceStarted:
		c.info("Validate backups of the instance '%s'", e.Instance)
	case validate.Started:
		if e.Revalidate {
			c.info("Revalidating backup %s", e.ID)
		} else {
			c.info("Validating backup %s", e.ID)
		}
	case validate.FilesStarted:
		if c.profile.PhaseLines {
			c.info("Begin validate file")
		}
		c.startBar(tailValidate, e.Total, e.Bytes)
	case validate.FileChecked:
		c.fileProgress("Validate", e.Path, e.Done, e.Total)
		c.updateBar(tailValidate, e.Done, e.Total, e.Size)
	case validate.FilesFinished:
		c.finishBar(tailValidate)
		if c.profile.PhaseLines {
			c.info("Finish validate file. ")
		}
	case validate.FilesValid:
		c.info("Backup %s data files are valid", e.ID)
	case validate.FilesCorrupted:
		c.warn("Backup %s data files are corrupted", e.ID)
	default:
		return false
	}
	return true
}

func renderValidateFile(c *console, e event.Event) bool {
	switch e := e.(type) {
	case validate.FileMissing:
		c.warn("Backup file \"%s\" is not found", e.Path)
	case validate.FileUnreadable:
		c.warn("Cannot read backup file \"%s\": %s", e.Path, usererr.SystemText(e.Err))
	case validate.FileSize:
		c.warn("Invalid size of backup file \"%s\" : %d. Expected %d", e.Path, e.Found, e.Expected)
	case validate.FileMetadata:
		c.warn("Backup file \"%s\" has invalid size. Possible metadata corruption.", e.Path)
	case validate.FileCRC:
		// The C tool's two spellings; here both make the backup CORRUPT.
		colon := " :"
		if e.Paged {
			colon = ":"
		}
		c.warn("Invalid CRC of backup file \"%s\"%s %X. Expected %X", e.Path, colon, e.Found, e.Expected)
	case validate.ListCRC:
		c.warn("Invalid CRC of backup control file '%s': %d. Expected: %d", e.Path, e.Found, e.Expected)
	case validate.ListUnreadable:
		if e.Err != nil {
			c.warn("%s", errorText(e.Err))
		}
		c.warn("Backup %s file list is corrupted", e.ID)
	case validate.ControlDamaged:
		c.warn("Control file \"%s\" is damaged: %s", e.Path, e.Reason)
	default:
		return false
	}
	return true
}

func renderValidatePage(c *console, e event.Event) bool {
	switch e := e.(type) {
	case validate.HeadersUnreadable:
		c.warn("Cannot open header file1 \"%s\": %s", e.MapPath, usererr.SystemText(e.Err))
		c.warn("Cannot get page headers for file \"%s\"", e.Path)
	case validate.HeadersDamaged:
		c.warn("An error occured during metadata decompression for file \"%s\": data error", e.File)
		c.warn("Cannot get page headers for file \"%s\"", e.Path)
	case validate.HeadersCRC:
		c.warn("Header map for file \"%s\" crc mismatch \"%s\" offset: %d, len: %d, current: %d, expected: %d",
			e.Path, e.MapPath, e.Offset, e.Size, e.Found, e.Expected)
		c.warn("Cannot get page headers for file \"%s\"", e.Path)
	case validate.FrameDamaged:
		c.warn("File: %s has a damaged page stream: %v", e.Path, e.Err)
	case validate.PageUndecodable:
		c.warn("File: %s blknum %d cannot be decompressed: %v", e.Path, e.Block, e.Err)
	case validate.PageInsane:
		c.warn("Page header is looking insane: %s, block %d (%s)", e.File, e.Block, e.Reason)
	case validate.PageChecksum:
		c.warn("File: %s blknum %d have wrong checksum: %d", e.File, e.Block, e.Found)
	case validate.PageFuture:
		known := "not enabled"
		if e.ChecksumKnown {
			known = "correct"
		}
		c.warn("File: %s, block %d, checksum is %s. Page is from future: pageLSN %s stopLSN %s", e.File, e.Block, known, e.PageLSN, e.Stop)
	default:
		return false
	}
	return true
}

func renderValidateStatus(c *console, e event.Event) bool {
	switch e := e.(type) {
	case validate.RunningMarkedError:
		c.warn("Backup %s has status %s, change it to ERROR and skip validation", e.ID, e.Status)
	case validate.Skipped:
		if e.FullMerging {
			c.warn("Full backup %s has status %s, skip validation", e.ID, e.Status)
		} else {
			c.warn("Backup %s has status %s. Skip validation.", e.ID, e.Status)
		}
	case validate.OtherStorage:
		c.warn("Backup %s is not suit for instance %s, because they have different storage type. Change it to CORRUPT and skip validation.", e.ID, e.Instance)
	case validate.LockedElsewhere:
		c.warn("Cannot lock backup %s directory, skip validation", e.ID)
	case validate.DeletedMeanwhile:
		c.warn("Backup %s was deleted meanwhile, skip validation", e.ID)
	case validate.InvalidMode:
		c.warn("Invalid backup_mode of backup %s", e.ID)
	case validate.OrphanMissingParent:
		if e.Marked {
			c.warn("Backup %s is orphaned because his parent %s is missing", e.ID, e.Parent)
		} else {
			c.warn("Backup %s has missing parent %s", e.ID, e.Parent)
		}
	case validate.OrphanBadParent:
		if e.Marked {
			c.warn("Backup %s is orphaned because his parent %s has status: %s", e.ID, e.Parent, e.ParentStatus)
		} else {
			c.warn("Backup %s has parent %s with status: %s", e.ID, e.Parent, e.ParentStatus)
		}
	default:
		return false
	}
	return true
}

func renderValidateWAL(c *console, e event.Event) bool {
	switch e := e.(type) {
	case validate.OpeningSegment:
		c.openingSegment(e.Thread, e.Path)
	case validate.WALSegmentAbsent:
		c.warn("Thread [%d]: WAL segment \"%s\" is absent", 1, e.Path)
	case validate.WALDamaged:
		c.warn("Thread [%d]: Could not read WAL record at %s: %v", 1, e.LSN, e.Err)
	case validate.WALInsufficient:
		c.warn("There are not enough WAL records to consistenly restore backup %s from START LSN: %s to STOP LSN: %s", e.ID, e.Start, e.Stop) //nolint:misspell // the C tool's spelling
	case validate.WALCorrupted:
		c.warn("Backup %s WAL segments are corrupted", e.ID)
	case validate.WALValid:
		c.info("Backup %s WAL segments are valid", e.ID)
	default:
		return false
	}
	return true
}
