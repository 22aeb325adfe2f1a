// Package walstream receives the write-ahead log from a server and stores it
// as segment files.
//
// It owns the messages inside CopyData in both dialects, the files (.partial
// while they grow), status replies and their timing, and the position others
// wait for. It leaves the connection, START_REPLICATION and the server's
// errors to internal/server, and the meaning of the WAL to internal/wal.
//
// Messages, after the type byte (server.md §4.2, §4.6):
//
//	      openGauss, native structs (little endian)      PostgreSQL, packed big endian
//	'w'   64 bytes, then WAL                             24 bytes, then WAL
//	       0 u64 start   8 u64 server's end               0 u64 start  8 u64 server's end
//	      16 i64 time   24 u64 x4 positions              16 i64 time
//	      56 u8 catch-up, 57..63 padding
//	'k'   32 bytes                                       17 bytes
//	       0 u64 server's end  8 i32 role  12 i32 state   0 u64 server's end
//	      16 i64 time   24 u8 reply requested             8 i64 time
//	      25 u8 catch-up   26..31 not set                16 u8 reply requested
//	'r'   64 bytes, client to server                     33 bytes
//	       0 u64 receive  8 u64 write  16 u64 flush       0 u64 write  8 u64 flush
//	      24 u64 apply   32 u64 apply read               16 u64 apply
//	      40 i32 role    44 i32 state                    24 i64 time
//	      48 i64 time    56 u8 reply requested           32 u8 reply requested
//	      57..63 zero
//	'm'   configuration file, skipped                    -
//
// Times are microseconds since 2000-01-01 UTC.
package walstream

import (
	"fmt"
	"math"
	"time"

	"gsprobackup/internal/wal"
)

// MessageKind is the sort of a server message.
type MessageKind int

// Kinds of server messages.
const (
	WALData MessageKind = iota + 1
	Keepalive
	ConfigFile // openGauss only, of no use to a backup
)

// Message is a decoded server message.
type Message struct {
	Kind           MessageKind
	Start          wal.LSN // of Data
	ServerEnd      wal.LSN
	SendTime       time.Time
	Data           []byte // part of the payload, not a copy
	ReplyRequested bool
	Catchup        bool  // openGauss
	PeerRole       int32 // openGauss: ServerMode
	PeerState      int32 // openGauss: DbState
}

// Status is what a client reports. Zero positions mean "not told".
type Status struct {
	Write, Flush, Apply wal.LSN
	SendTime            time.Time
	ReplyRequested      bool
}

// FlushReport says what a client tells the server about its flush position.
// A client that reports one can become a synchronous standby, for which
// commits on the server wait (server.md §4.3).
type FlushReport int

// Flush reports.
const (
	// FlushDefault is the dialect's choice: without a slot FlushNever; with
	// a slot FlushWritten on openGauss, where commits would otherwise wait
	// for seconds, and FlushSynced on PostgreSQL, as pg_receivewal does.
	FlushDefault FlushReport = iota
	FlushNever
	FlushSynced  // what is safe on disk: whole segments
	FlushWritten // what was handed to the file system, reported at once
)

// ProtocolError is a server message that makes no sense.
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return "decode streaming message: " + e.Text }

func malformed(format string, args ...any) error {
	return &ProtocolError{Text: fmt.Sprintf(format, args...)}
}

// Dialect is the message layout and timing of one server family. The zero
// Dialect is not usable.
type Dialect struct {
	name         string
	decode       func(payload []byte) (Message, error)
	appendStatus func(dst []byte, s Status) []byte
	slotFlush    FlushReport   // what FlushDefault means with a slot
	tellWrite    bool          // whether a status carries the write position
	statusEvery  time.Duration // a status goes out at least this often
	pingEvery    time.Duration // and one that wants an answer this often
}

// String names the dialect for error texts.
func (d Dialect) String() string { return d.name }

// Decode takes the payload of one CopyData message apart. Errors are
// *ProtocolError.
func (d Dialect) Decode(payload []byte) (Message, error) {
	if len(payload) == 0 {
		return Message{}, malformed("message is empty")
	}
	m, err := d.decode(payload)
	if err == nil && uint64(m.Start) > math.MaxUint64-uint64(len(m.Data)) {
		return Message{}, malformed("WAL position %s is out of range", m.Start)
	}
	return m, err
}

// AppendStatus appends the payload of a status reply to dst.
func (d Dialect) AppendStatus(dst []byte, s Status) []byte { return d.appendStatus(dst, s) }
