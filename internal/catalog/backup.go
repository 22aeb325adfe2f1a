package catalog

import (
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/wal"
)

// ProgramVersion is what every openGauss release of the tool calls itself.
const ProgramVersion = "2.4.2"

// BlockSize is the size of a page and of a WAL page in bytes.
const BlockSize = 8192

// defaultLevel is the compression level where none is said, used or not.
const defaultLevel = 1

// unknownBytes is a byte count that is not known yet.
const unknownBytes = -1

// Backup is the content of one backup.control (spec/formats.md §3.1). Zero
// times are unset; times have a resolution of one second.
type Backup struct {
	ID       ID // the start time; parent links go by it
	ParentID ID // 0 for a FULL
	Mode     Mode
	Status   Status
	Stream   bool // WAL is inside the backup

	CompressAlg   compress.Algorithm
	CompressLevel int
	FromReplica   bool

	BlockSize, XLogBlockSize uint32
	ChecksumVersion          uint32
	ProgramVersion           string
	ServerVersion            string // "9.2" for openGauss, the major for PostgreSQL

	Timeline          wal.Timeline
	StartLSN, StopLSN wal.LSN

	MergeTime, EndTime time.Time
	RecoveryXID        uint64
	RecoveryTime       time.Time
	ExpireTime         time.Time // pinned until then
	RecoveryName       string
	MergeDestID        ID // while merging

	DataBytes         int64 // -1 = unknown
	WALBytes          int64 // -1 = unknown
	UncompressedBytes int64
	PGDataBytes       int64

	ExternalDirs string // colon separated absolute paths, in externaldirN order; see Externals
	Note         string
	ContentCRC   uint32 // CRC32C of backup_content.control, 0 = not checked

	StorageType Storage
	S3Status    S3Status

	// Dir is the backup's directory. It is not part of the control file, and
	// its last element may differ from ID after somebody edited that file.
	Dir string
	// Unreadable marks a backup whose control file could not be read; only
	// ID (from the directory's name) and Dir are known. It can be deleted.
	Unreadable bool
	// NoControl marks an unreadable one that has no control file at all: what
	// a killed backup or delete leaves, or a directory that is no backup.
	NoControl bool
	// Leaving marks one whose deletion was begun on a full disk, see
	// DeletingName. Its status reads as DELETING.
	Leaving bool
}

// NewBackup returns the control data of a backup that starts at id's second.
func NewBackup(id ID, mode Mode) *Backup {
	return &Backup{
		ID:              id,
		Mode:            mode,
		Status:          StatusRunning,
		CompressLevel:   defaultLevel,
		BlockSize:       BlockSize,
		XLogBlockSize:   BlockSize,
		ChecksumVersion: 1,
		ProgramVersion:  ProgramVersion,
		DataBytes:       unknownBytes,
		WALBytes:        unknownBytes,
		StorageType:     StorageFile,
		S3Status:        S3Unknown,
	}
}

// StartTime is the ID as a time.
func (b *Backup) StartTime() time.Time { return b.ID.Time() }

// Names inside a backup directory.
const (
	ControlName     = "backup.control"
	ContentName     = "backup_content.control"
	HeaderMapName   = "page_header_map"
	DatabaseName    = "database"
	DSSDataName     = "dssdata"
	ExternalName    = "external_directories"
	DatabaseMapName = "database_map"
	ConfigName      = "pg_probackup.conf"
	// DeletingName is what backup.control is renamed to when the backup is
	// deleted and the disk has no room for one that says DELETING. Without a
	// control file no tool takes the backup for a good one, and this name tells
	// the remains of a deletion from a backup that is just being begun.
	DeletingName = ControlName + ".deleting"
)

// ControlPath is the path of backup.control.
func (b *Backup) ControlPath() string { return filepath.Join(b.Dir, ControlName) }

// ContentPath is the path of backup_content.control.
func (b *Backup) ContentPath() string { return filepath.Join(b.Dir, ContentName) }

// HeaderMapPath is the path of page_header_map.
func (b *Backup) HeaderMapPath() string { return filepath.Join(b.Dir, HeaderMapName) }

// DatabaseDir is the directory with the stored files of PGDATA.
func (b *Backup) DatabaseDir() string { return filepath.Join(b.Dir, DatabaseName) }

// ExternalDir is the directory with the stored files of the n-th external
// directory, n >= 1.
func (b *Backup) ExternalDir(n int) string {
	return filepath.Join(b.Dir, ExternalName, "externaldir"+strconv.Itoa(n))
}

// EntryDir is the directory that paths of list entries with this
// external_dir_num are relative to; 0 is the database directory.
func (b *Backup) EntryDir(externalDir int) string {
	if externalDir == 0 {
		return b.DatabaseDir()
	}
	return b.ExternalDir(externalDir)
}

// Externals are the external directories, the first one being number 1.
func (b *Backup) Externals() []string { return SplitExternals(b.ExternalDirs) }

// SplitExternals takes a colon-separated list of directories apart as the C
// tool does, which records it as it was given: an empty name is none, and
// slashes and dots that mean nothing go.
func SplitExternals(list string) (dirs []string) {
	for dir := range strings.SplitSeq(list, ":") {
		if dir != "" {
			dirs = append(dirs, path.Clean(dir))
		}
	}
	return dirs
}
