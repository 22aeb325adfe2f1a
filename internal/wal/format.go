package wal

import (
	"encoding/binary"
	"fmt"
)

// Page header flags (xlp_info).
const (
	pageContinued   = 0x1 // the page starts with the rest of a record
	pageLongHeader  = 0x2
	pageOverwritten = 0x8 // PostgreSQL: the rest of the last record will never come
)

// Format is the on-disk dialect of one server family and major version. The
// zero Format is not usable.
type Format struct {
	name       string
	magic      uint16
	anyMagic   bool
	pageFlags  uint16 // all known xlp_info bits
	headerSize int    // record header
	maxRecord  uint32 // largest total length
	overwrites bool   // knows overwritten continuations
	header     func(b []byte, r *Record)
	mainData   func(body []byte, total uint32) (mainDataPos, error)
	xactInfos  [8]bool // indexed by (info & 0x70) >> 4: records that carry a time
	// completions is indexed alike: records where recovery may stop.
	completions [8]bool
	statsItem   int // bytes of a dropped-statistics item in commit records
}

// OpenGauss is the WAL of openGauss 1.1 to 7.0 (formats.md §10).
func OpenGauss() Format {
	return Format{
		name: "openGauss", magic: 0xD074, pageFlags: 0x7, headerSize: 32, maxRecord: 0x3fffe000,
		header: openGaussHeader, mainData: openGaussMainData,
		xactInfos:   [8]bool{0: true, 2: true, 3: true, 4: true, 7: true},
		completions: [8]bool{0: true, 2: true, 6: true},
	}
}

// PostgreSQL is the WAL of a PostgreSQL major version, 12 to 18.
func PostgreSQL(major int) (Format, error) {
	magic := uint16(0)
	// XLOG_PAGE_MAGIC of the released servers (src/include/access/xlog_internal.h).
	switch major {
	case 12:
		magic = 0xD101
	case 13:
		magic = 0xD106
	case 14:
		magic = 0xD10D
	case 15:
		magic = 0xD110
	case 16:
		magic = 0xD113
	case 17:
		magic = 0xD116
	case 18:
		magic = 0xD118
	default:
		return Format{}, fmt.Errorf("select WAL format: PostgreSQL %d is not supported", major)
	}
	compressed := byte(0x04 | 0x08 | 0x10) // pglz, lz4, zstd since 15
	if major < 15 {
		compressed = 0x02
	}
	statsItem := 12
	if major >= 18 {
		statsItem = 16
	}
	return Format{
		name: fmt.Sprintf("PostgreSQL %d", major), magic: magic, pageFlags: 0xf, headerSize: 24,
		// Servers before 16 allow any length that fits an allocation of 1 GiB.
		maxRecord: 0x3fffffff, overwrites: true,
		header: postgresHeader,
		mainData: func(body []byte, total uint32) (mainDataPos, error) {
			return postgresMainData(body, total, compressed)
		},
		xactInfos:   [8]bool{0: true, 2: true, 3: true, 4: true},
		completions: [8]bool{0: true, 2: true, 3: true, 4: true},
		statsItem:   statsItem,
	}, nil
}

// FormatOf finds the format by the magic of a page; ok is false for WAL of a
// server that is not known.
func FormatOf(magic uint16) (f Format, ok bool) {
	if f = OpenGauss(); f.magic == magic {
		return f, true
	}
	for major := 12; ; major++ {
		f, err := PostgreSQL(major)
		if err != nil || f.magic == magic {
			return f, err == nil
		}
	}
}

// WithAnyMagic accepts every page magic of the same family, for servers newer
// or older than the ones known here. The record layout must still fit.
func (f Format) WithAnyMagic() Format {
	f.anyMagic = true
	return f
}

// String names the format for error texts.
func (f Format) String() string { return f.name }

func (f Format) magicOK(m uint16) bool {
	return m == f.magic || f.anyMagic && m>>8 == f.magic>>8
}

func openGaussHeader(b []byte, r *Record) {
	le := binary.LittleEndian
	r.TotalLen, r.Term = le.Uint32(b), le.Uint32(b[4:])
	r.XID, r.Prev = le.Uint64(b[8:]), LSN(le.Uint64(b[16:]))
	r.Info, r.Rmid = b[24], b[25]
	r.Bucket, r.CRC = le.Uint16(b[26:]), le.Uint32(b[28:])
}

func postgresHeader(b []byte, r *Record) {
	le := binary.LittleEndian
	r.TotalLen, r.XID = le.Uint32(b), uint64(le.Uint32(b[4:]))
	r.Prev = LSN(le.Uint64(b[8:]))
	r.Info, r.Rmid, r.CRC = b[16], b[17], le.Uint32(b[20:])
}
