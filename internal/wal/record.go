package wal

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Resource managers and operations this package looks at. The upper half of
// Info is the operation, the lower half flags (formats.md §10.4).
const (
	rmgrXLOG = 0
	rmgrXact = 1

	infoOpMask       = 0xF0
	infoXactMask     = 0x70
	xlogSwitch       = 0x40
	xlogRestorePoint = 0x70
	xlogOverwrite    = 0xD0 // PostgreSQL: XLOG_OVERWRITE_CONTRECORD
)

// Record is one WAL record. A Record handed out by a Reader is overwritten by
// the next call.
type Record struct {
	LSN      LSN    // where it starts
	EndLSN   LSN    // first position after it, rounded up to 8; a switch ends with its segment
	Prev     LSN    // start of the record before
	XID      uint64 // 0: none
	TotalLen uint32 // bytes, header included
	CRC      uint32
	Term     uint32 // openGauss
	Bucket   uint16 // openGauss
	Info     uint8
	Rmid     uint8

	format   *Format
	body     []byte      // the whole body, or its first maxItemBytes
	bodyLen  uint32      // full length
	mainPos  mainDataPos // set when the body was too long to keep
	mainHead []byte      // first bytes of the main data of such a record
	mainErr  error
	large    bool
}

// IsSwitch tells whether the rest of the segment after this record is unused.
func (r *Record) IsSwitch() bool { return r.Rmid == rmgrXLOG && r.Info&infoOpMask == xlogSwitch }

// MainData returns the record's main data, valid until the Reader moves on.
// Of records longer than 16 KiB only the first ReaderOptions.KeepMain bytes
// are kept. The error means that the header items do not add up, which a
// record with a good CRC should not have.
func (r *Record) MainData() ([]byte, error) {
	if r.large {
		return r.mainHead, r.wrapMain(r.mainErr)
	}
	pos, err := r.format.mainData(r.body, r.bodyLen)
	if err != nil {
		return nil, r.wrapMain(err)
	}
	return r.body[pos.off : pos.off+pos.len], nil
}

// MainDataLen is the full length of the main data in bytes.
func (r *Record) MainDataLen() (uint32, error) {
	if r.large {
		return r.mainPos.len, r.wrapMain(r.mainErr)
	}
	pos, err := r.format.mainData(r.body, r.bodyLen)
	return pos.len, r.wrapMain(err)
}

func (r *Record) wrapMain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("decode WAL record at %s: %w", r.LSN, err)
}

// TimeKind tells what put a time stamp into a record.
type TimeKind int

// Kinds of records with a time stamp.
const (
	NoTime TimeKind = iota
	CommitTime
	AbortTime
	RestorePointTime
)

// TimeKind tells whether the record carries a time stamp, without decoding it.
func (r *Record) TimeKind() TimeKind {
	switch r.Rmid {
	case rmgrXLOG:
		if r.Info&infoOpMask == xlogRestorePoint {
			return RestorePointTime
		}
	case rmgrXact:
		op := r.Info & infoXactMask
		if !r.format.xactInfos[op>>4] {
			return NoTime
		}
		if op == 0x00 || op == 0x30 {
			return CommitTime
		}
		return AbortTime
	}
	return NoTime
}

// Time returns the time stamp of a commit, abort or restore point, in UTC with
// microseconds; kind is NoTime for every other record.
func (r *Record) Time() (t time.Time, kind TimeKind, err error) {
	kind = r.TimeKind()
	if kind == NoTime {
		return time.Time{}, NoTime, nil
	}
	data, err := r.MainData()
	if err != nil {
		return time.Time{}, NoTime, err
	}
	if len(data) < 8 {
		return time.Time{}, NoTime, r.wrapMain(fmt.Errorf("time stamp is cut, main data has %d bytes", len(data)))
	}
	return ServerTime(int64(binary.LittleEndian.Uint64(data))), kind, nil
}

// RestorePointName returns the name in a restore point record, "" for others.
func (r *Record) RestorePointName() (string, error) {
	if r.TimeKind() != RestorePointTime {
		return "", nil
	}
	data, err := r.MainData()
	if err != nil || len(data) < 8 {
		return "", err
	}
	name := data[8:]
	for i, c := range name {
		if c == 0 { // garbage follows the terminator (formats.md §10.5)
			return string(name[:i]), nil
		}
	}
	return string(name), nil
}

// Seconds from 1970-01-01 to 2000-01-01, the servers' epoch.
const serverEpoch = 946684800

// ServerTime converts the servers' microseconds since 2000-01-01 UTC.
func ServerTime(us int64) time.Time {
	return time.Unix(serverEpoch+us/1e6, us%1e6*1000).UTC()
}

// ServerMicros is the opposite of ServerTime.
func ServerMicros(t time.Time) int64 { return t.UnixMicro() - serverEpoch*1e6 }
