package pgdata

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"gsprobackup/internal/wal"
)

// Page header, the part every table and index access method shares
// (spec/formats.md §7.1; PostgreSQL's is the same but for the LSN halves
// being one 64-bit value split in the same way):
//
//	off  type  field
//	  0  u32   pd_lsn, high half
//	  4  u32   pd_lsn, low half
//	  8  u16   pd_checksum
//	 10  u16   pd_flags
//	 12  u16   pd_lower
//	 14  u16   pd_upper
//	 16  u16   pd_special
//	 18  u16   page size (a multiple of 256) + layout version (low 8 bits)
//	 20  u32   pd_prune_xid (version 7: other use), more behind it by version
const (
	pageHeaderSize = 24
	pageAlign      = 8

	// Flag bits a page may carry; anything else means garbage.
	openGaussFlags  = 0x1FF
	postgreSQLFlags = 0x007

	// lowerMask hides bit 15 of pd_lower, which marks the stored image of a
	// row-compressed page (spec/formats.md §7.8).
	lowerMask   = 0x7FFF
	lowerMarked = 0x8000

	postgreSQLSizeVersion = BlockSize | 4
)

// PageHeader is a decoded page header.
type PageHeader struct {
	LSN      wal.LSN
	Checksum uint16
	Flags    uint16
	Lower    uint16
	Upper    uint16
	Special  uint16
	Size     uint16 // bytes; 8192 on every sane page
	Version  uint8  // layout version
}

// DecodePageHeader reads the header of a page of at least 24 bytes; a shorter
// one gives the zero header, which no check accepts.
func DecodePageHeader(page []byte) PageHeader {
	if len(page) < pageHeaderSize {
		return PageHeader{}
	}
	le := binary.LittleEndian
	sv := le.Uint16(page[18:])
	return PageHeader{
		LSN:      wal.LSN(uint64(le.Uint32(page))<<32 | uint64(le.Uint32(page[4:]))),
		Checksum: le.Uint16(page[8:]),
		Flags:    le.Uint16(page[10:]),
		Lower:    le.Uint16(page[12:]),
		Upper:    le.Uint16(page[14:]),
		Special:  le.Uint16(page[16:]),
		Size:     sv & 0xFF00,
		Version:  uint8(sv),
	}
}

// FirstLSN is a lower bound of real WAL positions in page headers: WAL begins
// with segment number 1, and no segment is smaller. Lower values are made up
// by the server, such as the 1 that GiST builds leave on disk.
const FirstLSN wal.LSN = 1 << 20

// flagAllVisible is PD_ALL_VISIBLE; both families have it.
const flagAllVisible = 0x0004

// PageAllVisible tells whether a page's header says that all its rows are
// visible to everybody.
func PageAllVisible(page []byte) bool { return DecodePageHeader(page).Flags&flagAllVisible != 0 }

// PageRules are the properties of a cluster that decide whether a page is
// good.
type PageRules struct {
	Family Family
	// Checksums tells whether pages carry a checksum. Always true for
	// openGauss; PostgreSQL may have them off.
	Checksums bool
}

// PageStatus is the outcome of a page check.
type PageStatus int

// The outcomes (spec/formats.md §7.4).
const (
	PageValid PageStatus = iota
	PageZero
	PageHeaderInvalid
	PageChecksumMismatch
)

func (s PageStatus) String() string {
	switch s {
	case PageValid:
		return "valid"
	case PageZero:
		return "zero"
	case PageHeaderInvalid:
		return "header invalid"
	case PageChecksumMismatch:
		return "checksum mismatch"
	}
	return fmt.Sprintf("PageStatus(%d)", int(s))
}

// PageCheck is what CheckPage found.
type PageCheck struct {
	Status PageStatus
	// LSN is pd_lsn; 0 for a zero page.
	LSN wal.LSN
	// Computed is the checksum of the page as it is, Found the one stored in
	// it. Computed is filled in for every page with a valid header, also
	// when checksums are off, because the header map of a backup stores it
	// (spec/formats.md §5.2).
	Computed, Found uint16
	// Reason is the tail of the C tool's message for a bad page, empty for a
	// good one.
	Reason string
}

// OK tells whether the page may be stored.
func (c PageCheck) OK() bool { return c.Status == PageValid || c.Status == PageZero }

// CheckPage tests one page of exactly BlockSize bytes. blkno is the absolute
// block number in the relation (Layout.AbsoluteBlock), which the checksum
// covers.
func CheckPage(page []byte, blkno uint32, r PageRules) PageCheck {
	if len(page) != BlockSize {
		return PageCheck{Status: PageHeaderInvalid, Reason: headerInvalid}
	}
	h := DecodePageHeader(page)
	if tail := headerTail(&h, r.Family); tail != "" {
		if IsZero(page) {
			return PageCheck{Status: PageZero}
		}
		return PageCheck{Status: PageHeaderInvalid, LSN: h.LSN, Found: h.Checksum, Reason: tail}
	}
	c := PageCheck{LSN: h.LSN, Found: h.Checksum, Computed: PageChecksum(page, blkno, r.Family)}
	if r.Checksums && c.Computed != c.Found {
		c.Status = PageChecksumMismatch
		c.Reason = fmt.Sprintf("page verification failed, calculated checksum %d but expected %d", c.Computed, c.Found)
	}
	return c
}

const headerInvalid = "page header invalid"

// headerTail is empty for a sane header, else the C tool's words for the
// first thing wrong (spec/formats.md §7.2, §7.4). openGauss does not look at
// the layout version; PostgreSQL knows one version only, and has no flag in
// pd_lower.
func headerTail(h *PageHeader, f Family) string {
	lower, flags := h.Lower, uint16(postgreSQLFlags)
	sane := h.Size|uint16(h.Version) == postgreSQLSizeVersion
	if f == OpenGauss {
		lower &= lowerMask
		flags = openGaussFlags
		sane = h.Size == BlockSize
	}
	switch {
	case !sane:
		return headerInvalid
	case lower < pageHeaderSize:
		return fmt.Sprintf("%s, pd_lower %d is less than page header size %d", headerInvalid, lower, pageHeaderSize)
	case lower > h.Upper:
		return fmt.Sprintf("%s, pd_lower %d is greater than pd_upper %d", headerInvalid, lower, h.Upper)
	case h.Upper > h.Special:
		return fmt.Sprintf("%s, pd_upper %d is greater than pd_special %d", headerInvalid, h.Upper, h.Special)
	case h.Special > BlockSize:
		return fmt.Sprintf("%s, pd_special %d is greater than block size %d", headerInvalid, h.Special, BlockSize)
	case h.Special%pageAlign != 0:
		return fmt.Sprintf("%s, pd_special %d is misaligned, expected %d", headerInvalid, h.Special, (h.Special+pageAlign-1)&^(pageAlign-1))
	case h.Flags&^flags != 0:
		return headerInvalid + ", pd_flags mask contain illegal bits"
	}
	return ""
}

// IsZero tells whether b has no byte but zero. The comparison of b with
// itself moved by eight bytes runs at the speed of the library's memequal
// and needs no second buffer.
func IsZero(b []byte) bool {
	if len(b) < 8 {
		for _, c := range b {
			if c != 0 {
				return false
			}
		}
		return true
	}
	return binary.LittleEndian.Uint64(b) == 0 && bytes.Equal(b[8:], b[:len(b)-8])
}
