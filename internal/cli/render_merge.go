package cli

import (
	"fmt"
	"path/filepath"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/merge"
)

// renderMerge has the words for events of internal/merge (spec/cli.md §10.11).
func renderMerge(c *console, e event.Event) bool {
	return renderMergeChoice(c, e) || renderMergeWork(c, e)
}

func renderMergeChoice(c *console, e event.Event) bool {
	switch e := e.(type) {
	case merge.Started:
		c.info("Merge started")
	case merge.TargetIsFull:
		c.info("Merge target backup %s is full backup", e.ID)
	case merge.ChildWanted:
		c.logf("Looking for closest incremental backup to merge with")
	case merge.DestMissing:
		c.warn("Full backup %s has unfinished merge with missing backup %s", e.Full, e.Dest)
	case merge.Rerun:
		c.warn("Rerun unfinished merge for backup %s", e.ID)
	case merge.ChainBroken:
		c.warn("Incremental chain is broken, try to recover unfinished merge")
	case merge.ChainMerging:
		if e.Retry {
			c.info("Retry failed merge of backup %s with parent chain", e.ID)
		} else {
			c.info("Merging backup %s with parent chain", e.ID)
		}
	case merge.NotInPlace:
		if e.Algorithms {
			c.warn("In-place merge is disabled because of compression algorithms mismatch")
		} else {
			c.warn("In-place merge is disabled because of program versions mismatch. Full backup version: %s, destination backup version: %s, current program version: %s",
				e.FullVersion, e.Version, catalog.ProgramVersion)
		}
	case merge.ParentsChecked:
		c.info("Validate parent chain for backup %s", e.ID)
	default:
		return false
	}
	return true
}

func renderMergeWork(c *console, e event.Event) bool {
	switch e := e.(type) {
	case merge.DirectoriesMade:
		if c.profile.DSS {
			c.logf("Restore directories and symlinks... in %s", e.Dir)
			if c.profile.DSSDataBytes {
				// The C tool makes an empty tree there, we only say so.
				c.logf("Restore directories and symlinks... in %s", filepath.Join(filepath.Dir(e.Dir), "dssdata"))
			}
		} else {
			c.logf("Restore directories and symlinks...")
		}
	case merge.FilesStarted:
		c.info("Start merging backup files")
	case merge.HeaderMapCreated:
		c.logf("Creating page header map \"%s\"", e.Path)
	case merge.FileMerged:
		if c.perFile { // on the console in all releases, for there is no bar
			c.log.Log(logging.Info, fmt.Sprintf("Progress: (%d/%d). Merging file \"%s\"", e.Done, e.Total, e.Path))
		}
	case merge.FilesFinished:
		if e.Err != nil {
			c.tell(e.Err)
			c.errorf("Backup files merging failed, time elapsed: %s", prettyTime(e.Elapsed))
		} else {
			c.info("Backup files are successfully merged, time elapsed: %s", prettyTime(e.Elapsed))
		}
	case merge.Renamed:
		c.logf("Rename %s to %s", e.OldDir, e.NewDir)
		c.info("Rename merged full backup %s to %s", e.Full, e.Dest)
	case merge.Completed:
		c.info("Merge of backup %s completed", e.ID)
	default:
		return false
	}
	return true
}
