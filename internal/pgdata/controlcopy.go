package pgdata

import (
	"encoding/binary"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/wal"
)

// BackupCopy returns the 8192 bytes of pg_control to store in a backup, and
// their decoded form; Control.CRC is what the content list records as the
// file's crc (spec/formats.md §4.3). Of openGauss only the struct is carried
// over, as in C, but into zeros instead of whatever memory held (§9.2, §14 row
// 9). A PostgreSQL file is kept whole: the server itself pads it.
func BackupCopy(src []byte) ([]byte, *Control, error) {
	c, err := ParseControl(src)
	if err != nil {
		return nil, nil, err
	}
	out := make([]byte, ControlFileSize)
	n := ControlFileSize
	if c.Family == OpenGauss {
		n = c.StructSize
	}
	copy(out, src[:n])
	return out, c, nil
}

// SetMinRecoveryPoint makes buf, a whole pg_control, demand recovery up to at
// least lsn before the server opens for connections, and returns the new crc
// (spec/formats.md §9.3: backup from a replica). tli is the timeline of lsn;
// 0 keeps the stored one, and openGauss stores none. buf is unchanged when an
// error is returned.
func SetMinRecoveryPoint(buf []byte, lsn wal.LSN, tli wal.Timeline) (uint32, error) {
	c, err := ParseControl(buf)
	if err != nil {
		return 0, err
	}
	l, _ := layoutFor(c.ControlVersion)
	le := binary.LittleEndian
	le.PutUint64(buf[l.minRecovery:], uint64(lsn))
	if l.minRecoveryTLI != 0 && tli != 0 {
		le.PutUint32(buf[l.minRecoveryTLI:], uint32(tli))
	}
	sum := crc32c.Sum(buf[:l.crc])
	le.PutUint32(buf[l.crc:], sum)
	return sum, nil
}
