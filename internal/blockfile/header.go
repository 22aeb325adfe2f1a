package blockfile

import (
	"encoding/binary"
	"fmt"
	"math"

	"gsprobackup/internal/wal"
)

// Header describes one stored page; see the package comment.
type Header struct {
	LSN      wal.LSN // pd_lsn of the page, 0 for a zero page
	Block    uint32  // block number inside the segment file
	Pos      int32   // offset of the frame in the stored file
	Checksum uint16  // computed page checksum, 0 for a zero page or unknown
}

// EndOf returns where frame i of headers ends; total is the length of the
// stored file.
func EndOf(headers []Header, i int, total int64) int64 {
	if i+1 < len(headers) {
		return int64(headers[i+1].Pos)
	}
	return total
}

// AppendHeaders appends the raw header array: one record per header and the
// final record that holds only total, the length of the stored file.
func AppendHeaders(dst []byte, headers []Header, total int64) ([]byte, error) {
	if total < 0 || total > math.MaxInt32 {
		return dst, fmt.Errorf("encode page headers: stored length %d does not fit the format", total)
	}
	for _, h := range headers {
		dst = appendRecord(dst, h)
	}
	return appendRecord(dst, Header{Pos: int32(total)}), nil
}

func appendRecord(dst []byte, h Header) []byte {
	var rec [HeaderSize]byte
	binary.LittleEndian.PutUint64(rec[0:], uint64(h.LSN))
	binary.LittleEndian.PutUint32(rec[8:], h.Block)
	binary.LittleEndian.PutUint32(rec[12:], uint32(h.Pos))
	binary.LittleEndian.PutUint16(rec[16:], h.Checksum)
	return append(dst, rec[:]...)
}

// ParseHeaders decodes a raw header array. It is strict: the first frame
// starts at 0, every frame is 9..8200 bytes long, blocks ascend. total is the
// length the stored file must have. Checksums are taken as they are: the 1.1
// release wrote 0 everywhere.
func ParseHeaders(raw []byte) (headers []Header, total int64, err error) {
	n := len(raw)/HeaderSize - 1
	if len(raw)%HeaderSize != 0 || n < 1 {
		return nil, 0, corruptf(0, "header array of %d bytes", len(raw))
	}
	headers = make([]Header, n)
	for i := range headers {
		rec := raw[i*HeaderSize:]
		headers[i] = Header{
			LSN:      wal.LSN(binary.LittleEndian.Uint64(rec)),
			Block:    binary.LittleEndian.Uint32(rec[8:]),
			Pos:      int32(binary.LittleEndian.Uint32(rec[12:])),
			Checksum: binary.LittleEndian.Uint16(rec[16:]),
		}
	}
	total = int64(int32(binary.LittleEndian.Uint32(raw[n*HeaderSize+12:])))
	if err := checkHeaders(headers, total); err != nil {
		return nil, 0, err
	}
	return headers, total, nil
}

// checkHeaders enforces spec/formats.md §13 invariant 3 on an array.
func checkHeaders(headers []Header, total int64) error {
	if len(headers) > 0 && headers[0].Pos != 0 {
		return corruptf(0, "first page is at position %d", headers[0].Pos)
	}
	for i, h := range headers {
		at := int64(i) * HeaderSize
		if size := EndOf(headers, i, total) - int64(h.Pos); size < minFrameSize || size > MaxFrameSize {
			return corruptf(at, "page header of block %d gives a length of %d", h.Block, size)
		}
		if h.Block > math.MaxInt32 {
			return corruptf(at, "block number %d out of range", h.Block)
		}
		if i > 0 && h.Block <= headers[i-1].Block {
			return corruptf(at, "block %d after block %d", h.Block, headers[i-1].Block)
		}
	}
	return nil
}
