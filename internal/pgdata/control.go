package pgdata

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// ControlPath is where pg_control lies in a data directory.
const ControlPath = "global/pg_control"

// ControlFileSize is the size of pg_control on disk. Its struct is shorter;
// the rest is padding.
const ControlFileSize = 8192

// controlLayout holds the byte offsets of the fields we use. The head is the
// same everywhere: system_identifier u64@0, pg_control_version u32@8,
// catalog_version_no u32@12 (spec/formats.md §9.1, §9.4; PostgreSQL's
// src/include/catalog/pg_control.h of each major, checked against real
// servers in testdata).
type controlLayout struct {
	family                              Family
	state, checkpoint, redo, tli        int
	minRecovery, minRecoveryTLI         int // TLI 0: the family has none
	backupStart, backupEnd, endRequired int
	logHints                            int // 0: no such field
	blcksz                              int // followed by relseg, xlog_blcksz, xlog_seg_size
	checksum                            int // 0: no such field
	crc, size                           int
}

// layoutFor picks the layout by pg_control_version. PostgreSQL 12 to 17 agree
// in every field we read (17 put wal_level into padding of the checkpoint
// copy); 18 moved the crc behind one more flag.
func layoutFor(version uint32) (controlLayout, bool) {
	pg := controlLayout{
		family: PostgreSQL, state: 16, checkpoint: 32, redo: 40, tli: 48,
		minRecovery: 136, minRecoveryTLI: 144, backupStart: 152, backupEnd: 160, endRequired: 168,
		logHints: 176, blcksz: 216, checksum: 252, crc: 288, size: 296,
	}
	switch version {
	case 923: // openGauss, all releases
		return controlLayout{
			family: OpenGauss, state: 20, checkpoint: 32, redo: 48, tli: 56,
			minRecovery: 136, backupStart: 144, backupEnd: 152, endRequired: 160,
			blcksz: 192, crc: 224, size: 232,
		}, true
	case 1201, 1300, 1700: // PostgreSQL 12; 13 to 16; 17
		return pg, true
	case 1800: // PostgreSQL 18
		pg.crc = 292
		return pg, true
	}
	return controlLayout{}, false
}

// ControlState is the cluster state in pg_control.
type ControlState int32

// States, numbered alike in both families.
const (
	StateStartup ControlState = iota
	StateShutDown
	StateShutDownInRecovery
	StateShuttingDown
	StateCrashRecovery
	StateArchiveRecovery
	StateInProduction
)

// Control is what the tool reads from pg_control.
type Control struct {
	Family         Family
	SystemID       uint64
	ControlVersion uint32
	CatalogVersion uint32
	State          ControlState

	Checkpoint wal.LSN      // latest checkpoint record
	Redo       wal.LSN      // its redo point
	Timeline   wal.Timeline // of the checkpoint, as in WAL file names

	MinRecoveryPoint    wal.LSN
	MinRecoveryTimeline wal.Timeline // 0 in openGauss
	BackupStartPoint    wal.LSN
	BackupEndPoint      wal.LSN
	BackupEndRequired   bool

	BlockSize     uint32 // bytes
	RelSegBlocks  uint32 // blocks per segment file
	XLogBlockSize uint32 // bytes
	WALSegSize    uint32 // bytes, a power of two from 1 MiB to 1 GiB

	// LogHints tells that changes of hint bits are logged even without
	// checksums (wal_log_hints); openGauss has no such field.
	LogHints bool

	// DataChecksumVersion is not 0 if pages carry checksums; openGauss has no
	// such field and always has them, so 1 there.
	DataChecksumVersion uint32

	CRC        uint32 // as stored, and right: ParseControl checks it
	CRCOffset  int    // of the crc field; it covers all bytes before
	StructSize int    // bytes of the file that mean something
}

// ParseControl decodes and checks a whole pg_control file. The errors for a
// wrong size and a wrong CRC carry the C tool's text (spec/cli.md §11).
func ParseControl(b []byte) (*Control, error) {
	if len(b) != ControlFileSize {
		return nil, usererr.New("unexpected control file size %d, expected %d", len(b), ControlFileSize)
	}
	le := binary.LittleEndian
	version := le.Uint32(b[8:])
	l, ok := layoutFor(version)
	if !ok {
		return nil, fmt.Errorf("read control file: unknown pg_control version %d", version)
	}
	lsn := func(off int) wal.LSN { return wal.LSN(le.Uint64(b[off:])) }
	c := &Control{
		Family:         l.family,
		SystemID:       le.Uint64(b),
		ControlVersion: version,
		CatalogVersion: le.Uint32(b[12:]),
		State:          ControlState(le.Uint32(b[l.state:])),

		Checkpoint: lsn(l.checkpoint),
		Redo:       lsn(l.redo),
		Timeline:   wal.Timeline(le.Uint32(b[l.tli:])),

		MinRecoveryPoint:  lsn(l.minRecovery),
		BackupStartPoint:  lsn(l.backupStart),
		BackupEndPoint:    lsn(l.backupEnd),
		BackupEndRequired: b[l.endRequired] != 0,

		BlockSize:     le.Uint32(b[l.blcksz:]),
		RelSegBlocks:  le.Uint32(b[l.blcksz+4:]),
		XLogBlockSize: le.Uint32(b[l.blcksz+8:]),
		WALSegSize:    le.Uint32(b[l.blcksz+12:]),

		DataChecksumVersion: 1,

		CRC:        le.Uint32(b[l.crc:]),
		CRCOffset:  l.crc,
		StructSize: l.size,
	}
	if l.minRecoveryTLI != 0 {
		c.MinRecoveryTimeline = wal.Timeline(le.Uint32(b[l.minRecoveryTLI:]))
	}
	if l.logHints != 0 {
		c.LogHints = b[l.logHints] != 0
	}
	if l.checksum != 0 {
		c.DataChecksumVersion = le.Uint32(b[l.checksum:])
	}
	if sum := crc32c.Sum(b[:l.crc]); sum != c.CRC {
		return nil, usererr.Wrap(
			&CorruptionError{Path: ControlPath, Expected: uint64(c.CRC), Found: uint64(sum), Reason: "CRC does not match"},
			"Calculated CRC checksum does not match value stored in file.\n"+
				"Either the file is corrupt, or it has a different layout than this program\n"+
				"is expecting. The results below are untrustworthy.")
	}
	return c, c.check()
}

// check refuses values that callers would divide by or size buffers with.
func (c *Control) check() error {
	const mib = 1 << 20
	switch s := c.WALSegSize; {
	case s < mib || s > 1024*mib || s&(s-1) != 0:
		return fmt.Errorf("read control file: WAL segment size %d is not a power of two from 1 MiB to 1 GiB", s)
	case c.RelSegBlocks == 0:
		return errors.New("read control file: relation segment size is 0")
	}
	return nil
}

// CheckBlockSizes refuses clusters whose sizes the catalog format cannot
// hold, in the C tool's words (spec/formats.md §12).
func (c *Control) CheckBlockSizes() error {
	if c.BlockSize != BlockSize {
		return usererr.New("%s(%d) is not compatible(%d expected)", "BLCKSZ", c.BlockSize, BlockSize)
	}
	if c.XLogBlockSize != BlockSize {
		return usererr.New("%s(%d) is not compatible(%d expected)", "XLOG_BLCKSZ", c.XLogBlockSize, BlockSize)
	}
	return nil
}

// PageRules are the rules for the cluster's data pages.
func (c *Control) PageRules() PageRules {
	return PageRules{Family: c.Family, Checksums: c.DataChecksumVersion != 0}
}

// RedoPoint is the position from which recovery of this directory would
// start: the smallest set one of redo, minRecoveryPoint and backupStartPoint,
// with its timeline (spec/formats.md §9.2; incremental restore by LSN).
func (c *Control) RedoPoint() (wal.LSN, wal.Timeline) {
	lsn, tli := c.Redo, c.Timeline
	if c.MinRecoveryPoint != 0 && c.MinRecoveryPoint < lsn {
		lsn = c.MinRecoveryPoint
		if c.MinRecoveryTimeline != 0 {
			tli = c.MinRecoveryTimeline
		}
	}
	if c.BackupStartPoint != 0 && c.BackupStartPoint < lsn {
		lsn, tli = c.BackupStartPoint, c.Timeline
	}
	return lsn, tli
}
