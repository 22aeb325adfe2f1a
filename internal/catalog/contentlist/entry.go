// Package contentlist reads and writes backup_content.control, the list of
// files and directories of a backup (spec/formats.md §4).
//
// It owns the line format, the running CRC32C over the list and the byte
// counters of spec/formats.md §3.6. It leaves which files are listed and in
// what order to the use cases, and the file's place and replacement to
// internal/catalog.
//
// One entry is one line; fixed keys are separated by comma and blank, the
// optional ones by a comma alone:
//
//	{"path":"<rel>", "size":"<i64>", "mode":"<u32>", "is_datafile":"0|1",
//	 "is_cfs":"0|1", "crc":"<u32>", "compress_alg":"<name>",
//	 "external_dir_num":"<i32>", "dbOid":"<u32>", "file_type":"<i32>"
//	 ,"segno":"<i32>"                                      data file
//	 ,"compressedFile":"1","compressedChunkSize":"<i32>",
//	  "compressedAlgorithm":"<i32>"                        row-compressed
//	 ,"compressedExtentPages":"128"                        of openGauss 7.0
//	 ,"linked":"<target>"                                  if known
//	 ,"n_blocks":"<i32>"                                   > 0
//	 ,"n_headers":"<i32>","hdr_crc":"<u32>","hdr_off":"<i64>",
//	  "hdr_size":"<i32>"}                                  n_headers > 0
//
// It looks like JSON and is not: nothing is escaped. The C tool's scanner
// loses its way in a path with a quote or a comma: it takes a comma for the
// end of a key, also inside of a value. The reader here finds the end of the
// path by the fixed order of the keys, so every path without a line feed comes
// back.
package contentlist

import (
	"strings"

	"gsprobackup/internal/compress"
)

// FileName is the base name of the list, as messages have it.
const FileName = "backup_content.control"

// SizeUnchanged is the size of an entry whose content is in the parent.
const SizeUnchanged = -1

// The file_type values.
const (
	TypeFile = 0
	TypeDSS  = 1
)

// File-type bits of Entry.Mode, as in st_mode.
const (
	modeTypeMask = 0o170000
	modeDir      = 0o040000
	modeRegular  = 0o100000
)

// Entry is one line of the list. A list of many entries costs about 180 bytes
// each, the path included; the fields are in an order that leaves few gaps.
type Entry struct {
	Path string // relative to database/ or to the external directory
	// Size is the number of bytes stored in the backup; 0 for directories
	// and empty files, SizeUnchanged if the parent has the content.
	Size        int64
	Mode        uint32 // st_mode with its file-type bits
	CRC         uint32 // CRC32C of the stored bytes; of pg_control, its own field
	DBOid       uint32
	IsDatafile  bool // stored as a stream of pages
	IsCFS       bool // PostgreSQL Pro only, practically never
	CompressAlg compress.Algorithm
	ExternalDir int // 0 = database/, N = externaldirN
	FileType    int // TypeFile or TypeDSS
	Segno       int // number after the dot of a data file's name
	// Compressed describes a row-compressed relation, nil for any other file.
	Compressed *CompressedInfo
	Linked     string // link target; kept when a list that has it is rewritten
	NBlocks    int    // blocks of the source file, 0 = not told

	// The place of the file's page headers in page_header_map.
	NHeaders int
	HdrOff   int64
	HdrSize  int
	HdrCRC   uint32
}

// CompressedInfo describes the layout of a row-compressed relation.
type CompressedInfo struct {
	ChunkSize int // bytes: 512, 1024, 2048 or 4096
	Algorithm int // 1 pglz, 2 zstd, 3 pgzstd
	// ExtentPages is the number of pages in an extent, 0 for the usual 129.
	// The key is not the C tool's, which skips what it does not know; lists
	// of C do not tell.
	ExtentPages int
}

// IsDir tells whether the entry is a directory.
func (e *Entry) IsDir() bool { return e.Mode&modeTypeMask == modeDir }

// IsRegular tells whether the entry is a regular file.
func (e *Entry) IsRegular() bool { return e.Mode&modeTypeMask == modeRegular }

// Limits of the C tool's reader.
const (
	cMaxPath = 1024 // path buffer, with its final zero byte
	cMaxLine = 8192 // line buffer, likewise
	// maxTail is more than everything behind the path can take.
	maxTail = 700
)

// ScannableByC tells whether the C tool can read back a list with this path
// (spec/formats.md §4.4). Such a list is good for this program all the same.
func ScannableByC(path string) bool {
	return !strings.ContainsAny(path, "\"\n,") && len(path) < cMaxPath && len(path)+maxTail < cMaxLine
}
