package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The body of a record starts with header items that tell what follows; the
// items end where the lengths they announce fill the rest of the body
// (formats.md §10.3):
//
//	0xFF  u8 length            main data, always the last item
//	0xFE  u32 length           main data, always the last item
//	0xFD  origin               i32 openGauss, u16 PostgreSQL
//	0xFC  u32 top-level xid    PostgreSQL 14 and later
//	else  block reference      see the two parsers
//
// After the items come block images and block data in block order, then the
// main data, which therefore ends the body.
const (
	itemDataShort = 0xFF
	itemDataLong  = 0xFE
	itemOrigin    = 0xFD
	itemTopXID    = 0xFC

	maxBlockID = 32

	blockHasImage = 0x10
	blockHasData  = 0x20
	blockSameRel  = 0x80
)

// maxItemBytes bounds the header items of any record: 33 block references of
// at most 444 bytes (openGauss with encryption info), rounded up.
const maxItemBytes = 16 << 10

// mainDataPos locates the main data in a record's body.
type mainDataPos struct {
	off, len uint32
}

var errItemCut = errors.New("header items run over the end of the record")

// itemScanner walks over header items with bounds checks.
type itemScanner struct {
	body []byte // at least the header items, or all of the body
	pos  int
	err  error
}

func (s *itemScanner) take(n int) []byte {
	if s.err != nil || len(s.body)-s.pos < n {
		s.err = errItemCut
		return make([]byte, n)
	}
	b := s.body[s.pos : s.pos+n]
	s.pos += n
	return b
}

func (s *itemScanner) u8() byte    { return s.take(1)[0] }
func (s *itemScanner) u16() uint16 { return binary.LittleEndian.Uint16(s.take(2)) }
func (s *itemScanner) u32() uint32 { return binary.LittleEndian.Uint32(s.take(4)) }

// blockParser reads one block reference after its id and returns the number
// of image and data bytes it announces.
type blockParser func(s *itemScanner, id byte) (payload uint32)

// locateMainData runs through the items of a body of total bytes.
func locateMainData(body []byte, total uint32, originSize int, topXID bool, block blockParser) (mainDataPos, error) {
	s := itemScanner{body: body}
	payload := uint64(0)
	for s.err == nil && uint64(s.pos)+payload < uint64(total) {
		switch id := s.u8(); {
		case id == itemDataShort || id == itemDataLong:
			n := uint32(0)
			if id == itemDataShort {
				n = uint32(s.u8())
			} else {
				n = s.u32()
			}
			if s.err == nil && uint64(s.pos)+payload+uint64(n) != uint64(total) {
				return mainDataPos{}, fmt.Errorf("main data of %d bytes does not end the record", n)
			}
			return mainDataPos{off: total - n, len: n}, s.err
		case id == itemOrigin:
			s.take(originSize)
		case id == itemTopXID && topXID:
			s.take(4)
		default:
			payload += uint64(block(&s, id))
		}
	}
	if s.err == nil && uint64(s.pos)+payload != uint64(total) {
		s.err = errItemCut
	}
	return mainDataPos{off: total}, s.err
}

// postgresMainData knows PostgreSQL's block reference: id (0..32), u8 fork and
// flags, u16 data length; with an image u16 image length, u16 hole offset, u8
// info and, if it is compressed and has a hole, u16 hole length; unless it is
// for the same relation as the one before 12 bytes of relation; u32 block.
// compressed are the info bits that mean compression in this major version.
func postgresMainData(body []byte, total uint32, compressed byte) (mainDataPos, error) {
	const hasHole = 0x01
	return locateMainData(body, total, 2, true, func(s *itemScanner, id byte) uint32 {
		if id > maxBlockID {
			s.err = fmt.Errorf("block reference %d is out of range", id)
			return 0
		}
		flags, payload := s.u8(), uint32(0)
		payload += uint32(s.u16())
		if flags&blockHasImage != 0 {
			payload += uint32(s.u16())
			s.take(2)
			if info := s.u8(); info&hasHole != 0 && info&compressed != 0 {
				s.take(2)
			}
		}
		if flags&blockSameRel == 0 {
			s.take(12)
		}
		s.take(4)
		return payload
	})
}

// openGaussMainData knows openGauss' block reference (formats.md §10.3).
func openGaussMainData(body []byte, total uint32) (mainDataPos, error) {
	const (
		idMask      = 0x3f
		idSegNode   = 0x80 // 16-byte relation node: i16 bucket and u16 option at its end
		idEncrypted = 0x40 // 396 bytes of encryption info follow the node
		tdeInfoSize = 396
		vmPage      = 0x80 // in the segment file number: a second location follows
		minLogical  = 5    // relation numbers up to this are segment files themselves
	)
	logical := false // the current relation is a logical segment-page relation
	return locateMainData(body, total, 4, false, func(s *itemScanner, id byte) uint32 {
		if id&idMask > maxBlockID {
			s.err = fmt.Errorf("block reference %d is out of range", id&idMask)
			return 0
		}
		flags, payload := s.u8(), uint32(0)
		payload += uint32(s.u16())
		if flags&blockHasImage != 0 {
			s.take(2)
			hole := uint32(s.u16())
			if hole > PageSize {
				s.err = fmt.Errorf("block image has a hole of %d bytes", hole)
				return 0
			}
			payload += PageSize - hole
		}
		if flags&blockSameRel == 0 {
			node := s.take(12)
			rel := binary.LittleEndian.Uint32(node[8:])
			logical = false
			if id&idSegNode != 0 {
				bucket := int16(s.u16())
				s.take(2)
				logical = bucket >= 0 && rel > minLogical
			}
			if id&idEncrypted != 0 {
				s.take(tdeInfoSize)
			}
			s.take(2) // extra flags
		}
		s.take(4) // block number
		if logical {
			if s.u8()&vmPage != 0 {
				s.take(4 + 1 + 4)
			} else {
				s.take(4)
			}
		}
		s.take(8) // page's LSN before the change
		return payload
	})
}
