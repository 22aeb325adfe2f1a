package compress

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

// fuzzDecompress feeds a decoder any bytes: it gives a whole page or a
// CorruptError, and never writes outside the page.
func fuzzDecompress(f *testing.F, alg Algorithm) {
	file, err := hex.DecodeString(specVectors[alg].file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file[8:])
	for _, frame := range goldenFrames(f, alg) {
		if len(frame) < 4096 {
			f.Add(frame)
		}
	}
	f.Add([]byte{})
	const guard = 64
	c := newCodec(f, alg, 1)
	arena := make([]byte, guard+pageSize+guard)
	f.Fuzz(func(t *testing.T, in []byte) {
		for i := range arena {
			arena[i] = 0x5A
		}
		page := arena[guard : guard+pageSize]
		before := bytes.Clone(in)
		err := c.Decompress(page, in)
		if bytes.Count(arena[:guard], []byte{0x5A}) != guard ||
			bytes.Count(arena[guard+pageSize:], []byte{0x5A}) != guard {
			t.Fatal("wrote outside the page")
		}
		if !bytes.Equal(in, before) {
			t.Fatal("changed its input")
		}
		var corrupt *CorruptError
		if err != nil && !errors.As(err, &corrupt) {
			t.Fatalf("%T: %v", err, err)
		}
		if err == nil {
			roundTrip(t, c, page)
		}
	})
}

func FuzzPGLZ(f *testing.F) { fuzzDecompress(f, PGLZ) }
func FuzzZlib(f *testing.F) { fuzzDecompress(f, Zlib) }
func FuzzLZ4(f *testing.F)  { fuzzDecompress(f, LZ4) }
func FuzzZstd(f *testing.F) { fuzzDecompress(f, Zstd) }

// FuzzPGLZEncode compares the fast encoder with the plain one.
func FuzzPGLZEncode(f *testing.F) {
	for _, page := range realPages(f) {
		f.Add(page)
	}
	c := newCodec(f, PGLZ, 0)
	f.Fuzz(func(t *testing.T, page []byte) {
		if len(page) > MaxPage {
			return
		}
		got, ok, err := c.Compress(nil, page)
		if err != nil {
			t.Fatal(err)
		}
		if want := plainPGLZ(page); ok != (len(want) < len(page)) || ok && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes (ok %v), the plain encoder gives %d", len(got), ok, len(want))
		}
		roundTrip(t, c, page)
	})
}
