// Package blockfile is the format of a data file inside a backup: the stream
// of stored pages and the file's part of page_header_map.
//
// It owns both layouts, their readers and writers, and the CRC a content list
// records for a data file. It knows io.Reader, io.ReaderAt, io.Writer and
// io.WriterAt only: opening, syncing and naming files is left to the callers,
// page validity to pgdata, codecs to compress.
//
// # Page stream (spec/formats.md §5.1)
//
// A stored data file is a sequence of frames in strictly ascending block
// order, without gaps or padding. A file without frames does not exist.
//
//	off  type   field
//	0    u32    block            block number inside this segment file
//	4    i32    size             payload bytes, 1..8192
//	8    bytes  payload          size bytes; 8192 = raw page, less = compressed
//
// All integers are little endian. The file's CRC is CRC32C over every byte,
// frame headers included (§5.4).
//
// # Header array (spec/formats.md §5.2)
//
// A file of k frames has k+1 records of 24 bytes:
//
//	off  type   field
//	0    u64    lsn              pd_lsn of the page, 0 for a zero page
//	8    i32    block            as in the frame
//	12   i32    pos              offset of the frame in the stored file
//	16   u16    checksum         computed page checksum, 0 for a zero page
//	18   [6]u8  padding          we write zeros; the C tool writes garbage
//
// Of record k only pos counts: it is the length of the stored file. The array
// is packed as one zlib stream (level 1) and appended to page_header_map, which
// has no header of its own; the content list keeps where each stream is:
//
//	hdr_off, hdr_size   place of the zlib stream
//	n_headers           k
//	hdr_crc             CRC32C of the (k+1)*24 raw bytes
//
// Because padding and the last record of catalogs by the C tool hold whatever
// was in memory, hdr_crc is always computed over the raw bytes.
package blockfile

import "fmt"

const (
	// PageSize is the size of a database page (BLCKSZ).
	PageSize = 8192
	// FrameHeaderSize is the length of the header in front of a payload.
	FrameHeaderSize = 8
	// MaxFrameSize is the length of a frame with a raw page.
	MaxFrameSize = FrameHeaderSize + PageSize
	// HeaderSize is the length of one record of the header array.
	HeaderSize = 24

	minFrameSize = FrameHeaderSize + 1
)

// CorruptError tells that stored bytes break the format. It is the error
// class of this package for damaged input; I/O errors are returned wrapped
// instead.
type CorruptError struct {
	// Pos is the byte offset in the stored file, or in the header array.
	Pos int64
	// Reason is a short English text without path.
	Reason string
}

func (e *CorruptError) Error() string { return fmt.Sprintf("offset %d: %s", e.Pos, e.Reason) }

func corruptf(pos int64, format string, args ...any) error {
	return &CorruptError{Pos: pos, Reason: fmt.Sprintf(format, args...)}
}
