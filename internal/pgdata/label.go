package pgdata

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gsprobackup/internal/wal"
)

// Names of files in a data directory that backup and restore treat by name.
const (
	BackupLabelName   = "backup_label"
	TablespaceMapName = "tablespace_map"
	DatabaseMapName   = "database_map" // made by the tool, spec/formats.md §8.3
	PIDFileName       = "postmaster.pid"
	VersionFileName   = "PG_VERSION"
	RecoveryConfName  = "recovery.conf" // openGauss; PostgreSQL below 12
	RecoverySignal    = "recovery.signal"
	StandbySignal     = "standby.signal"
	AutoConfName      = "postgresql.auto.conf"
)

// BackupLabel is a decoded backup_label (spec/formats.md §8.1). Texts are kept
// as written.
type BackupLabel struct {
	StartLSN   wal.LSN
	WALFile    string // segment that holds StartLSN
	Timeline   wal.Timeline
	Checkpoint wal.LSN
	Method     string // pg_start_backup or streamed
	From       string // master/primary or standby
	StartTime  string
	Label      string
}

// ParseBackupLabel reads a backup_label. START WAL LOCATION and CHECKPOINT
// LOCATION must be there; lines it does not know are passed over, because
// each release adds some.
func ParseBackupLabel(b []byte) (*BackupLabel, error) {
	var label BackupLabel
	var haveStart, haveCheckpoint bool
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		if !ok {
			continue
		}
		var err error
		switch key {
		case "START WAL LOCATION":
			err = label.parseStart(value)
			haveStart = true
		case "CHECKPOINT LOCATION":
			label.Checkpoint, err = wal.ParseLSN(value)
			haveCheckpoint = true
		case "BACKUP METHOD":
			label.Method = value
		case "BACKUP FROM":
			label.From = value
		case "START TIME":
			label.StartTime = value
		case "LABEL":
			label.Label = value
		}
		if err != nil {
			return nil, fmt.Errorf("read backup_label: line %q: %w", key, err)
		}
	}
	if !haveStart || !haveCheckpoint {
		return nil, errors.New("read backup_label: START WAL LOCATION or CHECKPOINT LOCATION is missing")
	}
	return &label, nil
}

// parseStart reads `%X/%X (file %08X%08X%08X)`. The first eight digits of the
// file name are the timeline: START TIMELINE is not in openGauss's labels.
func (l *BackupLabel) parseStart(s string) error {
	lsn, rest, ok := strings.Cut(s, " (file ")
	file, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed || len(file) != 24 {
		return errors.New("want LSN (file NAME)")
	}
	var err error
	if l.StartLSN, err = wal.ParseLSN(lsn); err != nil {
		return err
	}
	tli, err := strconv.ParseUint(file[:8], 16, 32)
	if err != nil {
		return fmt.Errorf("read timeline: %w", err)
	}
	if _, err := strconv.ParseUint(file[8:], 16, 64); err != nil {
		return fmt.Errorf("read segment number: %w", err)
	}
	l.Timeline, l.WALFile = wal.Timeline(tli), file
	return nil
}
