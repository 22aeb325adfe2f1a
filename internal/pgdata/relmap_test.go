package pgdata

import (
	"encoding/binary"
	"testing"
)

func TestMappedFile(t *testing.T) {
	file := func(magic, n uint32, pairs ...uint32) []byte {
		b := binary.LittleEndian.AppendUint32(nil, magic)
		b = binary.LittleEndian.AppendUint32(b, n)
		for _, p := range pairs {
			b = binary.LittleEndian.AppendUint32(b, p)
		}
		return append(b, make([]byte, 16)...)
	}
	for _, magic := range []uint32{0x592717, 0x592718} {
		raw := file(magic, 2, 1249, 14462, 1259, 14481)
		if node, err := MappedFile(raw, PgClassOid); node != 14481 || err != nil {
			t.Errorf("%x: %d, %v", magic, node, err)
		}
		if node, err := MappedFile(raw, 2608); node != 0 || err != nil {
			t.Errorf("%x, not mapped: %d, %v", magic, node, err)
		}
	}
	for _, bad := range [][]byte{nil, file(1, 0), file(0x592717, 9), file(0x592717, 1<<32-1)} {
		if node, err := MappedFile(bad, PgClassOid); err == nil {
			t.Errorf("%x: %d", bad, node)
		}
	}
}
