package pgdata

import (
	"fmt"
	"io"
)

// CompressedFile reads logical blocks out of a `_compress` file. It keeps the
// header of one extent and is not safe for concurrent use. Use a new one (or
// Forget) to read a block again after an error: the server may have been
// moving it.
type CompressedFile struct {
	src     io.ReaderAt
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
	if size < 0 || size%ExtentSize != 0 || size/ExtentSize > CompressedSegBlocks/ExtentBlocks {
		return nil, &CorruptionError{Reason: fmt.Sprintf("compressed file of %d bytes: not 0 to 1016 extents of %d", size, ExtentSize)}
	}
	f.extents = uint32(size / ExtentSize)
	// Truncation leaves empty extents at the end.
	for last := f.extents; last > 0; last-- {
		h, err := f.extent(last - 1)
		if err != nil {
			return nil, err
		}
		if h.Blocks > 0 {
			f.blocks = (last-1)*ExtentBlocks + h.Blocks
			break
		}
	}
	return f, nil
}

// Blocks is the number of logical blocks in the file.
func (f *CompressedFile) Blocks() uint32 { return f.blocks }

// Header is the header of the first extent, nil for an empty file: chunk size
// and algorithm are the same throughout a relation.
func (f *CompressedFile) Header() (*ExtentHeader, error) {
	if f.extents == 0 {
		return nil, nil
	}
	return f.extent(0)
}

// Forget drops the extent header in memory.
func (f *CompressedFile) Forget() { f.header = nil }

// ReadBlock reads logical block blk of the file into dst (BlockSize bytes) as
// its stored image, marked in pd_lower. The image is not checked; CheckImage
// does that. A block without chunks is zero.
func (f *CompressedFile) ReadBlock(blk uint32, dst []byte) error {
	if len(dst) != BlockSize {
		return fmt.Errorf("read compressed block %d: buffer of %d bytes, want %d", blk, len(dst), BlockSize)
	}
	clear(dst)
	if blk >= f.blocks {
		return fmt.Errorf("read compressed block %d: file has %d: %w", blk, f.blocks, io.EOF)
	}
	h, err := f.extent(blk / ExtentBlocks)
	if err != nil {
		return err
	}
	numbers, err := h.Address(int(blk % ExtentBlocks))
	if err != nil {
		return atBlock(err, blk)
	}
	start, chunk := int64(blk/ExtentBlocks)*ExtentSize, int(h.ChunkSize)
	for i := 0; i < len(numbers); {
		run := 1 // neighbours in one read
		for i+run < len(numbers) && numbers[i+run] == numbers[i]+uint16(run) {
			run++
		}
		off := start + int64(numbers[i]-1)*int64(chunk)
		if _, err := f.src.ReadAt(dst[i*chunk:(i+run)*chunk], off); err != nil {
			return fmt.Errorf("read compressed block %d: %w", blk, noEOF(err))
		}
		i += run
	}
	markImage(dst)
	return nil
}

func (f *CompressedFile) extent(n uint32) (*ExtentHeader, error) {
	if f.header != nil && f.at == n {
		return f.header, nil
	}
	f.header = nil
	if _, err := f.src.ReadAt(f.page, int64(n)*ExtentSize+extentHeaderOffset); err != nil {
		return nil, fmt.Errorf("read header of extent %d: %w", n, noEOF(err))
	}
	h, err := ParseExtentHeader(f.page)
	if err != nil {
		return nil, atBlock(err, n*ExtentBlocks)
	}
	f.header, f.at = h, n
	return h, nil
}

// atBlock adds the block number to a *CorruptionError made here.
func atBlock(err error, blk uint32) error {
	if ce, ok := err.(*CorruptionError); ok {
		ce.Block = blk
	}
	return err
}

// noEOF keeps io.EOF for "no such block": a file that ends inside an extent
// has been cut.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
