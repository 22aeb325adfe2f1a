package checker

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"
)

const (
	blockSize     = 8192
	frameHeader   = 8  // block number, payload size (§5.1)
	headerRecord  = 24 // §5.2
	segmentBlocks = 131072
)

// dataFile walks the frames of a stored data file beside its header array and
// checks each page (§5.1, §5.2, §13 (3)).
func (c *check) dataFile(b *backup, e *entry, rel string) {
	c.stats.DataFiles++
	data, ok := c.stored(e, rel)
	if !ok {
		return
	}
	if crc := crc32.Checksum(data, crcTable); crc != e.crc {
		c.bad(rel, "§5.4", "CRC32C is %d, listed with %d", crc, e.crc)
	}
	headers := c.headers(b, e, rel)
	pos, i, last := 0, 0, int64(-1)
	for pos < len(data) {
		if len(data)-pos < frameHeader {
			c.bad(rel, "§5.1", "%d bytes are left after the last frame", len(data)-pos)
			return
		}
		block := int64(binary.LittleEndian.Uint32(data[pos:]))
		size := int(int32(binary.LittleEndian.Uint32(data[pos+4:])))
		if size < 1 || size > blockSize || pos+frameHeader+size > len(data) {
			c.bad(rel, "§5.1", "frame at %d has payload size %d", pos, size)
			return
		}
		if block <= last || block >= e.nBlocks {
			c.bad(rel, "§13 (3)", "block %d after block %d, n_blocks %d", block, last, e.nBlocks)
		}
		last = block
		b.blocks[e.path] = append(b.blocks[e.path], uint32(block))
		page, err := unpack(e.alg, data[pos+frameHeader:pos+frameHeader+size])
		if err != nil {
			c.bad(rel, "§5.3", "block %d: %v", block, err)
		} else {
			lsn, sum := c.page(b, e, rel, uint32(block), page)
			if i < len(headers) {
				c.header(b, rel, headers[i], headerFields{lsn, uint32(block), int32(pos), sum})
			}
		}
		pos += frameHeader + size
		i++
	}
	if int64(i) != e.nHeaders {
		c.bad(rel, "§5.2", "holds %d pages, n_headers is %d", i, e.nHeaders)
	}
	if b.mode == "FULL" && int64(i) != e.nBlocks {
		c.bad(rel, "§13 (5)", "holds %d of %d blocks", i, e.nBlocks)
	}
}

type headerFields struct {
	lsn      uint64
	block    uint32
	pos      int32
	checksum uint16
}

// header compares one record of the map with what the frame holds.
func (c *check) header(b *backup, rel string, rec []byte, want headerFields) {
	got := headerFields{
		binary.LittleEndian.Uint64(rec), binary.LittleEndian.Uint32(rec[8:]),
		int32(binary.LittleEndian.Uint32(rec[12:])), binary.LittleEndian.Uint16(rec[16:]),
	}
	if b.checksumVersion == 0 && got.checksum == 0 {
		want.checksum = 0
	}
	if got != want {
		c.bad(rel, "§5.2", "header map says %+v, the page says %+v", got, want)
	}
	if !bytes.Equal(rec[18:24], make([]byte, 6)) {
		c.foreign(rel, "§5.2", "padding of header record %d is not zero", want.block)
	}
}

// headers reads the file's array from page_header_map: n_headers records
// without the closing dummy.
func (c *check) headers(b *backup, e *entry, rel string) [][]byte {
	raw, err := readHeaderArray(c.abs(filepath.Join(b.dir, "page_header_map")), e)
	if err != nil {
		c.bad(rel, "§5.2", "header map: %v", err)
		return nil
	}
	var recs [][]byte
	for i := range e.nHeaders {
		recs = append(recs, raw[i*headerRecord:(i+1)*headerRecord])
	}
	dummy := raw[e.nHeaders*headerRecord:]
	if end := int64(int32(binary.LittleEndian.Uint32(dummy[12:]))); end != e.size {
		c.bad(rel, "§5.2", "dummy record ends at %d, the file at %d", end, e.size)
	}
	clean := make([]byte, headerRecord)
	copy(clean[12:16], dummy[12:16])
	if !bytes.Equal(clean, dummy) {
		c.foreign(rel, "§5.2", "dummy record has more than a position: % x", dummy)
	}
	return recs
}

func readHeaderArray(name string, e *entry) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed := make([]byte, e.hdrSize)
	if _, err := f.ReadAt(packed, e.hdrOff); err != nil {
		return nil, err
	}
	in := bytes.NewReader(packed)
	z, err := zlib.NewReader(in)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	if want := (e.nHeaders + 1) * headerRecord; int64(len(raw)) != want {
		return nil, fmt.Errorf("array has %d bytes, want %d", len(raw), want)
	}
	if in.Len() != 0 {
		return nil, fmt.Errorf("%d bytes after the zlib stream", in.Len())
	}
	if crc := crc32.Checksum(raw, crcTable); crc != e.hdrCRC {
		return nil, fmt.Errorf("CRC32C is %d, hdr_crc %d", crc, e.hdrCRC)
	}
	return raw, nil
}

// headerMapTiling: the regions of all files fill the map without gap (§13 (4)).
func (c *check) headerMapTiling(b *backup) {
	type region struct{ off, size int64 }
	var regions []region
	for _, e := range b.entries {
		if e.hasHeader {
			regions = append(regions, region{e.hdrOff, e.hdrSize})
		}
	}
	if len(regions) == 0 {
		return
	}
	sort.Slice(regions, func(i, j int) bool { return regions[i].off < regions[j].off })
	rel, next := filepath.Join(b.dir, "page_header_map"), int64(0)
	for _, r := range regions {
		if r.off != next {
			c.bad(rel, "§13 (4)", "region at %d, the one before ends at %d", r.off, next)
		}
		next = r.off + r.size
	}
	if st, err := os.Stat(c.abs(rel)); err != nil {
		c.bad(rel, "§5.2", "%v", err)
	} else if st.Size() != next {
		c.bad(rel, "§13 (4)", "has %d bytes, the regions end at %d", st.Size(), next)
	}
}
