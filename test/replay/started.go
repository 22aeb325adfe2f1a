package replay

import (
	"encoding/binary"
	"os"
	"path/filepath"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/wal"
)

// started leaves a restored data directory as a server does that has recovered,
// made a checkpoint whose redo position is given, and stopped.
func started(dir, redo string) error {
	const redoAt, crcAt = 48, 224 // in openGauss's pg_control (spec/formats.md §9.2)
	lsn, err := wal.ParseLSN(redo)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, "backup_label")); err != nil {
		return err
	}
	name := filepath.Join(dir, "global/pg_control")
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(raw[redoAt:], uint64(lsn))
	binary.LittleEndian.PutUint32(raw[crcAt:], crc32c.Sum(raw[:crcAt]))
	return os.WriteFile(name, raw, 0o600)
}
