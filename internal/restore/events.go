package restore

import (
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/wal"
)

// The events of a restore in order; C's words are in spec/cli.md §10.8.

// Began opens a restore; Validate is set when nothing will be written.
type Began struct{ Validate bool }

// SkippedStatus says a backup is no candidate because of its status.
type SkippedStatus struct {
	ID     catalog.ID
	Status catalog.Status
}

// BadStatus warns of the status of the requested backup.
type BadStatus struct {
	ID     catalog.ID
	Status catalog.Status
}

// NoTablespaceMap says the backup has no tablespace_map.
type NoTablespaceMap struct{}

// CheckingTablespaces and CheckingExternals precede the mapping checks.
type CheckingTablespaces struct{ ID catalog.ID }

// CheckingExternals precedes the check of the external directories.
type CheckingExternals struct{ ID catalog.ID }

// ValidatingParents says the chain of an incremental backup is checked.
type ValidatingParents struct{ ID catalog.ID }

// BackupValid says the backup can be used.
type BackupValid struct{ ID catalog.ID }

// UsedUnvalidated says the backup was not checked.
type UsedUnvalidated struct{ ID catalog.ID }

// ForcedInvalid says a bad backup is used because of --force.
type ForcedInvalid struct {
	ID     catalog.ID
	Status catalog.Status
}

// RestoringFrom tells the start time of the backup.
type RestoringFrom struct{ StartTime time.Time }

// MakingDirectories says directories and links are made.
type MakingDirectories struct{ PGData string }

// MakingExternals says external directories are made.
type MakingExternals struct{}

// FilesStarted opens the writing of files; Bytes is the size of the data.
type FilesStarted struct {
	Files int
	Bytes int64
}

// FileRestored is emitted once a file, for progress. Size is about the file's
// part of FilesStarted.Bytes.
type FileRestored struct {
	Path        string
	Size        int64
	Done, Total int
}

// FilesFinished closes the writing, successful or not.
type FilesFinished struct {
	Written int64 // bytes
	Bytes   int64 // size of the data
	Elapsed time.Duration
	Failed  bool
}

// SyncStarted, FileSynced and SyncFinished follow what is left to sync.
type SyncStarted struct{ Files int }

// SyncFinished closes the sync phase.
type SyncFinished struct {
	Files   int
	Elapsed time.Duration
}

// SyncSkipped says --no-sync was given.
type SyncSkipped struct{}

// RecoverySettings says recovery configuration is written. Command is the
// restore command, empty if there is none. File is the file's base name.
type RecoverySettings struct{ File, Command string }

// RunningIncremental says that a directory with something in it is used.
type RunningIncremental struct{ PGData string }

// Resumed says that an interrupted restore goes on.
type Resumed struct{ PGData string }

// Reasons why a directory cannot be restored to incrementally.
type (
	// OtherSystem says the directory is another cluster's.
	OtherSystem struct{ Catalog, Directory uint64 }
	// PidFileMangled says nobody knows whether a server runs.
	PidFileMangled struct{ Path string }
	// PostmasterRuns says a server runs.
	PostmasterRuns struct {
		PID    int
		PGData string
	}
	// LabelPresent says a backup_label is there, so that pg_control may not
	// tell the state of the data files.
	LabelPresent struct{}
)

// IncrementalDisabled says there is nothing to use.
type IncrementalDisabled struct{}

// The search of the shift LSN, see findShift.
type (
	// NoChecksums says pages in the directory carry no checksums.
	NoChecksums struct{}
	// NoHistory says the history file of a timeline is missing.
	NoHistory struct{ Timeline wal.Timeline }
	// HistoryMandatory says that the search ends for lack of it.
	HistoryMandatory struct{ Redo, Backup wal.Timeline }
	// OtherHistory says a backup is not in the directory's past.
	OtherHistory struct {
		ID             catalog.ID
		Timeline, Redo wal.Timeline
	}
	// ShiftPoint says a backup of the same timeline was found.
	ShiftPoint struct{ ID catalog.ID }
	// ShiftFound closes the search.
	ShiftFound struct {
		ID           catalog.ID
		Redo         wal.LSN
		RedoTimeline wal.Timeline
		Stop         wal.LSN
		Timeline     wal.Timeline
	}
)

// The steps before the files of an incremental restore.
type (
	// ScanStarted says the content of the directory is listed.
	ScanStarted struct{}
	// ScanFinished closes it.
	ScanFinished struct{ Elapsed time.Duration }
	// RemovalStarted says that what is not in the backup is removed.
	RemovalStarted struct{}
	// RemovalFinished closes it.
	RemovalFinished struct{ Elapsed time.Duration }
)

// Completed closes a restore, or a validation if Validate is set.
type Completed struct {
	ID       catalog.ID
	Validate bool
}

// ArchiveScanned says archived WAL is read to find the target.
type ArchiveScanned struct {
	Timeline wal.Timeline
	From     wal.LSN
}

// ArchiveEnded says why reading of archived WAL ended before the target. Path
// is a segment file: absent, or without a good record at LSN.
type ArchiveEnded struct {
	LSN    wal.LSN
	Path   string
	Absent bool
	Reason string // unless Absent
}

// ArchiveGap says that there are segments behind the one that is missing or
// damaged, the first of them being Next; they are of no use.
type ArchiveGap struct{ Segment, Next string }

// TargetReached says the archive holds the target; the values are those of
// the record that reaches it.
type TargetReached reached

// RecoveryLimit says how far the archive goes.
type RecoveryLimit reached

// LatestFound is RecoveryLimit where that is what was asked for.
type LatestFound reached

// XIDNotArchived warns that the target, the first transaction that had not
// ended when the backup did, is not in the archive: the backup's end is
// restored, without it.
type XIDNotArchived struct {
	XID uint64
	ID  catalog.ID
}

// BranchPassed warns that recovery stays on its timeline where another one
// branched off.
type BranchPassed struct {
	Timeline, Branch wal.Timeline
	Switch           wal.LSN
}

// HistoryUnreadable warns of a damaged timeline history file.
type HistoryUnreadable struct{ Err error }
