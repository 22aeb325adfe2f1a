package pgdata

import (
	"errors"
	"fmt"
	"io"
)

// CompressedFile reads logical blocks out of a `_compress` file. It keeps the
// header of one extent and is not safe for concurrent use. Use a new one (or
// Forget) to read a block again after an error: the server may have been
// moving it.
type CompressedFile struct {
	src     io.ReaderAt
	layout  ExtentLayout
	extents uint32
	blocks  uint32

	header *ExtentHeader
	at     uint32 // extent of header
	page   []byte
}

// OpenCompressed looks at a `_compress` file of size bytes. Files grow by
// whole extents, so any other size is a *CorruptionError.
func OpenCompressed(src io.ReaderAt, size int64) (*CompressedFile, error) {
	f := &CompressedFile{src: src, page: make([]byte, BlockSize)}
	if size == 0 {
		return f, nil
	}
	var err error
	if f.layout, err = DetectExtents(src, size); err != nil {
		return nil, err
	}
	f.extents = uint32(size / f.layout.Size())
	last, err := f.extent(f.extents - 1)
	if err != nil {
		return nil, err
	}
	// As the server counts: all extents but the last are full.
	f.blocks = (f.extents-1)*f.layout.Blocks() + last.Blocks
	return f, nil
}

// DetectExtents finds out which layout a `_compress` file of size bytes has.
// Most sizes are a multiple of one extent size only; where both fit, the first
// and the last header decide.
func DetectExtents(src io.ReaderAt, size int64) (ExtentLayout, error) {
	var problem error
	for _, l := range []ExtentLayout{Extents129, Extents128} {
		n := size / l.Size()
		if size <= 0 || size%l.Size() != 0 || n > l.maxExtents() {
			continue
		}
		other := Extents128
		if l == Extents128 {
			other = Extents129
		}
		if size%other.Size() != 0 {
			return l, nil
		}
		err := errors.Join(l.probe(src, 0), l.probe(src, uint32(n-1)))
		if err == nil {
			return l, nil
		}
		problem = errors.Join(problem, err)
	}
	if problem != nil {
		return 0, problem
	}
	return 0, &CorruptionError{Reason: fmt.Sprintf("compressed file of %d bytes: not a number of extents", size)}
}

// probe reads a header and all its address records.
func (l ExtentLayout) probe(src io.ReaderAt, n uint32) error {
	h, err := l.ReadHeader(src, n, make([]byte, BlockSize))
	if err != nil {
		return err
	}
	for slot := range int(l.Blocks()) {
		if _, err := h.Address(slot); err != nil {
			return err
		}
	}
	return nil
}

// ReadHeader reads the header of extent n; page is memory for it. A file that
// ends before is io.ErrUnexpectedEOF.
func (l ExtentLayout) ReadHeader(src io.ReaderAt, n uint32, page []byte) (*ExtentHeader, error) {
	if _, err := src.ReadAt(page, l.headerAt(n)); err != nil {
		return nil, fmt.Errorf("read header of extent %d: %w", n, noEOF(err))
	}
	h, err := l.ParseHeader(page)
	if err != nil {
		return nil, atBlock(err, n*l.Blocks())
	}
	return h, nil
}

// ReadImage reads the block of a slot into dst (BlockSize bytes) as its stored
// image, marked in pd_lower; n is the extent of the header. The image is not
// checked; CheckImage does that. A block without chunks is zero.
func (h *ExtentHeader) ReadImage(src io.ReaderAt, n uint32, slot int, dst []byte) error {
	blk := n*h.Layout.Blocks() + uint32(slot)
	numbers, err := h.Address(slot)
	if err != nil {
		return atBlock(err, blk)
	}
	start, chunk := int64(n)*h.Layout.Size(), int(h.ChunkSize)
	for i := 0; i < len(numbers); {
		run := 1 // neighbours in one read
		for i+run < len(numbers) && numbers[i+run] == numbers[i]+uint16(run) {
			run++
		}
		off := start + int64(numbers[i]-1)*int64(chunk)
		if _, err := src.ReadAt(dst[i*chunk:(i+run)*chunk], off); err != nil {
			return fmt.Errorf("read compressed block %d: %w", blk, noEOF(err))
		}
		i += run
	}
	clear(dst[len(numbers)*chunk:])
	markImage(dst)
	return nil
}

// Layout is the layout of the file's extents; an empty file has none.
func (f *CompressedFile) Layout() ExtentLayout { return f.layout }

// Blocks is the number of logical blocks in the file.
func (f *CompressedFile) Blocks() uint32 { return f.blocks }

// Header is the header of the last extent, nil for an empty file: chunk size
// and algorithm are the same throughout a relation.
func (f *CompressedFile) Header() (*ExtentHeader, error) {
	if f.extents == 0 {
		return nil, nil
	}
	return f.extent(f.extents - 1)
}

// Forget drops the extent header in memory.
func (f *CompressedFile) Forget() { f.header = nil }

// ReadBlock reads logical block blk of the file into dst (BlockSize bytes), see
// ReadImage.
func (f *CompressedFile) ReadBlock(blk uint32, dst []byte) error {
	if len(dst) != BlockSize {
		return fmt.Errorf("read compressed block %d: buffer of %d bytes, want %d", blk, len(dst), BlockSize)
	}
	if blk >= f.blocks {
		return fmt.Errorf("read compressed block %d: file has %d: %w", blk, f.blocks, io.EOF)
	}
	n := blk / f.layout.Blocks()
	h, err := f.extent(n)
	if err != nil {
		return err
	}
	return h.ReadImage(f.src, n, int(blk%f.layout.Blocks()), dst)
}

func (f *CompressedFile) extent(n uint32) (*ExtentHeader, error) {
	if f.header != nil && f.at == n {
		return f.header, nil
	}
	f.header = nil
	h, err := f.layout.ReadHeader(f.src, n, f.page)
	if err != nil {
		return nil, err
	}
	f.header, f.at = h, n
	return h, nil
}

// atBlock adds the block number to a *CorruptionError made here.
func atBlock(err error, blk uint32) error {
	if ce := (*CorruptionError)(nil); errors.As(err, &ce) {
		ce.Block = blk
	}
	return err
}

// noEOF keeps io.EOF for "no such block": a file that ends inside an extent
// has been cut.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
