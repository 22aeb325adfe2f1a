package pgdata

import (
	"encoding/binary"
	"fmt"
)

// A `_compress` file is a row of extents (spec/formats.md §7.8, openGauss 3.1
// and newer), n logical blocks each:
//
//	n * 8192 bytes of chunk space | one 8192-byte header page
//
// header page:
//
//	off  type  field
//	  0  u32   nblocks: logical blocks in this extent
//	  4  u32   allocated_chunks
//	  8  u16   chunk_size: 512, 1024, 2048 or 4096
//	 10  u8    low 7 bits algorithm, high bit recycle-in-order
//	 11  u8    reserved
//	  r        n address records of 6 + 2*(8192/chunk_size) bytes:
//	           u32 checksum, u8 nchunks, u8 allocated_chunks, u16 numbers[]
//
// Chunk number k (1-based) lies at extent start + (k-1)*chunk_size.
//
// Up to 6.0, n is 128 and r is 12. 7.0 has n 127, so that extents begin at
// every MiB, and r 144 (the server's cfs.h and cfs_converter.h; no data of a
// real 7.0 server was at hand):
//
//	 12  u16   n_fragment_chunks: chunks below allocated_chunks no block owns
//	 14  127   bitmap of owned chunk numbers, bit 0 of byte 0 is number 0
//	141        padding
//
// Nothing in a file says which it is; DetectExtents finds out. A full segment
// holds CompressedSegBlocks logical blocks either way.
const (
	// ExtentBlocks is the number of logical blocks in an extent up to 6.0.
	ExtentBlocks = 128
	// ExtentSize is the length of such an extent in bytes.
	ExtentSize = extentHeaderOffset + BlockSize

	extentHeaderOffset = ExtentBlocks * BlockSize
	extentFixedSize    = 12
	recycleInOrder     = 0x80
	maxChunksPerBlock  = BlockSize / 512

	usageOffset = 14
	usageSize   = 144 - usageOffset
)

// ExtentLayout tells the extents of the releases apart.
type ExtentLayout uint8

// The layouts.
const (
	Extents129 ExtentLayout = iota // 129 pages: 3.1 to 6.0
	Extents128                     // 128 pages: 7.0
	PairOf3                        // no extents: `_pca` and `_pcd` of 3.0, pca.go
	MixedOf7                       // as Extents128, among pages: segment-page storage of 7.0
)

// Segment-page storage of 7.0 may have compressed extents like those of
// Extents128 in base/<db>/3 … 5 (the server's segment_cfs_addressing.cpp). They
// lie behind what the file begins with, in pages: file head, space head and map
// head, 64 map pages, and one reverse-pointer page for each 1021 of the 64 *
// 65248 extents that these maps have bits for. The next maps come 4 TiB later.
const (
	SegmentExtentPages = 128
	FirstSegmentExtent = int64(3 + 64 + (64*65248+1020)/1021)
)

// IsExtentHeader tells whether a page of segment-page storage is the header of
// a compressed extent and no page of data.
func IsExtentHeader(page []byte) bool {
	if IsZero(page) || CheckPage(page, 0, PageRules{Family: OpenGauss}).OK() {
		return false
	}
	h, err := Extents128.ParseHeader(page)
	if err != nil || h.Algorithm < 1 || h.Algorithm > maxBlockAlgorithm {
		return false
	}
	for slot := range int(h.Blocks) {
		if _, err := h.Address(slot); err != nil {
			return false
		}
	}
	return true
}

// ExtentsOf finds the layout by the pages of an extent; 0 stands for the usual
// 129.
func ExtentsOf(pages int) (ExtentLayout, bool) {
	switch pages {
	case 0, 129:
		return Extents129, true
	case 128:
		return Extents128, true
	}
	return 0, false
}

// Blocks is the number of logical blocks in an extent.
func (l ExtentLayout) Blocks() uint32 {
	if l == Extents128 {
		return ExtentBlocks - 1
	}
	return ExtentBlocks
}

// Size is the length of an extent in bytes.
func (l ExtentLayout) Size() int64 { return int64(l.Blocks()+1) * BlockSize }

// Pages is the length of an extent in pages.
func (l ExtentLayout) Pages() int { return int(l.Blocks()) + 1 }

// records is where the address records begin in the header page.
func (l ExtentLayout) records() int {
	if l == Extents128 {
		return usageOffset + usageSize
	}
	return extentFixedSize
}

// headerAt is where the header page of extent n lies in the file.
func (l ExtentLayout) headerAt(n uint32) int64 {
	return int64(n)*l.Size() + int64(l.Blocks())*BlockSize
}

// maxExtents is the number of extents in a full segment.
func (l ExtentLayout) maxExtents() int64 { return int64(CompressedSegBlocks / l.Blocks()) }

// ExtentHeader is a decoded header page.
type ExtentHeader struct {
	Layout          ExtentLayout
	Blocks          uint32 // 0 to Layout.Blocks
	AllocatedChunks uint32
	ChunkSize       uint16 // bytes
	Algorithm       uint8  // 1 pglz, 2 zstd, 3 pgzstd
	RecycleInOrder  bool
	Reserved        uint8
	Fragments       uint16 // 7.0
	Usage           [usageSize]byte
	Slots           [ExtentBlocks]ChunkAddress
}

// ChunkAddress says which chunks hold a block.
type ChunkAddress struct {
	Checksum  uint32
	Chunks    uint8 // in use: the first ones of Numbers
	Allocated uint8
	Numbers   [maxChunksPerBlock]uint16 // 1-based
}

// ParseHeader decodes a header page of BlockSize bytes. Address records are
// not checked here: a running server may be changing one of them.
func (l ExtentLayout) ParseHeader(page []byte) (*ExtentHeader, error) {
	if len(page) != BlockSize {
		return nil, fmt.Errorf("read extent header: %d bytes, want %d", len(page), BlockSize)
	}
	le := binary.LittleEndian
	h := &ExtentHeader{
		Layout:          l,
		Blocks:          le.Uint32(page),
		AllocatedChunks: le.Uint32(page[4:]),
		ChunkSize:       le.Uint16(page[8:]),
		Algorithm:       page[10] &^ recycleInOrder,
		RecycleInOrder:  page[10]&recycleInOrder != 0,
		Reserved:        page[11],
	}
	per, err := chunksPerBlock(h.ChunkSize)
	if err != nil {
		return nil, &CorruptionError{Reason: "extent header: " + err.Error()}
	}
	if h.Blocks > l.Blocks() {
		return nil, &CorruptionError{Reason: fmt.Sprintf("extent header: %d blocks in an extent of %d", h.Blocks, l.Blocks())}
	}
	if l == Extents128 {
		h.Fragments = le.Uint16(page[extentFixedSize:])
		copy(h.Usage[:], page[usageOffset:])
	}
	for i := range h.Slots[:l.Blocks()] {
		s, rec := &h.Slots[i], page[l.records()+i*addressSize(per):]
		s.Checksum, s.Chunks, s.Allocated = le.Uint32(rec), rec[4], rec[5]
		for j := range per {
			s.Numbers[j] = le.Uint16(rec[6+2*j:])
		}
	}
	return h, nil
}

// ParseExtentHeader is Extents129.ParseHeader.
func ParseExtentHeader(page []byte) (*ExtentHeader, error) { return Extents129.ParseHeader(page) }

// Marshal returns the header page.
func (h *ExtentHeader) Marshal() ([]byte, error) {
	per, err := chunksPerBlock(h.ChunkSize)
	if err != nil {
		return nil, fmt.Errorf("write extent header: %w", err)
	}
	page := make([]byte, BlockSize)
	h.put(page, per)
	return page, nil
}

// put writes the header into a zeroed page.
func (h *ExtentHeader) put(page []byte, per int) {
	le := binary.LittleEndian
	le.PutUint32(page, h.Blocks)
	le.PutUint32(page[4:], h.AllocatedChunks)
	le.PutUint16(page[8:], h.ChunkSize)
	page[10] = h.Algorithm &^ recycleInOrder
	if h.RecycleInOrder {
		page[10] |= recycleInOrder
	}
	page[11] = h.Reserved
	if h.Layout == Extents128 {
		le.PutUint16(page[extentFixedSize:], h.Fragments)
		copy(page[usageOffset:], h.Usage[:])
	}
	for i := range h.Slots[:h.Layout.Blocks()] {
		s, rec := &h.Slots[i], page[h.Layout.records()+i*addressSize(per):]
		le.PutUint32(rec, s.Checksum)
		rec[4], rec[5] = s.Chunks, s.Allocated
		for j := range per {
			le.PutUint16(rec[6+2*j:], s.Numbers[j])
		}
	}
}

// Address returns the chunk numbers of a slot after checking its record.
func (h *ExtentHeader) Address(slot int) ([]uint16, error) {
	per, err := chunksPerBlock(h.ChunkSize)
	if err != nil {
		return nil, fmt.Errorf("read chunk address: %w", err)
	}
	if slot < 0 || slot >= int(h.Layout.Blocks()) {
		return nil, fmt.Errorf("read chunk address: slot %d of %d", slot, h.Layout.Blocks())
	}
	s := &h.Slots[slot]
	if int(s.Allocated) > per || s.Chunks > s.Allocated {
		return nil, &CorruptionError{Reason: fmt.Sprintf("chunk address: %d of %d chunks, a block has %d", s.Chunks, s.Allocated, per)}
	}
	if sum := s.sum(per); sum != s.Checksum {
		return nil, &CorruptionError{Reason: "chunk address: wrong checksum", Expected: uint64(s.Checksum), Found: uint64(sum)}
	}
	numbers := s.Numbers[:s.Chunks]
	for _, n := range numbers {
		if limit := int(h.Layout.Blocks()) * per; n == 0 || int(n) > limit {
			return nil, &CorruptionError{Reason: fmt.Sprintf("chunk address: chunk %d of %d", n, limit)}
		}
	}
	return numbers, nil
}

// sum is the wrapping sum of the record's 32-bit words from byte 4 up to the
// last allocated chunk number, the last word filled up with zeros.
func (s *ChunkAddress) sum(per int) uint32 {
	sum := uint32(s.Chunks) | uint32(s.Allocated)<<8
	for j := range min(int(s.Allocated), per) {
		// Number 0 shares the first word with the two counts; then two
		// numbers to a word.
		sum += uint32(s.Numbers[j]) << (16 * ((j + 1) % 2))
	}
	return sum
}

func addressSize(per int) int { return 6 + 2*per }

func chunksPerBlock(chunkSize uint16) (int, error) {
	switch chunkSize {
	case 512, 1024, 2048, 4096:
		return BlockSize / int(chunkSize), nil
	}
	return 0, fmt.Errorf("chunk size %d is not 512, 1024, 2048 or 4096", chunkSize)
}
