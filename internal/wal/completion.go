package wal

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Completion is the end of a transaction, where recovery to a target may stop.
type Completion struct {
	XID    uint64 // of the transaction, also when another one committed it
	Time   time.Time
	Commit bool // false: abort
}

// Completion tells whether the record ends a transaction in the eyes of the
// server's recovery, and which. It is wider than TimeKind, which says what the
// C tool looks at: openGauss writes most commits in a compact form that the
// tool passes over, and PostgreSQL ends prepared transactions from another one.
//
//	openGauss   0x00 commit, 0x60 compact commit, 0x20 abort: the xid of the
//	            record; prepared transactions are no stop points there
//	PostgreSQL  0x00 commit, 0x20 abort: the xid of the record
//	            0x30, 0x40 the same of a prepared transaction: the xid inside
func (r *Record) Completion() (c Completion, ok bool, err error) {
	op := r.Info & infoXactMask
	if r.Rmid != rmgrXact || !r.format.completions[op>>4] {
		return Completion{}, false, nil
	}
	data, err := r.MainData()
	if err != nil {
		return Completion{}, false, err
	}
	if len(data) < 8 {
		return Completion{}, false, r.wrapMain(fmt.Errorf("time stamp is cut, main data has %d bytes", len(data)))
	}
	c = Completion{
		XID: r.XID, Time: ServerTime(int64(binary.LittleEndian.Uint64(data))),
		Commit: op == xactCommit || op == xactCommitPrepared || op == xactCommitCompact,
	}
	if op == xactCommitPrepared || op == xactAbortPrepared {
		if c.XID, err = preparedXID(data, r.Info, op == xactCommitPrepared, r.format.statsItem); err != nil {
			return Completion{}, false, r.wrapMain(err)
		}
	}
	return c, true, nil
}

// The operations of the transaction resource manager.
const (
	xactCommit         = 0x00
	xactCommitPrepared = 0x30
	xactAbortPrepared  = 0x40
	xactCommitCompact  = 0x60 // openGauss
)

// preparedXID finds the transaction in PostgreSQL's record about the end of a
// prepared one:
//
//	i64 time; if info has 0x80: u32 flags, then by flag
//	0x01   u32 database, u32 tablespace
//	0x02   i32 n, n × u32   subtransactions
//	0x04   i32 n, n × 12    relations to drop
//	0x100  i32 n, n × item  statistics to drop (since 15; 12 bytes, 18: 16)
//	0x08   i32 n, n × 16    invalidations (commit only)
//	0x10   u32 xid          the prepared transaction
func preparedXID(data []byte, info uint8, commit bool, statsItem int) (uint64, error) {
	const hasInfo, hasXID = 0x80, 0x10
	s := itemScanner{body: data, pos: 8}
	flags := uint32(0)
	if info&hasInfo != 0 {
		flags = s.u32()
	}
	list := func(flag uint32, item int) {
		if flags&flag == 0 {
			return
		}
		n := s.u32()
		if s.err == nil && uint64(n)*uint64(item) > uint64(len(data)) {
			s.err = errItemCut
			return
		}
		s.take(int(n) * item)
	}
	if flags&0x01 != 0 {
		s.take(8)
	}
	list(0x02, 4)
	list(0x04, 12)
	list(0x100, statsItem)
	if commit {
		list(0x08, 16)
	}
	xid := uint64(0)
	if flags&hasXID != 0 {
		xid = uint64(s.u32())
	}
	return xid, s.err
}
