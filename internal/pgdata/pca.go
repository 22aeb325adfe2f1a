package pgdata

import (
	"encoding/binary"
	"fmt"
)

// Row compression of openGauss 3.x keeps addresses and chunks in two files,
// `<rel>_pca` and `<rel>_pcd`, beside an empty main file (spec/formats.md
// §7.8; widths and packing after the server's own declarations, no golden data
// exists). All chunk numbers count from the start of `_pcd`:
//
//	_pca, first 512 bytes:
//	 0  u32  nblocks              12  u32  last_synced_nblocks
//	 4  u32  allocated_chunks     16  u32  last_synced_allocated_chunks
//	 8  u16  chunk_size           20  u32  sync
//	10  u8   1 pglz, 2 zstd       24  i64  last_recovery_start_time
//
//	then address records, as many as fit into each 512 bytes:
//	 0  u32  checksum
//	 4  u8   nchunks
//	 5  u8   allocated_chunks
//	 8  u32  chunk numbers [8192/chunk_size]
const (
	pcaSector    = 512
	pcaFixedSize = 8

	// PCAHeaderSize is the length of the header.
	PCAHeaderSize = 32
)

// PCAHeader is the head of a `_pca` file.
type PCAHeader struct {
	Blocks          uint32
	AllocatedChunks uint32
	ChunkSize       uint16
	Algorithm       uint8
	SyncedBlocks    uint32
	SyncedChunks    uint32
	Sync            uint32
	RecoveryStart   int64
}

// ParsePCAHeader reads the head of a `_pca` file, at least 32 bytes.
func ParsePCAHeader(b []byte) (*PCAHeader, error) {
	if len(b) < PCAHeaderSize {
		return nil, fmt.Errorf("read compress address file: %d bytes, want at least %d", len(b), PCAHeaderSize)
	}
	le := binary.LittleEndian
	h := &PCAHeader{
		Blocks:          le.Uint32(b),
		AllocatedChunks: le.Uint32(b[4:]),
		ChunkSize:       le.Uint16(b[8:]),
		Algorithm:       b[10],
		SyncedBlocks:    le.Uint32(b[12:]),
		SyncedChunks:    le.Uint32(b[16:]),
		Sync:            le.Uint32(b[20:]),
		RecoveryStart:   int64(le.Uint64(b[24:])),
	}
	if _, err := chunksPerBlock(h.ChunkSize); err != nil {
		return nil, &CorruptionError{Reason: "compress address file: " + err.Error()}
	}
	if h.Blocks > DefaultRelSegBlocks {
		return nil, &CorruptionError{Reason: fmt.Sprintf("compress address file: %d blocks in a segment of %d", h.Blocks, DefaultRelSegBlocks)}
	}
	return h, nil
}

// AddressOffset is where the record of a block of the segment lies in `_pca`
// and how long it is. A record never crosses a 512-byte boundary, so that a
// crash cannot tear it.
func (h *PCAHeader) AddressOffset(block uint32) (off int64, size int) {
	per, err := chunksPerBlock(h.ChunkSize)
	if err != nil {
		return 0, 0
	}
	size = pcaFixedSize + 4*per
	perSector := uint32(pcaSector / size)
	return pcaSector*int64(1+block/perSector) + int64(size)*int64(block%perSector), size
}

// Address returns the chunk numbers of the block whose record is rec. Chunk k
// lies at (k-1)*ChunkSize of `_pcd`. The checksum covers the whole record,
// unlike that of the later format.
func (h *PCAHeader) Address(rec []byte) ([]uint32, error) {
	per, err := chunksPerBlock(h.ChunkSize)
	if err != nil {
		return nil, fmt.Errorf("read chunk address: %w", err)
	}
	if len(rec) != pcaFixedSize+4*per {
		return nil, fmt.Errorf("read chunk address: %d bytes, want %d", len(rec), pcaFixedSize+4*per)
	}
	le := binary.LittleEndian
	sum := pcaSum(rec)
	if found := le.Uint32(rec); sum != found {
		return nil, &CorruptionError{Reason: "chunk address: wrong checksum", Expected: uint64(found), Found: uint64(sum)}
	}
	chunks, allocated := int(rec[4]), int(rec[5])
	if allocated > per || chunks > allocated {
		return nil, &CorruptionError{Reason: fmt.Sprintf("chunk address: %d of %d chunks, a block has %d", chunks, allocated, per)}
	}
	numbers := make([]uint32, chunks)
	for i := range numbers {
		n := le.Uint32(rec[pcaFixedSize+4*i:])
		if n == 0 || n > h.AllocatedChunks {
			return nil, &CorruptionError{Reason: fmt.Sprintf("chunk address: chunk %d of %d", n, h.AllocatedChunks)}
		}
		numbers[i] = n
	}
	return numbers, nil
}

// PCAWriter makes the two files of a segment from stored images, in order: what
// Add returns goes to `_pcd`, File is `_pca` in the end. Chunks are numbered as
// they come, as C 3.0 does at a restore.
type PCAWriter struct {
	header PCAHeader
	per    int
	first  uint32 // absolute number of the segment's first block
	file   []byte
	buf    [BlockSize]byte
}

// NewPCAWriter begins the segment with number segno of a relation.
func NewPCAWriter(chunkSize uint16, algorithm uint8, segno uint32) (*PCAWriter, error) {
	per, err := chunksPerBlock(chunkSize)
	if err != nil {
		return nil, fmt.Errorf("write compress address file: %w", err)
	}
	w := &PCAWriter{header: PCAHeader{ChunkSize: chunkSize, Algorithm: algorithm}, per: per, first: segno * DefaultRelSegBlocks}
	// The file is mapped by the server and always has room for all blocks.
	size, _ := w.header.AddressOffset(DefaultRelSegBlocks)
	w.file = make([]byte, size)
	return w, nil
}

// Add puts the image of the next block into chunks, which are valid until the
// next call. The error is a *CorruptionError with Block set to the absolute
// block number if the image is neither compressed nor a good page.
func (w *PCAWriter) Add(img []byte) ([]byte, error) {
	if w.header.Blocks >= DefaultRelSegBlocks {
		return nil, fmt.Errorf("write compress address file: more than %d blocks", w.header.Blocks)
	}
	blkno := w.first + w.header.Blocks
	c := ImagesOf3.Check(img, blkno)
	if !c.OK() {
		return nil, &CorruptionError{Block: blkno, Reason: c.Page.Reason, Expected: uint64(c.Page.Found), Found: uint64(c.Page.Computed)}
	}
	chunk := int(w.header.ChunkSize)
	n := (c.Size + chunk - 1) / chunk
	off, size := w.header.AddressOffset(w.header.Blocks)
	rec := w.file[off : off+int64(size)]
	rec[4], rec[5] = byte(n), byte(n)
	le := binary.LittleEndian
	for i := range n {
		w.header.AllocatedChunks++
		le.PutUint32(rec[pcaFixedSize+4*i:], w.header.AllocatedChunks)
	}
	le.PutUint32(rec, pcaSum(rec))
	w.header.Blocks++
	out := w.buf[:n*chunk]
	clear(out)
	copy(out, img[:c.Size])
	out[13] &^= lowerMarked >> 8
	return out, nil
}

// File is the `_pca` file.
func (w *PCAWriter) File() []byte {
	le := binary.LittleEndian
	le.PutUint32(w.file, w.header.Blocks)
	le.PutUint32(w.file[4:], w.header.AllocatedChunks)
	le.PutUint16(w.file[8:], w.header.ChunkSize)
	w.file[10] = w.header.Algorithm
	return w.file
}

// pcaSum is the checksum of a record: the wrapping sum of all its words but the
// first.
func pcaSum(rec []byte) (sum uint32) {
	for off := 4; off < len(rec); off += 4 {
		sum += binary.LittleEndian.Uint32(rec[off:])
	}
	return sum
}
