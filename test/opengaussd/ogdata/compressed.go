package ogdata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"

	"gsprobackup/internal/wal"
)

// Layout of a `_compress` file of openGauss 5+ (formats.md §7.8): extents of
// 129 blocks, 128 blocks of chunk space, then the header page:
//
//	 0 u32 logical blocks     4 u32 allocated chunks   8 u16 chunk size
//	10 u8  algorithm, high bit: recycle in order       12 128 address records
//
//	record: u32 checksum, u8 chunks, u8 allocated, u16 chunk numbers (1-based)
const (
	extentBlocks     = 128
	extentBytes      = (extentBlocks + 1) * blockSize
	compressedBlocks = 130048 // logical blocks of one file
	fileExtents      = compressedBlocks / extentBlocks
	algZstd          = 2
)

// compressedRel is a row-compressed relation. Pages are kept uncompressed.
type compressedRel struct {
	relation
	chunk  int
	pages  [][]byte
	packed map[uint32][]byte // what lies in the chunks of a block
}

// setPage puts a page into the relation: compressed if that saves a chunk,
// else raw, with the checksum of its block number.
func (r *compressedRel) setPage(block uint32, p []byte, lsn wal.LSN) error {
	seal(p, lsn, block) // block numbers go on over segments of 130048
	for int(block) >= len(r.pages) {
		r.pages = append(r.pages, nil)
	}
	r.pages[block] = p
	packed, err := pack(p, r.version)
	if err != nil {
		return err
	}
	if len(packed) > blockSize-r.chunk {
		packed = p
	}
	r.packed[block] = append([]byte(nil), packed...)
	r.blocks = uint32(len(r.pages))
	return nil
}

// pack compresses a page: header as it is, u32 crc, u16 size, u16 bits, data.
func pack(p []byte, v layout) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	data := enc.EncodeAll(p[v.header():], nil)
	if err := enc.Close(); err != nil {
		return nil, err
	}
	padded := append([]byte(nil), data...)
	for len(padded)%128 != 0 {
		padded = append(padded, 0)
	}
	out := append([]byte(nil), p[:v.header()]...)
	out = binary.LittleEndian.AppendUint32(out, lanes(padded))
	out = binary.LittleEndian.AppendUint16(out, uint16(len(data)))
	// Bits 6 to 15 are garbage on a real server.
	out = binary.LittleEndian.AppendUint16(out, algZstd<<2|0xA5<<6&0xFFC0)
	return append(out, data...), nil
}

// store writes the extents that hold the given blocks. Chunks are numbered in
// random order and some blocks own more chunks than they use, as on a server
// whose blocks have grown and shrunk.
func (c *Cluster) store(r *compressedRel, blocks []uint32) error {
	var extents []uint32
	for _, b := range blocks {
		extents = append(extents, b/extentBlocks)
	}
	slices.Sort(extents)
	for _, e := range slices.Compact(extents) {
		if err := c.storeExtent(r, e, r.extent(e, c.rng)); err != nil {
			return fmt.Errorf("write compressed relation: %w", err)
		}
	}
	return nil
}

// storeExtent writes an extent, or only its header page when chunks is not in
// it.
func (c *Cluster) storeExtent(r *compressedRel, e uint32, b []byte) error {
	f, err := os.OpenFile(c.full(r.fileOf(e)), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, int64(e%fileExtents+1)*extentBytes-int64(len(b)))
	return errors.Join(err, f.Close())
}

// fileOf is the file that holds an extent.
func (r *compressedRel) fileOf(e uint32) string {
	if seg := e / fileExtents; seg > 0 {
		return fmt.Sprintf("%s.%d_compress", r.path(), seg)
	}
	return r.path() + "_compress"
}

// makeLargePacked makes a row-compressed relation that needs a second file.
// Nearly all of its blocks were never written: extents without chunks.
func (c *Cluster) makeLargePacked(rel *relation) error {
	r := &compressedRel{relation: *rel, chunk: 2048}
	c.life.largePacked = r
	if err := c.createCompressed(r); err != nil {
		return err
	}
	r.pages = make([][]byte, compressedBlocks)
	for e := range uint32(fileExtents) {
		header := r.extent(e, c.rng)[extentBlocks*blockSize:]
		if err := c.storeExtent(r, e, header); err != nil {
			return fmt.Errorf("create compressed relation: %w", err)
		}
	}
	return errors.Join(c.writeCompressed(r, false, 1, 77_777, compressedBlocks-1),
		c.writeCompressed(r, false, span(compressedBlocks, compressedBlocks+200)...), c.writeCompressed(r, true, 2, compressedBlocks+3))
}

func (r *compressedRel) extent(e uint32, rng *rand.Rand) []byte {
	buf := make([]byte, extentBytes)
	per := blockSize / r.chunk
	head := buf[extentBlocks*blockSize:]
	le := binary.LittleEndian
	count := min(uint32(len(r.pages))-e*extentBlocks, extentBlocks)
	type slot struct{ used, allocated int }
	slots := make([]slot, count)
	total := 0
	for i := range slots {
		used := (len(r.packed[e*extentBlocks+uint32(i)]) + r.chunk - 1) / r.chunk
		slots[i] = slot{used, min(used+rng.IntN(2), per)}
		total += slots[i].allocated
	}
	numbers := rng.Perm(total)
	for i, s := range slots {
		rec := head[12+i*(6+2*per):][:6+2*per]
		rec[4], rec[5] = byte(s.used), byte(s.allocated)
		data := r.packed[e*extentBlocks+uint32(i)]
		for k := range s.allocated {
			n := numbers[0]
			numbers = numbers[1:]
			le.PutUint16(rec[6+2*k:], uint16(n+1))
			if k < s.used {
				copy(buf[n*r.chunk:(n+1)*r.chunk], data[k*r.chunk:])
			}
		}
		le.PutUint32(rec, recordSum(rec[4:6+2*s.allocated]))
	}
	le.PutUint32(head, count)
	le.PutUint32(head[4:], uint32(total))
	le.PutUint16(head[8:], uint16(r.chunk))
	head[10] = algZstd
	return buf
}

// recordSum is the wrapping sum of the record's words.
func recordSum(b []byte) (sum uint32) {
	var w [4]byte
	for len(b) > 0 {
		w = [4]byte{}
		n := copy(w[:], b)
		b = b[n:]
		sum += binary.LittleEndian.Uint32(w[:])
	}
	return sum
}

// createCompressed makes an empty row-compressed relation: the main file is
// empty, the data goes to `_compress`.
func (c *Cluster) createCompressed(r *compressedRel) error {
	r.packed = map[uint32][]byte{}
	for _, suffix := range []string{"", "_compress"} {
		if err := os.WriteFile(c.full(r.path()+suffix), nil, 0o600); err != nil {
			return fmt.Errorf("create compressed relation: %w", err)
		}
	}
	c.note(&r.relation, created, 0)
	return nil
}

// writeCompressed changes or adds blocks; noise makes them incompressible, so
// that they are stored raw.
func (c *Cluster) writeCompressed(r *compressedRel, noise bool, blocks ...uint32) error {
	lsn, err := c.commit(80 * len(blocks))
	if err != nil {
		return err
	}
	for _, b := range blocks {
		if err := r.setPage(b, newPage(r.version, c.rng, noise), lsn); err != nil {
			return err
		}
		c.note(&r.relation, modified, b)
	}
	return c.store(r, blocks)
}

// eachImage reads a `_compress` file back: for each logical block its chunks,
// filled up with zeros; nil for one without. Where the chunks lie does not
// show.
func eachImage(f io.ReaderAt, size int64, visit func(img []byte) error) error {
	if size%extentBytes != 0 {
		return fmt.Errorf("read compressed relation: %d bytes are no whole extents", size)
	}
	le := binary.LittleEndian
	head := make([]byte, blockSize)
	for e := range size / extentBytes {
		if _, err := f.ReadAt(head, (e+1)*extentBytes-blockSize); err != nil {
			return fmt.Errorf("read compressed relation: %w", err)
		}
		chunk := int(le.Uint16(head[8:]))
		if chunk < 512 || chunk > 4096 {
			return fmt.Errorf("read compressed relation: chunk size %d", chunk)
		}
		per := blockSize / chunk
		for i := range int(le.Uint32(head)) {
			rec := head[12+i*(6+2*per):][:6+2*per]
			img, err := readImage(f, e*extentBytes, rec, chunk)
			if err == nil {
				err = visit(img)
			}
			if err != nil {
				return fmt.Errorf("read compressed relation, extent %d, block %d: %w", e, i, err)
			}
		}
	}
	return nil
}

// readImage reads the chunks of a block; nil if it has none.
func readImage(f io.ReaderAt, start int64, rec []byte, chunk int) ([]byte, error) {
	le := binary.LittleEndian
	per := blockSize / chunk
	if int(rec[4]) > int(rec[5]) || int(rec[5]) > per || le.Uint32(rec) != recordSum(rec[4:6+2*int(rec[5])]) {
		return nil, errors.New("bad address")
	}
	if rec[4] == 0 {
		return nil, nil
	}
	img := make([]byte, blockSize)
	for k := 0; k < int(rec[4]); {
		n := int(le.Uint16(rec[6+2*k:]))
		run := 1 // neighbours in one read
		for k+run < int(rec[4]) && int(le.Uint16(rec[6+2*(k+run):])) == n+run {
			run++
		}
		if n < 1 || (n+run-1)*chunk > extentBlocks*blockSize {
			return nil, errors.New("bad chunk")
		}
		if _, err := f.ReadAt(img[k*chunk:(k+run)*chunk], start+int64((n-1)*chunk)); err != nil {
			return nil, err
		}
		k += run
	}
	return img, nil
}
