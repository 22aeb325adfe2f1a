package ogdata

import (
	"encoding/binary"
	"math/rand/v2"

	"gsprobackup/internal/wal"
)

// blockSize is BLCKSZ of every build.
const blockSize = 8192

// Layout versions of pages (formats.md §7.1).
type layout uint16

const (
	common  layout = 5 // indexes, sequences, maps
	heap    layout = 6 // 64-bit xid base
	uheap   layout = 7 // ustore
	segMeta layout = 8 // segment-page metadata
)

func (v layout) header() int {
	switch v {
	case heap:
		return 40
	case uheap:
		return 56
	}
	return 24
}

// special is the size of the area at the end of the page.
func (v layout) special() int {
	if v == common {
		return 16 // as of a btree page
	}
	return 0
}

// newPage makes a page with tuples of text (or of noise, which no compressor
// can shrink), without LSN and checksum.
func newPage(v layout, rng *rand.Rand, noise bool) []byte {
	p := make([]byte, blockSize)
	le := binary.LittleEndian
	special := blockSize - v.special()
	lower, upper := v.header(), special
	for n := 0; n < 60 && upper-lower > 160; n++ {
		size := 64 + 8*rng.IntN(8)
		upper -= size
		fillTuple(p[upper:upper+size], rng, noise)
		le.PutUint32(p[lower:], uint32(upper)|1<<15|uint32(size)<<17)
		lower += 4
	}
	if noise {
		fillTuple(p[lower:upper], rng, noise) // no hole to squeeze out
		lower = upper
	}
	le.PutUint16(p[10:], 0x40) // checksum is FNV-1a
	le.PutUint16(p[12:], uint16(lower))
	le.PutUint16(p[14:], uint16(upper))
	le.PutUint16(p[16:], uint16(special))
	le.PutUint16(p[18:], blockSize|uint16(v))
	if v == heap || v == uheap {
		le.PutUint64(p[24:], 3) // xid base
	}
	return p
}

func fillTuple(t []byte, rng *rand.Rand, noise bool) {
	const words = "compressible tuple text of the stand-in, row "
	for i := range t {
		if noise {
			t[i] = byte(rng.Uint32())
		} else {
			t[i] = words[i%len(words)]
		}
	}
	if !noise && len(t) >= 8 {
		binary.LittleEndian.PutUint64(t, rng.Uint64())
	}
}

// alter changes the content of a page as an update would: bytes in front of
// the special area.
func alter(p []byte, rng *rand.Rand) {
	end := int(binary.LittleEndian.Uint16(p[16:]))
	if end < 64 || end > blockSize {
		end = blockSize
	}
	binary.LittleEndian.PutUint64(p[end-8:], rng.Uint64())
}

// seal sets the LSN, then the checksum.
func seal(p []byte, lsn wal.LSN, absoluteBlock uint32) {
	le := binary.LittleEndian
	le.PutUint32(p, uint32(lsn>>32))
	le.PutUint32(p[4:], uint32(lsn))
	le.PutUint16(p[8:], checksum(p, absoluteBlock))
}

func pageLSN(p []byte) wal.LSN {
	le := binary.LittleEndian
	return wal.LSN(le.Uint32(p))<<32 | wal.LSN(le.Uint32(p[4:]))
}

// laneBase are the start values of the 32 lanes (formats.md §7.3).
var laneBase = [32]uint32{
	0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
	0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
	0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
	0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
}

// lanes is the 32-lane FNV-1a sum of data, whose length is a multiple of 128.
func lanes(data []byte) uint32 {
	sums := laneBase
	mix := func(h, v uint32) uint32 {
		t := h ^ v
		return t*16777619 ^ t>>17
	}
	for ; len(data) >= 128; data = data[128:] {
		for i := range sums {
			sums[i] = mix(sums[i], binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
	var total uint32
	for _, s := range sums {
		total ^= mix(mix(s, 0), 0)
	}
	return total
}

// checksum is pd_checksum of a page: the field itself counts as 0, bit 15 of
// pd_lower too (formats.md §7.3).
func checksum(p []byte, absoluteBlock uint32) uint16 {
	var q [blockSize]byte
	copy(q[:], p)
	q[8], q[9] = 0, 0
	q[13] &= 0x7F
	return uint16((lanes(q[:])^absoluteBlock)%65535 + 1)
}
