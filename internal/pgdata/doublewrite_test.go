package pgdata

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// goldenHead is a header of golden 02_backups, backup TOW9UX.
func goldenHead(t *testing.T, head, tail string) []byte {
	t.Helper()
	page := make([]byte, BlockSize)
	for _, off := range []int{0, 4096, 7680} {
		for at, s := range map[int]string{0: head, 508: tail} {
			b, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			copy(page[off+at:], b)
		}
	}
	return page
}

const (
	mib     = 1 << 20
	oldSize = (1 + 161 + 32768) * BlockSize
)

// The headers of a real server are known, and become those of a new file.
func TestEmptyDoubleWrite(t *testing.T) {
	batch := goldenHead(t, "00000000b621020011690100", "f4da0000")
	single := goldenHead(t, "000021000000020011690100", "55032100")
	old := goldenHead(t, "0000000000000200", "00000000")
	for _, off := range dwHeads() {
		binary.LittleEndian.PutUint16(old[off+508:], dwSum(old[off:off+512], 508))
	}
	broken := append([]byte(nil), batch...)
	for _, off := range dwHeads() {
		broken[off+4] ^= 1
	}
	torn := append([]byte(nil), batch...)
	torn[4] ^= 1
	tests := []struct {
		name    string
		size    int64
		headers [][]byte
		offsets []int64 // of the pages; nil: not known
	}{
		{"pg_dw_0", 256 * mib, [][]byte{batch}, []int64{0, BlockSize}},
		{"pg_dw_15", 16 * mib, [][]byte{batch}, []int64{0, BlockSize}},
		{"pg_dw_0", 256 * mib, [][]byte{torn}, []int64{0, BlockSize}},
		{"pg_dw_single", 256 * mib, [][]byte{single, single}, []int64{0, 31739 * BlockSize}},
		{"pg_dw", 256 * mib, [][]byte{old}, []int64{0, BlockSize}},
		{"pg_dw_single", oldSize, [][]byte{old}, []int64{0}},
		{"pg_dw_1", 256 * mib, [][]byte{old}, []int64{0, BlockSize}}, // not used yet

		{"pg_dw_0", 256 * mib, [][]byte{broken}, nil},
		{"pg_dw_single", 256 * mib, [][]byte{old, old}, nil},
		{"pg_dw_0", 257 * mib, [][]byte{batch}, nil},
		{"pg_dw_0", 16*mib + 8192, [][]byte{batch}, nil},
		{"pg_dw_0", 0, [][]byte{batch}, nil},
		{"pg_dw_x", 256 * mib, [][]byte{batch}, nil},
		{"pg_dw_meta", 24576, [][]byte{batch}, nil},
		{"pg_dw", 256 * mib, [][]byte{batch}, nil},
		{"pg_dw_single", 256 * mib, [][]byte{single}, nil},
		{"pg_dw_single", 256 * mib, [][]byte{single, make([]byte, BlockSize)}, nil},
		{"pg_dw_single", 256 * mib, [][]byte{single, single[:512]}, nil},
		{"pg_dw_single", oldSize, [][]byte{single}, nil},
	}
	for _, tt := range tests {
		pages, ok := EmptyDoubleWrite(tt.name, tt.size, tt.headers)
		if ok != (tt.offsets != nil) || len(pages) != len(tt.offsets) && ok {
			t.Errorf("%s, %d bytes: %d pages, %v", tt.name, tt.size, len(pages), ok)
			continue
		}
		if !ok {
			continue
		}
		for i, p := range pages {
			if p.Offset != tt.offsets[i] || len(p.Data) != BlockSize {
				t.Errorf("%s: page %d at %d", tt.name, i, p.Offset)
			}
		}
		checkFresh(t, tt.name, pages)
	}
	for name, n := range map[string]int{"pg_dw": 1, "pg_dw_single": 2, "pg_dw_0": 1, "pg_dw_meta": 0, "pg_dw.build": 0} {
		if got := DoubleWriteHeaders(name, 256*mib); len(got) != n {
			t.Errorf("%s: headers at %d", name, got)
		}
	}
}

// checkFresh tests pages as the server does at its start.
func checkFresh(t *testing.T, name string, pages []PageAt) {
	t.Helper()
	le := binary.LittleEndian
	for _, p := range pages {
		if p.Offset == BlockSize { // verify_page of a batch head
			if le.Uint16(p.Data) != 1 || !IsZero(p.Data[2:BlockSize-4]) ||
				le.Uint16(p.Data[BlockSize-4:]) != dwSum(p.Data, BlockSize-4) || le.Uint16(p.Data[BlockSize-2:]) != 0 {
				t.Errorf("%s: batch %x", name, p.Data[:16])
			}
			continue
		}
		start := uint16(0)
		if name != "pg_dw_single" {
			start = 1
		}
		head := dwValidHead(p.Data)
		if head == nil || le.Uint16(head[2:]) != 0 || le.Uint16(head[4:]) != start || le.Uint16(head[6:]) != 2 {
			t.Errorf("%s: header at %d", name, p.Offset)
		}
	}
}

// A page of zeros is no batch: the server must not find one where the file
// has a hole.
func TestZeroPageIsNoBatch(t *testing.T) {
	if dwSum(make([]byte, BlockSize), BlockSize-4) == 0 || dwSum(make([]byte, dwHead), dwHead-4) == 0 {
		t.Error("checksum of zeros is zero")
	}
}
