package compress

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/internal/crc32c"

	"pgregory.net/rapid"
)

const pageSize = 8192

var packing = []Algorithm{PGLZ, Zlib, LZ4, Zstd}

func newCodec(tb testing.TB, alg Algorithm, level int) Codec {
	tb.Helper()
	c, err := New(alg, level)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestParse(t *testing.T) {
	for _, alg := range []Algorithm{None, PGLZ, Zlib, LZ4, Zstd} {
		if got, err := Parse(alg.String()); err != nil || got != alg {
			t.Errorf("Parse(%q) = %v, %v", alg, got, err)
		}
	}
	for _, name := range []string{"", "zli", "ZLIB", " zlib", "zlib ", "undefined"} {
		if got, err := Parse(name); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", name, got)
		}
	}
	if Undefined.String() != "none" {
		t.Errorf("Undefined reads %q", Undefined)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, level := range []int{-1, 10} {
		if _, err := New(Zlib, level); !errors.Is(err, ErrLevel) {
			t.Errorf("New(Zlib, %d): %v, want ErrLevel", level, err)
		}
	}
	if _, err := New(Zstd+1, 1); err == nil {
		t.Error("New took an unknown algorithm")
	}
}

// specVectors are the stored files of spec/formats.md §13.1(a), whole.
var specVectors = map[Algorithm]struct {
	crc  uint32
	file string
}{
	Zlib: {3004020022, "00000000610000007801edd0b10980301404d04308b8455c41c800ae9015327ddc42248d2358bc5f5cf1af395eb2eeee575a669db51cef679c25dbaa24010204081020408000010204081020408000010204081020408000010204081020f04381fdb3e90149330484"},
	PGLZ: {423045569, "000000007c00000002000401e9514000340040e81fe81f0520011062f031050002051d0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ffff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff0f01ff170f01ff0f01ff0f01d008080c"},
	LZ4:  {664741908, "000000004b00000013000100c0e95140003400e81fe81f0520130050623105000209000f0200ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffdfc0080000000000000000000000"},
	Zstd: {960213749, "000000002e00000028b52ffd60001f250100b00000e95140003400e81fe81f05206231050002000800040060c3d38feb4293250c6001"},
}

// specPage is the page the vectors decode to, as §13.1(a) describes it.
func specPage() []byte {
	page := make([]byte, pageSize)
	copy(page[8:], "\xe9\x51\x40\x00\x34\x00\xe8\x1f\xe8\x1f\x05\x20")
	copy(page[24:], "\x62\x31\x05\x00\x02")
	page[8180] = 8
	return page
}

func TestSpecVectors(t *testing.T) {
	for alg, v := range specVectors {
		t.Run(alg.String(), func(t *testing.T) {
			file, err := hex.DecodeString(v.file)
			if err != nil {
				t.Fatal(err)
			}
			if got := crc32c.Sum(file); got != v.crc {
				t.Fatalf("vector is damaged: crc %d, want %d", got, v.crc)
			}
			frames := splitFrames(t, file)
			page := make([]byte, pageSize)
			if err := newCodec(t, alg, 1).Decompress(page, frames[0]); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(page, specPage()) {
				t.Error("decoded page differs from the specified one")
			}
		})
	}
}

// goldenPages are the CRC32C and the stored size of the pages in
// testdata/<algorithm>.pages, a few frames of backups made by the C tool. The
// sums were computed with other decoders (Python's zlib, the zstd program,
// plain scripts).
var goldenPages = map[Algorithm][]struct {
	crc    uint32
	stored int
}{
	PGLZ: {
		{0x389840B4, 116},  // base/16384/16522 block 0
		{0x5E6AE5A4, 150},  // global/14791 block 1
		{0x355AB185, 631},  // global/14788 block 0
		{0x8F259EA3, 1206}, // base/16384/16450_compress block 0
		{0x666F6002, 2191}, // base/16384/16394 block 1
		{0x7FA39081, 3266}, // base/16384/16485 block 4
		{0xAF8755FF, 4597}, // base/16384/16510 block 16
		{0x387BE7C8, 5653}, // base/16384/16499 block 12
		{0x9E881CF2, 7244}, // base/16384/16400 block 61
		{0xFFE1CF8E, 8192}, // base/16384/16400 block 0
	},
	LZ4: {
		{0x9987C496, 75},   // base/16384/16504 block 0
		{0xA27469C1, 1502}, // base/16384/16456_compress block 269
		{0xECBD67A2, 3883}, // base/16384/16485 block 1
	},
	Zstd: {
		{0x1F94F1E9, 50},   // global/14368 block 0
		{0x46659149, 1502}, // base/16384/16450_compress block 274
		{0x4CE7873E, 2470}, // base/16384/16394 block 93
	},
	Zlib: {
		{0x90444623, 59},   // base/16384/1 block 0
		{0xD8B23B20, 1500}, // base/1/14601 block 0
		{0xF38E036A, 3011}, // base/1/14259 block 2
	},
}

// splitFrames cuts a page stream (§5.1) into its payloads.
func splitFrames(tb testing.TB, stream []byte) [][]byte {
	tb.Helper()
	var frames [][]byte
	for len(stream) > 0 {
		n := binary.LittleEndian.Uint32(stream[4:])
		frames = append(frames, stream[8:8+n])
		stream = stream[8+n:]
	}
	return frames
}

func goldenFrames(tb testing.TB, alg Algorithm) [][]byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", alg.String()+".pages"))
	if err != nil {
		tb.Fatal(err)
	}
	return splitFrames(tb, b)
}

// goldenPage decodes a frame; a frame of full size is a raw page.
func goldenPage(tb testing.TB, c Codec, frame []byte) []byte {
	tb.Helper()
	page := make([]byte, pageSize)
	if len(frame) == pageSize {
		copy(page, frame)
	} else if err := c.Decompress(page, frame); err != nil {
		tb.Fatal(err)
	}
	return page
}

func TestGoldenPages(t *testing.T) {
	for alg, want := range goldenPages {
		t.Run(alg.String(), func(t *testing.T) {
			c := newCodec(t, alg, 1)
			frames := goldenFrames(t, alg)
			if len(frames) != len(want) {
				t.Fatalf("%d frames, want %d", len(frames), len(want))
			}
			for i, frame := range frames {
				page := goldenPage(t, c, frame)
				if got := crc32c.Sum(page); got != want[i].crc || len(frame) != want[i].stored {
					t.Errorf("frame %d: crc %08X of %d bytes, want %08X of %d", i, got, len(frame), want[i].crc, want[i].stored)
				}
			}
		})
	}
}

// realPages are the decoded golden pages, and one of zeros.
func realPages(tb testing.TB) [][]byte {
	tb.Helper()
	c := newCodec(tb, PGLZ, 0)
	pages := [][]byte{make([]byte, pageSize)}
	for _, frame := range goldenFrames(tb, PGLZ) {
		pages = append(pages, goldenPage(tb, c, frame))
	}
	return pages
}

func TestRoundTripAllLevels(t *testing.T) {
	pages := realPages(t)
	for _, alg := range packing {
		for level := 0; level <= 9; level++ {
			c := newCodec(t, alg, level)
			packed := 0
			for i, page := range pages {
				if roundTrip(t, c, page) {
					packed++
				} else if i == 0 && !(alg == Zlib && level == 0) {
					t.Errorf("%s level %d: a page of zeros got no smaller", alg, level)
				}
			}
			if alg == Zlib && level == 0 && packed > 0 {
				t.Errorf("zlib level 0 packed %d pages", packed)
			}
		}
	}
}

type fataler interface{ Fatalf(string, ...any) }

// roundTrip packs and unpacks page and tells whether it got smaller.
func roundTrip(t fataler, c Codec, page []byte) bool {
	prefix := []byte("prefix")
	out, ok, err := c.Compress(bytes.Clone(prefix), page)
	if err != nil {
		t.Fatalf("compress: %v", err)
	}
	if !bytes.HasPrefix(out, prefix) {
		t.Fatalf("dst was not kept: % x", out[:6])
	}
	payload := out[len(prefix):]
	if !ok {
		if len(payload) != 0 {
			t.Fatalf("not smaller, but %d bytes", len(payload))
		}
		return false
	}
	if len(payload) >= len(page) {
		t.Fatalf("ok with %d of %d bytes", len(payload), len(page))
	}
	got := bytes.Repeat([]byte{0xA5}, len(page))
	if err := c.Decompress(got, payload); err != nil {
		t.Fatalf("decompress: %v", err)
	}
	if !bytes.Equal(got, page) {
		t.Fatalf("page changed")
	}
	return true
}

// drawPage makes pages of up to MaxPage bytes out of literals, runs and
// repeats at any distance.
func drawPage(t *rapid.T) []byte {
	size := rapid.OneOf(rapid.IntRange(0, 40), rapid.Just(pageSize), rapid.IntRange(0, MaxPage)).Draw(t, "size")
	var page []byte
	for len(page) < size {
		switch n := rapid.IntRange(1, 600).Draw(t, "n"); rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			page = append(page, rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "literal")...)
		case 1:
			page = append(page, bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n)...)
		default:
			if len(page) == 0 {
				continue
			}
			from := len(page) - rapid.IntRange(1, len(page)).Draw(t, "back")
			for range n {
				page = append(page, page[from])
				from++
			}
		}
	}
	return page[:size]
}

func TestRoundTripProperty(t *testing.T) {
	for _, alg := range packing {
		c := newCodec(t, alg, 1)
		t.Run(alg.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { roundTrip(t, c, drawPage(t)) })
		})
	}
}

func TestNone(t *testing.T) {
	for _, alg := range []Algorithm{Undefined, None} {
		c := newCodec(t, alg, 1)
		if out, ok, err := c.Compress([]byte("x"), make([]byte, pageSize)); ok || err != nil || string(out) != "x" {
			t.Errorf("Compress = %q, %v, %v", out, ok, err)
		}
		page := make([]byte, 4)
		if err := c.Decompress(page, []byte("abcd")); err != nil || string(page) != "abcd" {
			t.Errorf("Decompress = %q, %v", page, err)
		}
	}
}

func TestCompressRefusesMoreThanAPage(t *testing.T) {
	for _, alg := range append([]Algorithm{None}, packing...) {
		if _, _, err := newCodec(t, alg, 1).Compress(nil, make([]byte, MaxPage+1)); err == nil {
			t.Errorf("%s took %d bytes", alg, MaxPage+1)
		}
	}
}

// What is not exactly one page is a CorruptError, and the codec still works
// after it.
func TestDecompressWrongSize(t *testing.T) {
	pages := realPages(t)
	page := pages[len(pages)/2]
	for _, alg := range append([]Algorithm{None}, packing...) {
		t.Run(alg.String(), func(t *testing.T) {
			c := newCodec(t, alg, 1)
			good := page
			if alg != None {
				var ok bool
				var err error
				if good, ok, err = c.Compress(nil, page); err != nil || !ok {
					t.Fatal(ok, err)
				}
			}
			for name, tc := range map[string]struct {
				size int
				in   []byte
			}{
				"nothing":  {pageSize, nil},
				"cut":      {pageSize, good[:len(good)-1]},
				"half":     {pageSize, good[:len(good)/2]},
				"trailing": {pageSize, append(bytes.Clone(good), 0)},
				"short":    {pageSize + 1, good},
				"long":     {pageSize - 1, good},
				"no room":  {0, good},
			} {
				var corrupt *CorruptError
				err := c.Decompress(make([]byte, tc.size), tc.in)
				if !errors.As(err, &corrupt) {
					t.Errorf("%s: %v, want a CorruptError", name, err)
					continue
				}
				if corrupt.Algorithm != alg || corrupt.Want != tc.size || corrupt.Got > tc.size || corrupt.Err == nil {
					t.Errorf("%s: %+v", name, corrupt)
				}
			}
			got := make([]byte, pageSize)
			if err := c.Decompress(got, good); err != nil || !bytes.Equal(got, page) {
				t.Errorf("good page after bad ones: %v", err)
			}
		})
	}
}
