package catalog

import (
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/usererr"
)

// Mode is how a backup was taken.
type Mode int

// The modes. ModeDelta is a way to take a backup, no mode of one: to whoever
// reads it, it is a PTRACK backup, which the C tool knows (Recorded).
const (
	ModeInvalid Mode = iota // unreadable control file
	ModeFull
	ModePtrack
	ModeDelta
)

// Recorded is the mode in backup.control of a backup taken this way.
func (m Mode) Recorded() Mode {
	if m == ModeDelta {
		return ModePtrack
	}
	return m
}

// String is the form in messages, and but for ModeDelta in backup.control;
// empty for ModeInvalid.
func (m Mode) String() string {
	switch m {
	case ModeFull:
		return "FULL"
	case ModePtrack:
		return "PTRACK"
	case ModeDelta:
		return "DELTA"
	}
	return ""
}

// MatchMode finds the mode a user typed for -b, by prefix in any case.
func MatchMode(s string) (Mode, error) {
	if optvalue.MatchPrefix(s, "delta") == 0 {
		return ModeDelta, nil
	}
	return ParseMode(s)
}

// ParseMode finds a mode of a control file by prefix, in any case.
func ParseMode(s string) (Mode, error) {
	switch optvalue.MatchPrefix(s, "full", "ptrack") {
	case 0:
		return ModeFull, nil
	case 1:
		return ModePtrack, nil
	}
	return ModeInvalid, usererr.New(`invalid backup-mode "%s"`, s)
}

// Status is the state of a backup (spec/formats.md §3.4).
type Status int

// The states. OK is validated, DONE finished but not validated; only these
// two can be parents. StatusUnknown stands for unreadable control data.
// DELETING is also what a directory reads as whose control file has the name
// DeletingName.
const (
	StatusUnknown Status = iota
	StatusOK
	StatusError
	StatusRunning
	StatusMerging
	StatusMerged
	StatusDeleting
	StatusDeleted
	StatusDone
	StatusOrphan
	StatusCorrupt
)

var statusNames = [...]string{"UNKNOWN", "OK", "ERROR", "RUNNING", "MERGING", "MERGED",
	"DELETING", "DELETED", "DONE", "ORPHAN", "CORRUPT"}

func (s Status) String() string {
	if s < 0 || int(s) >= len(statusNames) {
		return statusNames[StatusUnknown]
	}
	return statusNames[s]
}

// ParseStatus reads the exact word of a control file.
func ParseStatus(word string) (Status, bool) {
	for i, name := range statusNames {
		if name == word {
			return Status(i), true
		}
	}
	return StatusUnknown, false
}

// MatchStatus finds the state a user typed for --status, in any case; UNKNOWN
// is not accepted (spec/cli.md §4.1).
func MatchStatus(word string) (Status, bool) {
	i := optvalue.MatchWord(word, statusNames[1:]...)
	if i < 0 {
		return StatusUnknown, false
	}
	return Status(i + 1), true
}

// Usable tells whether the backup is complete: OK or DONE.
func (s Status) Usable() bool { return s == StatusOK || s == StatusDone }

// Storage is the storage-type key, written since openGauss 5.0.
type Storage int

// The storage types. A missing key means FILE and stays missing when the
// control file is rewritten, so that old tools do not warn about it.
const (
	StorageAbsent Storage = iota
	StorageFile
	StorageDSS
	StorageUnknown
)

func (s Storage) String() string {
	switch s {
	case StorageAbsent, StorageFile:
		return "FILE"
	case StorageDSS:
		return "DSS"
	}
	return "UNKNOWN"
}

func parseStorage(s string) Storage {
	switch s {
	case "FILE":
		return StorageFile
	case "DSS":
		return StorageDSS
	}
	return StorageUnknown
}

// S3Status is the s3-status key, written since openGauss 6.0. An ordinary
// local backup has UNKNOWN.
type S3Status int

// The S3 states.
const (
	S3Absent S3Status = iota
	S3Local
	S3Remote
	S3Unknown
)

func (s S3Status) String() string {
	switch s {
	case S3Local:
		return "LOCAL"
	case S3Remote:
		return "S3"
	}
	return "UNKNOWN"
}

func parseS3Status(s string) S3Status {
	switch s {
	case "LOCAL":
		return S3Local
	case "S3":
		return S3Remote
	}
	return S3Unknown
}
