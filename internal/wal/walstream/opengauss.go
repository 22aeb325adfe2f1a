package walstream

import (
	"encoding/binary"
	"time"

	"gsprobackup/internal/wal"
)

const (
	ogWALHeader = 1 + 64
	ogKeepalive = 1 + 32
	ogStatus    = 1 + 64

	roleStandby   = 3 // ServerMode STANDBY_MODE
	stateBuilding = 7 // DbState BUILDING_STATE
)

// OpenGauss is the dialect of openGauss servers: C structs as they lie in the
// memory of a little-endian server (server.md §4.2). The server cuts clients
// that are silent for 6 seconds.
func OpenGauss() Dialect {
	return Dialect{
		name: "openGauss", decode: decodeOpenGauss, appendStatus: appendOpenGaussStatus,
		slotFlush: FlushWritten, statusEvery: 2 * time.Second, pingEvery: 5 * time.Second,
	}
}

func decodeOpenGauss(b []byte) (Message, error) {
	le := binary.LittleEndian
	switch b[0] {
	case 'w':
		if len(b) < ogWALHeader {
			return Message{}, malformed("wal streaming header is too small: %d.", len(b))
		}
		return Message{
			Kind: WALData, Start: wal.LSN(le.Uint64(b[1:])), ServerEnd: wal.LSN(le.Uint64(b[9:])),
			SendTime: wal.ServerTime(int64(le.Uint64(b[17:]))), Catchup: b[57] != 0, Data: b[ogWALHeader:],
		}, nil
	case 'k':
		if len(b) != ogKeepalive {
			return Message{}, malformed("keepalive message is incorrect size: %d", len(b))
		}
		return Message{
			Kind: Keepalive, ServerEnd: wal.LSN(le.Uint64(b[1:])),
			PeerRole: int32(le.Uint32(b[9:])), PeerState: int32(le.Uint32(b[13:])),
			SendTime: wal.ServerTime(int64(le.Uint64(b[17:]))), ReplyRequested: b[25] != 0, Catchup: b[26] != 0,
		}, nil
	case 'm':
		return Message{Kind: ConfigFile}, nil
	}
	return Message{}, malformed("unrecognized streaming header: %q.", b[0])
}

// appendOpenGaussStatus reports the flush position only: the tool leaves the
// others 0, and so the server takes the client for what it is, a builder.
func appendOpenGaussStatus(dst []byte, s Status) []byte {
	le := binary.LittleEndian
	dst = append(dst, 'r')
	for _, lsn := range []wal.LSN{0, s.Write, s.Flush, s.Apply, 0} {
		dst = le.AppendUint64(dst, uint64(lsn))
	}
	dst = le.AppendUint32(dst, roleStandby)
	dst = le.AppendUint32(dst, stateBuilding)
	dst = le.AppendUint64(dst, uint64(wal.ServerMicros(s.SendTime)))
	dst = append(dst, flag(s.ReplyRequested), 0, 0, 0)
	return append(dst, 0, 0, 0, 0) // flags: none
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
