package wal

import (
	"encoding/binary"
	"fmt"
)

// PageHeader is the head of a WAL page; the last three fields are set on the
// first page of a segment only.
type PageHeader struct {
	Magic    uint16
	Info     uint16
	Timeline Timeline
	Addr     LSN
	RemLen   uint32

	SystemID uint64
	SegSize  uint32
	PageSize uint32
}

// Size is 24 or 40 bytes.
func (h *PageHeader) Size() int {
	if h.Info&pageLongHeader != 0 {
		return longHeaderSize
	}
	return shortHeaderSize
}

// ParsePageHeader reads the header at the start of b without judging it.
func ParsePageHeader(b []byte) (PageHeader, error) {
	if len(b) < shortHeaderSize {
		return PageHeader{}, fmt.Errorf("read WAL page header: %d bytes are too few", len(b))
	}
	le := binary.LittleEndian
	h := PageHeader{
		Magic: le.Uint16(b), Info: le.Uint16(b[2:]), Timeline: Timeline(le.Uint32(b[4:])),
		Addr: LSN(le.Uint64(b[8:])), RemLen: le.Uint32(b[16:]),
	}
	if h.Info&pageLongHeader == 0 {
		return h, nil
	}
	if len(b) < longHeaderSize {
		return PageHeader{}, fmt.Errorf("read long WAL page header: %d bytes are too few", len(b))
	}
	h.SystemID, h.SegSize, h.PageSize = le.Uint64(b[24:]), le.Uint32(b[32:]), le.Uint32(b[36:])
	return h, nil
}

// pageExpectation is what a reader knows about the page it asked for.
type pageExpectation struct {
	format   *Format
	addr     LSN
	segSize  uint32
	fileTLI  Timeline // from the segment's name
	minTLI   Timeline // of the page before
	systemID uint64   // 0: not known
}

// check returns why the header cannot be that of the expected page, or "".
// Timelines may grow from page to page but not beyond the file's own: the
// segment in which a new timeline starts begins with pages of the old one.
func (e *pageExpectation) check(h *PageHeader) string {
	first := SegmentOffset(e.addr, e.segSize) == 0
	switch {
	case !e.format.magicOK(h.Magic):
		return fmt.Sprintf("page magic %04X is not that of %s", h.Magic, e.format)
	case h.Info&^e.format.pageFlags != 0:
		return fmt.Sprintf("unknown page flags %04X", h.Info)
	case (h.Info&pageLongHeader != 0) != first:
		return fmt.Sprintf("page flags %04X do not fit its place in the segment", h.Info)
	case h.Addr != e.addr:
		return fmt.Sprintf("page says its address is %s", h.Addr)
	case h.Timeline == 0 || h.Timeline > e.fileTLI || h.Timeline < e.minTLI:
		return fmt.Sprintf("page is of timeline %d, expected %d to %d", h.Timeline, e.minTLI, e.fileTLI)
	case !first:
		return ""
	case e.systemID != 0 && h.SystemID != e.systemID:
		return fmt.Sprintf("segment is of system %d, expected %d", h.SystemID, e.systemID)
	case h.SegSize != e.segSize:
		return fmt.Sprintf("segment size is %d, expected %d", h.SegSize, e.segSize)
	case h.PageSize != PageSize:
		return fmt.Sprintf("page size is %d, expected %d", h.PageSize, PageSize)
	}
	return ""
}
