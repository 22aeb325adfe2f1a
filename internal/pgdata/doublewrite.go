package pgdata

import (
	"encoding/binary"
	"strings"
)

// Double-write files hold pages on their way to data files, for the server to
// repair half-written ones after a crash. Of a backup nothing is repaired from
// them: pages are read until they are whole, and WAL has every page that
// changes meanwhile. But openGauss refuses to start without these files or
// with another length (spec/server.md §3.4). So a backup keeps them as the
// server makes them anew after its own base backups: two or three pages that
// are not zero, always the same ones.
//
// What is in them, by release (the server's double_write_basic.h,
// double_write.cpp, single_double_write.cpp; 6.0 by golden data):
//
//	file          releases   size           page 0   others that are not zero
//	pg_dw         1.0 - 2.1  32768 pages    header   1: empty batch
//	pg_dw_<n>     3.0 -      1 - 256 MiB    header   1: empty batch
//	pg_dw_single  1.1 - 2.1  32930 pages    header
//	pg_dw_single  3.0 -      32768 pages    header   31739: second header
//
// A header page has the same 512 bytes at 0, 4096 and 7680:
//
//	0  u16  page_id, 0          508  u16  checksum of the 512 bytes without
//	2  u16  dwn                           itself, its halves xored
//	4  u16  start               510  u16  dwn
//	6  u16  buftag_version
//	8  u32  dw_version: 92433 since 3.0, before that no such field; 0 in a
//	        pg_dw_<n> that has not been used since it was made
//
// dwn counts how often the file began anew, start is the page where it goes
// on. An empty batch is a page of zeros but for page_id 1 and its checksum
// (4 bytes before the end).
const (
	dwHead         = 512
	dwPages        = 32768
	dwOldSingle    = 1 + 161 + dwPages
	dwSecondHeader = dwPages - 1024 - 4 - 2 + 1
	dwVersionNew   = 92433
	dwUnit         = 1 << 20 // dw_file_size is in MiB
	dwMaxUnits     = 256
)

// PageAt is one page of a file and its place.
type PageAt struct {
	Offset int64
	Data   []byte
}

// DoubleWriteHeaders tells where the header pages of a double-write file of
// size bytes are. It is nil if name or size are unknown; then only a whole
// copy is safe.
func DoubleWriteHeaders(name string, size int64) []int64 {
	switch {
	case name == "pg_dw" && size == dwPages*BlockSize, name == "pg_dw_single" && size == dwOldSingle*BlockSize:
		return []int64{0}
	case name == "pg_dw_single" && size == dwPages*BlockSize:
		return []int64{0, dwSecondHeader * BlockSize}
	}
	if n, ok := strings.CutPrefix(name, "pg_dw_"); ok && allDigits(n) && size > 0 && size%dwUnit == 0 && size/dwUnit <= dwMaxUnits {
		return []int64{0}
	}
	return nil
}

// EmptyDoubleWrite gives the pages of an empty double-write file that are not
// zero, ascending. headers are the pages DoubleWriteHeaders asked for; version
// fields are taken from them. ok is false when one of them is not as expected.
func EmptyDoubleWrite(name string, size int64, headers [][]byte) (pages []PageAt, ok bool) {
	at := DoubleWriteHeaders(name, size)
	if at == nil || len(at) != len(headers) {
		return nil, false
	}
	old := name == "pg_dw" || size == dwOldSingle*BlockSize
	batch := name != "pg_dw_single"
	start := uint16(0)
	if batch {
		start = 1
	}
	for i, page := range headers {
		head := dwValidHead(page)
		if head == nil || !IsZero(head[12:dwHead-4]) {
			return nil, false
		}
		switch version := binary.LittleEndian.Uint32(head[8:]); {
		case version == 0 && (old || batch), version == dwVersionNew && !old:
		default:
			return nil, false
		}
		pages = append(pages, PageAt{at[i], dwHeaderPage(head, start)})
	}
	if batch {
		pages = append(pages, PageAt{BlockSize, dwEmptyBatch()})
	}
	return pages, true
}

// dwHeads are the places of the copies in a header page.
func dwHeads() [3]int { return [3]int{0, 8 * dwHead, 15 * dwHead} }

// dwValidHead is the first sound copy in a header page, as the server takes
// it; nil if there is none.
func dwValidHead(page []byte) []byte {
	if len(page) != BlockSize {
		return nil
	}
	le := binary.LittleEndian
	for _, off := range dwHeads() {
		head := page[off : off+dwHead]
		if le.Uint16(head) == 0 && le.Uint16(head[2:]) == le.Uint16(head[dwHead-2:]) && le.Uint16(head[dwHead-4:]) == dwSum(head, dwHead-4) {
			return head
		}
	}
	return nil
}

// dwHeaderPage is a header page of a file that was just made.
func dwHeaderPage(head []byte, start uint16) []byte {
	fresh := append([]byte(nil), head...)
	le := binary.LittleEndian
	le.PutUint16(fresh[2:], 0)
	le.PutUint16(fresh[4:], start)
	le.PutUint16(fresh[dwHead-2:], 0)
	le.PutUint16(fresh[dwHead-4:], dwSum(fresh, dwHead-4))
	page := make([]byte, BlockSize)
	for _, off := range dwHeads() {
		copy(page[off:], fresh)
	}
	return page
}

func dwEmptyBatch() []byte {
	page := make([]byte, BlockSize)
	page[0] = 1
	binary.LittleEndian.PutUint16(page[BlockSize-4:], dwSum(page, BlockSize-4))
	return page
}

// dwSum is the checksum of b with the checksum field at off taken as zero.
func dwSum(b []byte, off int) uint16 {
	c := append([]byte(nil), b...)
	binary.LittleEndian.PutUint16(c[off:], 0)
	sum := dataChecksum(c)
	return uint16(sum>>16) ^ uint16(sum)
}
