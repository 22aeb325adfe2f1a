package validate

import (
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/wal"
)

// The events of a validation; the C tool's words are in spec/cli.md §10.7,
// §10.12 and spec/server.md §7.2, §7.3. Paths are those of stored files.

// Started opens the check of one backup. Revalidate says that it was ORPHAN
// or CORRUPT before.
type Started struct {
	ID         catalog.ID
	Revalidate bool
}

// InstanceStarted opens the validation of all backups of an instance.
type InstanceStarted struct{ Instance string }

// OtherStorage says that a backup is one of shared storage, the instance is not.
// It is CORRUPT then.
type OtherStorage struct {
	ID       catalog.ID
	Instance string
}

// FilesStarted is followed by one FileChecked a file and FilesFinished. Bytes
// is the stored size of the files.
type FilesStarted struct {
	Total int
	Bytes int64
}

// FileChecked is emitted when a file was checked, damaged or not.
type FileChecked struct {
	Path        string
	Size        int64 // stored, as recorded
	Done, Total int
}

// FilesFinished closes the file phase.
type FilesFinished struct{}

// FilesValid says that nothing was wrong with the files.
type FilesValid struct{ ID catalog.ID }

// FilesCorrupted says that at least one file is damaged or missing.
type FilesCorrupted struct{ ID catalog.ID }

// FileMissing names a listed file that is not there.
type FileMissing struct{ Path string }

// FileUnreadable names a file that cannot be inspected or read.
type FileUnreadable struct {
	Path string
	Err  error
}

// FileSize says a stored file has not its recorded length, in bytes.
type FileSize struct {
	Path            string
	Found, Expected int64
}

// FileMetadata says a list entry is impossible, such as "unchanged" in a FULL.
type FileMetadata struct{ Path string }

// FileCRC says the bytes of a stored file are not those that were recorded.
// Paged is true for data files.
type FileCRC struct {
	Path            string
	Found, Expected uint32
	Paged           bool
}

// HeadersUnreadable says the header map with the page headers of a file cannot
// be read.
type HeadersUnreadable struct {
	Path, MapPath string
	Err           error
}

// HeadersDamaged says the page headers of a file do not unpack or make no
// sense. File is the path in the list.
type HeadersDamaged struct {
	Path, File string
	Err        error
}

// HeadersCRC says the page headers of a file are not those recorded.
type HeadersCRC struct {
	Path, MapPath   string
	Offset, Size    int64
	Found, Expected uint32
}

// FrameDamaged says the page stream of a file breaks its format.
type FrameDamaged struct {
	Path string
	Err  error
}

// PageUndecodable says a page does not decompress.
type PageUndecodable struct {
	Path  string
	Block uint32
	Err   error
}

// PageInsane says a page header is impossible. File, here and below, is the
// path in the list, which is what C prints.
type PageInsane struct {
	Path   string
	File   string
	Block  uint32
	Reason string
}

// PageChecksum says a page does not have the checksum it carries.
type PageChecksum struct {
	Path, File      string
	Block           uint32
	Found, Expected uint16
}

// PageFuture warns of a page newer than the end of the backup. It is not
// damage.
type PageFuture struct {
	Path, File    string
	Block         uint32
	ChecksumKnown bool
	PageLSN, Stop wal.LSN
}

// ListCRC says the content list is not the recorded one.
type ListCRC struct {
	Path            string
	Found, Expected uint32
}

// ListUnreadable says the content list cannot be used.
type ListUnreadable struct {
	ID  catalog.ID
	Err error
}

// ControlDamaged says the control file contradicts itself or the backup.
type ControlDamaged struct {
	Path   string
	Reason string
}

// RunningMarkedError says a RUNNING backup nobody works on became ERROR.
type RunningMarkedError struct {
	ID     catalog.ID
	Status catalog.Status
}

// Skipped says a backup is not checked because of its status. FullMerging is
// set for a FULL in an unfinished merge.
type Skipped struct {
	ID          catalog.ID
	Status      catalog.Status
	FullMerging bool
}

// LockedElsewhere says a backup is in use and was skipped.
type LockedElsewhere struct{ ID catalog.ID }

// DeletedMeanwhile says a backup is not there any more and was skipped.
type DeletedMeanwhile struct{ ID catalog.ID }

// InvalidMode warns of an unknown backup mode.
type InvalidMode struct{ ID catalog.ID }

// OrphanMissingParent and OrphanBadParent tell why a descendant cannot be
// used. Marked is true when its status was changed to ORPHAN just now.
type OrphanMissingParent struct {
	ID, Parent catalog.ID
	Marked     bool
}

// OrphanBadParent names the parent that is not OK or DONE.
type OrphanBadParent struct {
	ID, Parent   catalog.ID
	ParentStatus catalog.Status
	Marked       bool
}

// OpeningSegment says a WAL segment is read.
type OpeningSegment struct {
	Thread int // from 1
	Path   string
}

// WALSegmentAbsent and WALDamaged tell why WAL cannot be used.
type WALSegmentAbsent struct{ Path string }

// WALDamaged names the place at which WAL stops making sense.
type WALDamaged struct {
	Segment string
	LSN     wal.LSN
	Err     error
}

// WALInsufficient says start to stop cannot be replayed.
type WALInsufficient struct {
	ID          catalog.ID
	Start, Stop wal.LSN
}

// WALCorrupted says the WAL of a backup is unusable.
type WALCorrupted struct{ ID catalog.ID }

// WALValid says the WAL of a backup is complete.
type WALValid struct{ ID catalog.ID }
