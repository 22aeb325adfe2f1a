package checker

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// One page stored by four codecs of the C tool (§13.1 (a)).
func TestVectors(t *testing.T) {
	want := make([]byte, blockSize)
	copy(want[8:], unhex(t, "e951400034 00e81fe81f0520"))
	copy(want[24:], unhex(t, "6231050002"))
	want[8180] = 8
	for alg, payload := range map[string]string{
		"zlib": "7801edd0b10980301404d04308b8455c41c800ae9015327ddc42248d2358bc5f5cf1af395eb2eeee575a669db51cef679c25dbaa24010204081020408000010204081020408000010204081020408000010204081020f04381fdb3e90149330484",
		"pglz": "02000401e9514000340040e81fe81f0520011062f031050002051d0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff170f01ff0f01ff0f01d008080c",
		"lz4":  "13000100c0e95140003400e81fe81f0520130050623105000209000f0200ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffdfc0080000000000000000000000",
		"zstd": "28b52ffd60001f250100b00000e95140003400e81fe81f05206231050002000800040060c3d38feb4293250c6001",
	} {
		page, err := unpack(alg, unhex(t, payload))
		if err != nil || !bytes.Equal(page, want) {
			t.Errorf("%s: %v", alg, err)
		}
	}
	if got := checksum(want, 0, true); got != 0x51E9 {
		t.Errorf("checksum %#x", got)
	}
	want[13] |= 0x80
	if checksum(want, 0, true) != 0x51E9 || checksum(want, 0, false) == 0x51E9 {
		t.Error("openGauss, and only it, masks the top bit of pd_lower")
	}
}

func TestDamagedPayloads(t *testing.T) {
	for _, alg := range []string{"none", "zlib", "pglz", "lz4", "zstd"} {
		for _, payload := range []string{"00", "ff", "01", "0100", "010001", "28b52ffd"} {
			if _, err := unpack(alg, unhex(t, payload)); err == nil {
				t.Errorf("%s accepts %s", alg, payload)
			}
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
