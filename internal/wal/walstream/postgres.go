package walstream

import (
	"encoding/binary"
	"time"

	"gsprobackup/internal/wal"
)

const (
	pgWALHeader = 1 + 24
	pgKeepalive = 1 + 17
)

// PostgreSQL is the dialect of PostgreSQL 10 and later (server.md §4.6). The
// server cuts clients that are silent for 60 seconds by default.
func PostgreSQL() Dialect {
	return Dialect{
		name: "PostgreSQL", decode: decodePostgres, appendStatus: appendPostgresStatus,
		slotFlush: FlushSynced, tellWrite: true, statusEvery: 10 * time.Second, pingEvery: 20 * time.Second,
	}
}

func decodePostgres(b []byte) (Message, error) {
	be := binary.BigEndian
	switch b[0] {
	case 'w':
		if len(b) < pgWALHeader {
			return Message{}, malformed("wal streaming header is too small: %d.", len(b))
		}
		return Message{
			Kind: WALData, Start: wal.LSN(be.Uint64(b[1:])), ServerEnd: wal.LSN(be.Uint64(b[9:])),
			SendTime: wal.ServerTime(int64(be.Uint64(b[17:]))), Data: b[pgWALHeader:],
		}, nil
	case 'k':
		if len(b) != pgKeepalive {
			return Message{}, malformed("keepalive message is incorrect size: %d", len(b))
		}
		return Message{
			Kind: Keepalive, ServerEnd: wal.LSN(be.Uint64(b[1:])),
			SendTime: wal.ServerTime(int64(be.Uint64(b[9:]))), ReplyRequested: b[17] != 0,
		}, nil
	}
	return Message{}, malformed("unrecognized streaming header: %q.", b[0])
}

func appendPostgresStatus(dst []byte, s Status) []byte {
	be := binary.BigEndian
	dst = append(dst, 'r')
	for _, lsn := range []wal.LSN{s.Write, s.Flush, s.Apply} {
		dst = be.AppendUint64(dst, uint64(lsn))
	}
	dst = be.AppendUint64(dst, uint64(wal.ServerMicros(s.SendTime)))
	return append(dst, flag(s.ReplyRequested))
}
