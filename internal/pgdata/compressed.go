package pgdata

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// A block of a row-compressed relation, as the server keeps it in chunks and
// as a backup keeps it, filled up with zeros to BlockSize: its "stored image"
// (spec/formats.md §7.8, openGauss 5 and newer). It is either a raw page, or
//
//	off  type  field
//	  0        page header, n = 24, 40 or 56 bytes by layout version
//	  n  u32   crc: dataChecksum of the data
//	n+4  u16   size of the data in bytes
//	n+6  u16   bit 0 byte_convert, 1 diff_convert, 2-5 algorithm, rest garbage
//	n+8        data
//
// Nothing in it says which of the two it is. In a backup, bit 15 of pd_lower
// is set on both kinds; the server's own copy has it clear.
const (
	blockMetaSize = 8
	// 1 pglz, 2 zstd, 3 pgzstd, since 7.0 also 4 zlib
	maxBlockAlgorithm = 4

	pageVersionCommon = 5
	pageVersionHeap   = 6
	pageVersionUHeap  = 7
)

// ImageKind is what a stored image turned out to be.
type ImageKind int

// The kinds.
const (
	ImageInvalid    ImageKind = iota
	ImageZero                 // never written
	ImageRaw                  // a page the server could not compress
	ImageCompressed           // header, block meta, data
)

// ImageCheck is what CheckImage found.
type ImageCheck struct {
	Kind ImageKind
	// Size is the number of bytes the server keeps in chunks: BlockSize for
	// a raw or zero block, 0 for ImageInvalid.
	Size int
	// Page is the outcome in the words of CheckPage: a good compressed block
	// is PageValid without checksums.
	Page PageCheck
}

// OK tells whether the image may be stored.
func (c ImageCheck) OK() bool { return c.Kind != ImageInvalid }

// ImageFormat tells the stored images of the releases apart.
type ImageFormat uint8

// The formats. Images of 3.0 come from a `_pcd` file: segments have as many
// blocks as those of other relations, the bits behind byte_convert and
// diff_convert are all garbage, and bit 15 of pd_lower is clear in a backup,
// too (PageCompressData in the server's page_compression.h of 3.0).
const (
	ImagesOf5 ImageFormat = iota // `_compress` files, 3.1 and newer
	ImagesOf3                    // `_pcd` files, 3.0
)

// ImageFormatOf tells what images are stored for a row-compressed relation by
// the path of its list entry: C 3.0 lists it by the name of its main file.
func ImageFormatOf(path string) ImageFormat {
	if strings.HasSuffix(path, "_compress") {
		return ImagesOf5
	}
	return ImagesOf3
}

// SegBlocks is the number of logical blocks in a full segment.
func (f ImageFormat) SegBlocks() uint32 {
	if f == ImagesOf3 {
		return DefaultRelSegBlocks
	}
	return CompressedSegBlocks
}

// CheckImage is ImagesOf5.Check.
func CheckImage(img []byte, blkno uint32) ImageCheck { return ImagesOf5.Check(img, blkno) }

// Check tests a stored image of BlockSize bytes, with or without the mark in
// pd_lower. blkno is the absolute block number (segments of SegBlocks), which
// only the checksum of a raw page covers.
//
// The order of the tests follows §7.8: a compressed block must end in zeros
// and its crc must fit; what else fits pd_checksum is raw. C takes every block
// for compressed and crashes on raw ones (§14 row 1).
func (f ImageFormat) Check(img []byte, blkno uint32) ImageCheck {
	if len(img) != BlockSize {
		return ImageCheck{Page: PageCheck{Status: PageHeaderInvalid, Reason: headerInvalid}}
	}
	if isZeroImage(img) {
		return ImageCheck{Kind: ImageZero, Size: BlockSize, Page: PageCheck{Status: PageZero}}
	}
	h := DecodePageHeader(img)
	size, fits := f.compressedSize(img, &h)
	packed := ImageCheck{Kind: ImageCompressed, Size: size, Page: PageCheck{LSN: h.LSN}}
	if fits && IsZero(img[size:]) {
		return packed
	}
	page := CheckPage(img, blkno, PageRules{Family: OpenGauss, Checksums: true})
	switch {
	case page.OK():
		return ImageCheck{Kind: ImageRaw, Size: BlockSize, Page: page}
	case fits:
		// Left-overs behind the data in the last chunk do no harm.
		return packed
	}
	return ImageCheck{Page: page}
}

// isZeroImage accepts a zero page with and without the mark.
func isZeroImage(img []byte) bool {
	return IsZero(img[:12]) && img[12] == 0 && img[13]&0x7F == 0 && IsZero(img[14:])
}

// compressedSize is the number of bytes of a compressed block, and whether
// its crc fits.
func (f ImageFormat) compressedSize(img []byte, h *PageHeader) (int, bool) {
	n := 0
	switch h.Version {
	case pageVersionCommon:
		n = pageHeaderSize
	case pageVersionHeap:
		n = 40
	case pageVersionUHeap:
		n = 56
	}
	if n == 0 || h.Size != BlockSize {
		return 0, false
	}
	le := binary.LittleEndian
	start := n + blockMetaSize
	end := start + int(le.Uint16(img[n+4:]))
	algorithm := le.Uint16(img[n+6:]) >> 2 & 0xF
	if end == start || end > BlockSize || f == ImagesOf5 && (algorithm < 1 || algorithm > maxBlockAlgorithm) {
		return 0, false
	}
	return end, dataChecksum(img[start:end]) == le.Uint32(img[n:])
}

// markImage sets the mark of a stored image; a zero block stays all zero, so
// that every reader takes it for a zero page.
func markImage(img []byte) {
	if !IsZero(img) {
		img[13] |= lowerMarked >> 8
	}
}

// BuildExtent is Extents129.Build.
func BuildExtent(dst []byte, chunkSize uint16, algorithm uint8, first uint32, images [][]byte) (int, error) {
	return Extents129.Build(dst, chunkSize, algorithm, first, images)
}

// Build writes one extent of a `_compress` file into dst, which must be Size
// bytes: the images of up to Blocks consecutive blocks, in order and without
// gaps, from absolute block number first. It returns the number of chunk bytes
// used; the rest up to the extent header is zero and may be punched. Chunks
// are numbered consecutively and the header says so (recycle-in-order), byte
// for byte what the C tool's restore writes.
//
// The error is a *CorruptionError with Block set to the absolute block number
// if an image is neither compressed nor a good page.
func (l ExtentLayout) Build(dst []byte, chunkSize uint16, algorithm uint8, first uint32, images [][]byte) (int, error) {
	per, err := chunksPerBlock(chunkSize)
	switch {
	case err != nil:
		return 0, fmt.Errorf("build extent: %w", err)
	case int64(len(dst)) != l.Size():
		return 0, fmt.Errorf("build extent: buffer of %d bytes, want %d", len(dst), l.Size())
	case len(images) > int(l.Blocks()):
		return 0, fmt.Errorf("build extent: %d blocks, at most %d fit", len(images), l.Blocks())
	}
	clear(dst)
	h := ExtentHeader{
		Layout: l, Blocks: uint32(len(images)), ChunkSize: chunkSize,
		Algorithm: algorithm, RecycleInOrder: true,
	}
	used := 0
	for i, img := range images {
		c := CheckImage(img, first+uint32(i))
		if !c.OK() {
			return 0, &CorruptionError{Block: first + uint32(i), Reason: c.Page.Reason,
				Expected: uint64(c.Page.Found), Found: uint64(c.Page.Computed)}
		}
		n := (c.Size + int(chunkSize) - 1) / int(chunkSize)
		slot := &h.Slots[i]
		slot.Chunks, slot.Allocated = uint8(n), uint8(n)
		for j := range n {
			number := used/int(chunkSize) + j + 1
			slot.Numbers[j] = uint16(number)
			if l == Extents128 && number < 8*usageSize {
				h.Usage[number/8] |= 1 << (number % 8)
			}
		}
		slot.Checksum = slot.sum(per)
		copy(dst[used:], img[:c.Size])
		dst[used+13] &^= lowerMarked >> 8
		used += n * int(chunkSize)
	}
	h.AllocatedChunks = uint32(used / int(chunkSize))
	h.put(dst[len(dst)-BlockSize:], per)
	return used, nil
}
