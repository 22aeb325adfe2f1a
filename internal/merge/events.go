package merge

import (
	"time"

	"gsprobackup/internal/catalog"
)

// Events in the C tool's order; its words are in spec/cli.md §10.11.
type (
	// Started: INFO `Merge started`.
	Started struct{}
	// TargetIsFull: INFO `Merge target backup %s is full backup`.
	TargetIsFull struct{ ID catalog.ID }
	// ChildWanted: LOG `Looking for closest incremental backup to merge with`.
	ChildWanted struct{}
	// DestMissing: WARNING `Full backup %s has unfinished merge with missing
	// backup %s`.
	DestMissing struct{ Full, Dest catalog.ID }
	// Rerun: WARNING `Rerun unfinished merge for backup %s`.
	Rerun struct{ ID catalog.ID }
	// ChainBroken: WARNING `Incremental chain is broken, try to recover
	// unfinished merge`.
	ChainBroken struct{}
	// ChainMerging: INFO `Merging backup %s with parent chain` or `Retry
	// failed merge of backup %s with parent chain`.
	ChainMerging struct {
		ID    catalog.ID
		Retry bool
	}
	// NotInPlace: WARNING `In-place merge is disabled because of ...`.
	NotInPlace struct {
		Algorithms           bool // mismatch of these, else of versions
		FullVersion, Version string
	}
	// ParentsChecked: INFO `Validate parent chain for backup %s`.
	ParentsChecked struct{ ID catalog.ID }
	// DirectoriesMade: LOG `Restore directories and symlinks... in %s`.
	DirectoriesMade struct{ Dir string }
	// FilesStarted: INFO `Start merging backup files`.
	FilesStarted struct{}
	// FileMerged: INFO `Progress: (%d/%d). Merging file "%s"`.
	FileMerged struct {
		Path        string
		Done, Total int
	}
	// HeaderMapCreated: LOG `Creating page header map "%s"`.
	HeaderMapCreated struct{ Path string }
	// FilesFinished: INFO `Backup files are successfully merged, time
	// elapsed: %s`, or with Err the error and ERROR `Backup files merging
	// failed, time elapsed: %s`.
	FilesFinished struct {
		Elapsed time.Duration
		Err     error
	}
	// Renamed: LOG `Rename %s to %s`, INFO `Rename merged full backup %s to
	// %s`.
	Renamed struct {
		OldDir, NewDir string
		Full, Dest     catalog.ID
	}
	// Completed: INFO `Merge of backup %s completed`.
	Completed struct{ ID catalog.ID }
)
