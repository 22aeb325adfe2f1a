package pgdata

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// sparse is a file of zeros with some pages in it.
type sparse struct {
	size  int64
	pages map[int64][]byte // by page number
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > s.size {
		return 0, io.EOF
	}
	for n := 0; n < len(p); {
		at := off + int64(n)
		in := int(at % BlockSize)
		k := min(BlockSize-in, len(p)-n)
		if page := s.pages[at/BlockSize]; page != nil {
			copy(p[n:n+k], page[in:])
		} else {
			clear(p[n : n+k])
		}
		n += k
	}
	return len(p), nil
}

// The images of a server's file survive being put into extents of either
// layout, which is found out from the file.
func TestExtentLayouts(t *testing.T) {
	_, images := readAll(t, gunzip(t, "testdata/16639_compress.gz"))
	for _, l := range []ExtentLayout{Extents129, Extents128} {
		var file []byte
		for first := 0; first < len(images); first += 30 {
			chunk := images[first:min(first+30, len(images))]
			if first+30 < len(images) { // a full extent, the rest zero blocks
				chunk = append(chunk[:30:30], make([][]byte, int(l.Blocks())-30)...)
				for i := 30; i < len(chunk); i++ {
					chunk[i] = make([]byte, BlockSize)
				}
			}
			dst := make([]byte, l.Size())
			if _, err := l.Build(dst, 4096, 2, uint32(first), chunk); err != nil {
				t.Fatal(err)
			}
			file = append(file, dst...)
		}
		f, err := OpenCompressed(bytes.NewReader(file), int64(len(file)))
		if err != nil || f.Layout() != l {
			t.Fatalf("layout %d found as %d: %v", l, f.Layout(), err)
		}
		got := make([]byte, BlockSize)
		for i, want := range images {
			blk := uint32(i/30)*l.Blocks() + uint32(i%30)
			if err := f.ReadBlock(blk, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("layout %d: block %d differs: %v", l, i, err)
			}
		}
	}
}

// A size that fits both layouts is settled by what is in the file.
func TestDetectExtents(t *testing.T) {
	page := make([]byte, BlockSize)
	copy(page, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 2})
	for _, l := range []ExtentLayout{Extents129, Extents128} {
		f := sparse{size: 129 * 128 * BlockSize, pages: map[int64][]byte{}}
		for at := int64(l.Blocks()); at < 129*128; at += int64(l.Pages()) {
			f.pages[at] = page
		}
		if got, err := DetectExtents(f, f.size); err != nil || got != l {
			t.Errorf("layout %d found as %d: %v", l, got, err)
		}
	}
	var ce *CorruptionError
	for _, size := range []int64{-1, 1, 127 * BlockSize, 1025 * 128 * BlockSize, 129 * 128 * BlockSize} {
		if _, err := DetectExtents(sparse{size: size}, size); !errors.As(err, &ce) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// In 7.0 a header says which chunk numbers have an owner.
func TestChunkUsage(t *testing.T) {
	_, images := readAll(t, gunzip(t, "testdata/16639_compress.gz"))
	dst := make([]byte, Extents128.Size())
	used, err := Extents128.Build(dst, 4096, 2, 0, images[:5])
	if err != nil {
		t.Fatal(err)
	}
	h, err := Extents128.ParseHeader(dst[len(dst)-BlockSize:])
	if err != nil {
		t.Fatal(err)
	}
	for n := range 8 * usageSize {
		owned := h.Usage[n/8]>>(n%8)&1 == 1
		if owned != (n >= 1 && n <= used/4096) {
			t.Errorf("chunk %d: owned %v", n, owned)
		}
	}
}
