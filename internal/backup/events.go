package backup

import (
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

// The events of a backup, in the order a FULL backup emits them. The texts
// the C tool prints for them are spec/cli.md §10.6.

// Started opens a backup; nothing exists on disk yet.
type Started struct {
	ID            catalog.ID
	Instance      string
	Mode          catalog.Mode
	Stream        bool
	Remote        bool
	Algorithm     compress.Algorithm
	CompressLevel int
}

// DestinationReady says the backup directory exists and is locked.
type DestinationReady struct{ ID catalog.ID }

// ChecksumState tells whether pages carry checksums.
type ChecksumState struct{ Enabled bool }

// FromStandby says the server is in recovery.
type FromStandby struct{ ID catalog.ID }

// NoteAdded repeats the note stored with the backup.
type NoteAdded struct {
	ID   catalog.ID
	Note string
}

// NoteRemoved says that the backup shall have none.
type NoteRemoved struct{ ID catalog.ID }

// CopyPrepared marks the point before the server is asked to start.
type CopyPrepared struct{}

// ReplicationSlots tells whether logical slots of subscriptions are included.
type ReplicationSlots struct{ Found bool }

// DataDirectory describes sizes and space, known after listing.
type DataDirectory struct {
	BackupDir string
	Space     fsx.Space
	// Estimated is the number of bytes of the listed files plus 4096 for
	// each directory (formats.md §3.6 pgdata-bytes).
	Estimated int64
}

// CopyStarted, CopyFinished and Transferred frame the copy phase. Bytes is the
// size of the files on the server.
type CopyStarted struct {
	Files   int
	Bytes   int64
	Threads int
}

// FileCopied is emitted once a file, for progress. Done counts files, Size is
// the file's part of CopyStarted.Bytes.
type FileCopied struct {
	Path        string
	Size        int64
	Done, Total int
}

// CopyFinished closes the copy phase, successful or not.
type CopyFinished struct{}

// Transferred tells how long the copy took.
type Transferred struct{ Elapsed time.Duration }

// TransferFailed tells how long the copy took until it failed.
type TransferFailed struct{ Elapsed time.Duration }

// HeaderMapCreated is emitted when the first page header is written.
type HeaderMapCreated struct{ Path string }

// StopWaiting says the server takes its time to stop the backup.
type StopWaiting struct{}

// StopDone says the server has stopped the backup.
type StopDone struct{}

// StopLSN carries the position the server answered.
type StopLSN struct{ LSN wal.LSN }

// StopLSNInvalid says the answered position cannot be a record's start.
type StopLSNInvalid struct{ LSN wal.LSN }

// LookingForLSN, WaitingForLSN, SegmentFound, OpeningSegment and LSNFound
// follow the search for the stop record.
type LookingForLSN struct {
	LSN     wal.LSN
	Segment string
}

// WaitingForLSN says the segment has not arrived yet.
type WaitingForLSN struct {
	LSN     wal.LSN
	Segment string
}

// SegmentFound names the segment file that holds the stop position.
type SegmentFound struct{ Path string }

// OpeningSegment says a segment is read.
type OpeningSegment struct{ Path string }

// LSNFound says the stop record was read.
type LSNFound struct{ LSN wal.LSN }

// StandbyTargetWait says a standby may need time to reach the position.
type StandbyTargetWait struct{}

// PriorLSNFound says a standby's last usable record was taken instead.
type PriorLSNFound struct{ Record, End, Wanted wal.LSN }

// StreamFinished says WAL streaming ended where it should.
type StreamFinished struct {
	LSN      wal.LSN
	Timeline wal.Timeline
}

// RecoveryTimeSearch and RecoveryTimeMissing tell where recovery-time is from.
type RecoveryTimeSearch struct{ Segment string }

// RecoveryTimeMissing says the server's clock is used instead.
type RecoveryTimeMissing struct{}

// SyncStarted and SyncFinished frame what is left to sync after the copy.
type SyncStarted struct{ Files int }

// SyncFinished closes the sync phase.
type SyncFinished struct {
	Files   int
	Elapsed time.Duration
}

// SyncSkipped says --no-sync was given.
type SyncSkipped struct{}

// Pinned says the backup is kept until a time.
type Pinned struct {
	ID    catalog.ID
	Until time.Time
}

// Completed closes a good backup. Resident is its size in bytes.
type Completed struct {
	ID       catalog.ID
	Resident int64
}

// Failing says why a backup has failed, before it is cleaned up. The same error
// is in what Run returns.
type Failing struct{ Err error }

// StopAfterFailure says the server is told to stop a backup that failed.
type StopAfterFailure struct{}

// CancelSent says a running statement was cancelled.
type CancelSent struct{}

// MarkedError says a failed backup is set to ERROR.
type MarkedError struct{ ID catalog.ID }

// DatabaseMapSkipped says database_map could not be queried.
type DatabaseMapSkipped struct{ Err error }

// InvalidFileSize says a data file does not end at a page border.
type InvalidFileSize struct {
	Path string
	Size int64
}

// HiddenSkipped and SpecialSkipped name what the listing left out.
type HiddenSkipped struct{ Path string }

// SpecialSkipped names a socket, fifo or device, relative to PGDATA as in C.
type SpecialSkipped struct{ Path string }

// ExternalInTablespace warns of -E below a tablespace.
type ExternalInTablespace struct{ External, Tablespace string }

// StreamIdentified says that streaming is about to start at LSN.
type StreamIdentified struct {
	LSN      wal.LSN
	Timeline wal.Timeline
}

// LatestFull, NoParent, ParentChosen and ParentMissing follow the choice of
// the backup that an increment builds upon.
type LatestFull struct{ ID catalog.ID }

// NoParent tells why a backup is passed over.
type NoParent struct {
	ID     catalog.ID
	Fault  ParentFault
	Status catalog.Status // for BadStatus
	Other  catalog.ID     // the ancestor, for MissingAncestor and BadAncestor
}

// ParentFault is what is wrong with a backup as a parent.
type ParentFault int

// The faults. BadAncestor names the oldest ancestor that is not good.
const (
	BadStatus ParentFault = iota
	MissingAncestor
	BadAncestor
)

// ParentChosen names the parent.
type ParentChosen struct{ ID catalog.ID }

// ParentMissing says there is no backup to build upon.
type ParentMissing struct{ Timeline wal.Timeline }

// ChangeRange is the WAL an increment covers.
type ChangeRange struct {
	Timeline           wal.Timeline
	ParentStart, Start wal.LSN
}

// PagemapStarted, PagemapEnd and PagemapDone frame the search for changed
// blocks. Text is the end of the range as the server writes it.
type PagemapStarted struct{ From wal.LSN }

// PagemapEnd tells up to where changes are known.
type PagemapEnd struct{ Text string }

// PagemapDone closes the search.
type PagemapDone struct{ Elapsed time.Duration }

// TrackingBehind says the server has not found all changes yet.
type TrackingBehind struct{ At, Want wal.LSN }

// ClusterYounger says the data directory was restored or copied after the
// parent backup was taken, so that all data files are copied.
type ClusterYounger struct{ Parent catalog.ID }
