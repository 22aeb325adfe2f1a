package blockfile

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// A stream the reader accepts is exactly what writing its pages again gives.
func FuzzReader(f *testing.F) {
	for _, g := range goldenFiles(f) {
		f.Add(g.pages)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		var again []byte
		for {
			h, payload, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				if !errors.As(err, new(*CorruptError)) {
					t.Fatalf("error class: %v", err)
				}
				return
			}
			again = AppendFrame(again, h.Block, payload)
		}
		if !bytes.Equal(again, data) {
			t.Fatal("accepted stream does not survive")
		}
	})
}

// An array the parser accepts makes the reader accept a matching file.
func FuzzParseHeaders(f *testing.F) {
	for _, g := range goldenFiles(f) {
		_, raw, err := readArray(bytes.NewReader(g.packed), g.ref())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		headers, total, err := ParseHeaders(raw)
		if err != nil {
			if !errors.As(err, new(*CorruptError)) {
				t.Fatalf("error class: %v", err)
			}
			return
		}
		if err := checkHeaders(headers, total); err != nil {
			t.Fatal(err)
		}
		if _, err := AppendHeaders(nil, headers, total); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzReadHeaders(f *testing.F) {
	for _, g := range goldenFiles(f) {
		f.Add(g.packed, g.NHeaders, g.HdrCRC)
	}
	f.Fuzz(func(t *testing.T, packed []byte, n int, crc uint32) {
		ref := MapRef{N: n, CRC: crc, Size: int32(len(packed))}
		_, _, err := ReadHeaders(bytes.NewReader(packed), ref)
		if err != nil && !errors.As(err, new(*CorruptError)) && !errors.As(err, new(*MapCRCError)) {
			t.Fatalf("error class: %v", err)
		}
	})
}
