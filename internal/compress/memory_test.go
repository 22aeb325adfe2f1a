package compress

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func TestNoAllocationsPerPage(t *testing.T) {
	pages := realPages(t)
	for _, alg := range packing {
		for _, level := range []int{1, 9} {
			c := newCodec(t, alg, level)
			dst := make([]byte, 0, 2*pageSize)
			page := make([]byte, pageSize)
			allocs := testing.AllocsPerRun(20, func() {
				for _, src := range pages {
					out, ok, err := c.Compress(dst, src)
					if err == nil && ok {
						err = c.Decompress(page, out)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			})
			if allocs != 0 && !raceEnabled {
				t.Errorf("%s level %d: %v allocations for %d pages", alg, level, allocs, len(pages))
			}
		}
	}
}

// allocated returns the bytes work allocates.
func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A codec has one small buffer set, so that many workers fit into memory.
func TestCodecMemory(t *testing.T) {
	page := realPages(t)[5]
	for alg, limits := range map[Algorithm][2]uint64{ // KiB to compress, to decompress
		PGLZ: {100, 100}, Zlib: {1500, 60}, LZ4: {150, 10}, Zstd: {4500, 100},
	} {
		var packed []byte
		for _, level := range []int{1, 5, 9} {
			dst := make([]byte, 0, 2*pageSize)
			n := allocated(func() { packed, _, _ = newCodec(t, alg, level).Compress(dst, page) })
			if n>>10 > limits[0] {
				t.Errorf("%s level %d: %d KiB to compress, want at most %d", alg, level, n>>10, limits[0])
			}
		}
		got := make([]byte, pageSize)
		n := allocated(func() {
			if err := newCodec(t, alg, 1).Decompress(got, packed); err != nil {
				t.Error(err)
			}
		})
		if n>>10 > limits[1] {
			t.Errorf("%s: %d KiB to decompress, want at most %d", alg, n>>10, limits[1])
		}
	}
}

// Streams that would become huge are refused without becoming huge.
func TestBombs(t *testing.T) {
	const size = 64 << 20
	zeros := make([]byte, size)
	var zbuf bytes.Buffer
	zw := zlib.NewWriter(&zbuf)
	zw.Write(zeros)
	zw.Close()
	zenc, err := zstd.NewWriter(nil, zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer zenc.Close()
	var sbuf bytes.Buffer // streamed: the frame does not tell its size
	zenc.Reset(&sbuf)
	zenc.Write(zeros)
	zenc.Close()
	lbuf := make([]byte, lz4.CompressBlockBound(size))
	ln, err := lz4.CompressBlock(zeros, lbuf, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		alg  Algorithm
		in   []byte
		err  error
	}{
		{"zlib", Zlib, zbuf.Bytes(), ErrLong},
		{"zstd with size", Zstd, zenc.EncodeAll(zeros, nil), ErrLong},
		{"zstd without size", Zstd, sbuf.Bytes(), ErrLong},
		{"lz4", LZ4, lbuf[:ln], lz4.ErrInvalidSourceShortBuffer},
		{"pglz", PGLZ, append([]byte{2, 0}, bytes.Repeat([]byte{0x0F, 1, 255}, 1000)...), nil},
	} {
		c := newCodec(t, tc.alg, 1)
		page := make([]byte, pageSize)
		var err error
		n := allocated(func() { err = c.Decompress(page, tc.in) })
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || tc.err != nil && !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.err)
		}
		if n > 1<<20 {
			t.Errorf("%s: %d bytes allocated", tc.name, n)
		}
	}
}
