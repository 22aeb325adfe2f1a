package blockfile

import (
	"bytes"
	"encoding/hex"
	"io"
	"testing"

	"gsprobackup/internal/compress"
)

// One index page stored by four codecs of the C tool: spec/formats.md §13.1
// (a), whole stored files.
func TestVectorsOfAllCodecs(t *testing.T) {
	page := make([]byte, PageSize)
	for off, digits := range map[int]string{8: "e95140003400e81fe81f0520", 24: "6231050002", 8180: "08"} {
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		copy(page[off:], b)
	}
	for _, v := range []struct {
		alg  compress.Algorithm
		crc  uint32
		file string
	}{
		{compress.Zlib, 3004020022, "00000000610000007801edd0b10980301404d04308b8455c41c800ae9015327ddc42248d2358bc5f5cf1af395eb2eeee575a669db51cef679c25dbaa24010204081020408000010204081020408000010204081020408000010204081020f04381fdb3e90149330484"},
		{compress.PGLZ, 423045569, "000000007c00000002000401e9514000340040e81fe81f0520011062f031050002051d0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff170f01ff0f01ff0f01d008080c"},
		{compress.LZ4, 664741908, "000000004b00000013000100c0e95140003400e81fe81f0520130050623105000209000f0200ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffdfc0080000000000000000000000"},
		{compress.Zstd, 960213749, "000000002e00000028b52ffd60001f250100b00000e95140003400e81fe81f05206231050002000800040060c3d38feb4293250c6001"},
	} {
		file, err := hex.DecodeString(v.file)
		if err != nil {
			t.Fatal(err)
		}
		codec, err := compress.New(v.alg, 1)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(bytes.NewReader(file))
		h, payload, err := r.Next()
		if err != nil || h.Block != 0 {
			t.Errorf("%s: %+v, %v", v.alg, h, err)
			continue
		}
		got := make([]byte, PageSize)
		if err := Decode(codec, got, payload); err != nil || !bytes.Equal(got, page) {
			t.Errorf("%s: page differs, %v", v.alg, err)
		}
		if err := Decode(nil, got, payload); err == nil {
			t.Errorf("%s: decoded without a codec", v.alg)
		}
		if _, _, err := r.Next(); err != io.EOF || r.CRC() != v.crc {
			t.Errorf("%s: CRC %d, %v", v.alg, r.CRC(), err)
		}
	}
}
