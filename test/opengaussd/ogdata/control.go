package ogdata

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"gsprobackup/internal/wal"
)

const (
	controlPath = "global/pg_control"
	controlCRC  = 224 // formats.md §9.1
)

// control is pg_control, kept as bytes: all that is not changed stays as the
// real server wrote it.
//
//	  0 u64 system id    20 i32 state     24 i64 time
//	 32 u64 checkPoint   40 u64 prev      48 checkPointCopy, 88 bytes:
//	 48 u64 redo   64 u64 nextXid   72 u32 nextOid   112 i64 time
//	120 u64 removed segment   128 u64 oldest active xid
//	136 u64 minRecoveryPoint  196 u32 relation segment, blocks
//	224 u32 crc of all before
type control []byte

func readControl(dir string) (control, error) {
	b, err := os.ReadFile(filepath.Join(dir, controlPath))
	if err != nil {
		return nil, fmt.Errorf("read control file: %w", err)
	}
	return control(b), nil
}

func (c control) u64(off int) uint64       { return binary.LittleEndian.Uint64(c[off:]) }
func (c control) put64(off int, v uint64)  { binary.LittleEndian.PutUint64(c[off:], v) }
func (c control) put32(off int, v uint32)  { binary.LittleEndian.PutUint32(c[off:], v) }
func (c control) systemID() uint64         { return c.u64(0) }
func (c control) redo() wal.LSN            { return wal.LSN(c.u64(48)) }
func (c control) checkpoint() wal.LSN      { return wal.LSN(c.u64(32)) }
func (c control) checkPointCopy() []byte   { return c[48:136] }
func (c control) setMinRecovery(l wal.LSN) { c.put64(136, uint64(l)) }

// begin prepares checkPointCopy for a checkpoint whose redo point is redo.
func (c control) begin(redo wal.LSN, at time.Time, xid uint64, oid uint32) {
	c.put64(48, uint64(redo))
	c.put64(64, xid)
	c.put32(72, oid)
	c.put64(112, uint64(at.Unix()))
	c.put64(128, xid)
}

// finish records the checkpoint record's position.
func (c control) finish(at time.Time, checkpoint wal.LSN) {
	c.put64(24, uint64(at.Unix()))
	c.put64(40, c.u64(32))
	c.put64(32, uint64(checkpoint))
}

// write puts the crc in and writes the file in place, as the server does.
func (c control) write(dir string) error {
	c.put32(controlCRC, crc32.Checksum(c[:controlCRC], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(filepath.Join(dir, controlPath), c, 0o600); err != nil {
		return fmt.Errorf("write control file: %w", err)
	}
	// pg_control.backup is the server's second copy, 512 bytes.
	if err := os.WriteFile(filepath.Join(dir, controlPath+".backup"), c[:512], 0o600); err != nil {
		return fmt.Errorf("write control file: %w", err)
	}
	return nil
}
