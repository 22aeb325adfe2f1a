package ogwal

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"time"

	"gsprobackup/internal/wal"
)

// Record is what a record says besides its place in the log.
//
//	off  type  header, 32 bytes (formats.md §10.3)
//	  0  u32   total length          24  u8   info
//	  4  u32   term                  25  u8   resource manager
//	  8  u64   xid                   26  u16  bucket
//	 16  u64   previous record       28  u32  crc
type Record struct {
	XID  uint64
	Info uint8
	Rmid uint8
	Body []byte // header items and data
}

const (
	headerSize = 32
	term       = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode puts the header in front of the body. The crc covers the body first.
func (r Record) encode(prev wal.LSN) []byte {
	b := make([]byte, headerSize+len(r.Body))
	le := binary.LittleEndian
	le.PutUint32(b, uint32(len(b)))
	le.PutUint32(b[4:], term)
	le.PutUint64(b[8:], r.XID)
	le.PutUint64(b[16:], uint64(prev))
	b[24], b[25] = r.Info, r.Rmid
	copy(b[headerSize:], r.Body)
	crc := crc32.Update(0, castagnoli, b[headerSize:])
	le.PutUint32(b[28:], crc32.Update(crc, castagnoli, b[:28]))
	return b
}

// mainData wraps data as the last item of a body (formats.md §10.3).
func mainData(data []byte) []byte {
	if len(data) < 256 {
		return append([]byte{0xFF, byte(len(data))}, data...)
	}
	b := binary.LittleEndian.AppendUint32([]byte{0xFE}, uint32(len(data)))
	return append(b, data...)
}

func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// switchRecord ends a segment. It has no body at all.
func switchRecord() Record { return Record{Info: 0x40} }

// StandbyCSN is the record every checkpoint begins with; the backup's start
// LSN is its position (formats.md §10.5).
func StandbyCSN(csn uint64) Record {
	return Record{Info: 0x30, Rmid: 8, Body: mainData(u64(csn))}
}

// RunningXacts is a snapshot without running transactions: count u32,
// subtransaction overflow u8, next xid, oldest running xid, latest completed
// xid (recorded record at 0/4D000058).
func RunningXacts(nextXID uint64) Record {
	d := make([]byte, 40)
	binary.LittleEndian.PutUint64(d[16:], nextXID)
	binary.LittleEndian.PutUint64(d[24:], nextXID)
	binary.LittleEndian.PutUint64(d[32:], nextXID-1)
	return Record{Info: 0x10, Rmid: 8, Body: mainData(d)}
}

// checkpointTail are the bytes behind the 88 bytes of checkPointCopy in the
// recorded checkpoint record (0/4D0000A8): undo fields of later releases.
const checkpointTail = "db0300000000000078000000000000002b320000000000002b32000000000000"

// CheckpointOnline carries the 88 bytes that pg_control keeps at offset 48
// (formats.md §9.1).
func CheckpointOnline(checkPointCopy []byte) (Record, error) {
	if len(checkPointCopy) != 88 {
		return Record{}, fmt.Errorf("make checkpoint record: %d bytes, want 88", len(checkPointCopy))
	}
	tail, err := hex.DecodeString(checkpointTail)
	if err != nil {
		return Record{}, err
	}
	return Record{Info: 0x10, Body: mainData(append(append([]byte(nil), checkPointCopy...), tail...))}, nil
}

// RestorePoint is a named point in time: i64 time, 64-byte name. The server
// leaves garbage behind the name's NUL (formats.md §10.5); so does this.
func RestorePoint(at time.Time, name string) Record {
	d := u64(uint64(wal.ServerMicros(at)))
	field := make([]byte, 64)
	for i := range field {
		field[i] = 0xA5
	}
	n := copy(field[:63], name)
	field[n] = 0
	return Record{Info: 0x70, Body: mainData(append(d, field...))}
}

// BackupEnd ends the backup that began at start.
func BackupEnd(start wal.LSN) Record {
	return Record{Info: 0x50, Body: mainData(u64(uint64(start)))}
}

// Commit is a transaction's end; its main data begins with the time
// (formats.md §10.4).
func Commit(xid uint64, at time.Time) Record {
	return Record{XID: xid, Rmid: 1, Body: mainData(append(u64(uint64(wal.ServerMicros(at))), make([]byte, 24)...))}
}

// CompactCommit is how most transactions end: without files to drop and
// messages to send. i64 time, u64 csn, i32 number of subtransactions.
func CompactCommit(xid, csn uint64, at time.Time) Record {
	d := append(u64(uint64(wal.ServerMicros(at))), u64(csn)...)
	return Record{XID: xid, Info: 0x60, Rmid: 1, Body: mainData(append(d, 0, 0, 0, 0))}
}

// Abort is a transaction's end without effect: i64 time, three counts.
func Abort(xid uint64, at time.Time) Record {
	return Record{XID: xid, Info: 0x20, Rmid: 1, Body: mainData(append(u64(uint64(wal.ServerMicros(at))), make([]byte, 12)...))}
}

// Noop stands for any change to data: rmgr XLOG, XLOG_NOOP, of any length.
func Noop(xid uint64, data []byte) Record {
	return Record{XID: xid, Info: 0x20, Body: mainData(data)}
}
