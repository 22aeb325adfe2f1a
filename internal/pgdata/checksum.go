package pgdata

import "encoding/binary"

// Page checksum (spec/formats.md §7.3), the same function in both families:
// the bytes are rows of 32 u32 words; each of the 32 columns ("lanes") is
// folded on its own from a fixed start value with
//
//	t = h ^ v;  h = t * 16777619 ^ t >> 17
//
// then twice with v = 0, and all lanes are xored together. This is the hot
// loop of backup and validate, so amd64 has an AVX2 version (checksum_amd64.s)
// that does 8 lanes at once; sumRowsGo is the reference and the version for
// everything else.
const (
	fnvPrime  = 16777619
	sumLanes  = 32
	sumRow    = sumLanes * 4 // bytes
	relsumMod = 65535
)

// laneStart returns the start values of the lanes. A function, so that no
// package variable can be changed by mistake; the compiler keeps the array in
// read-only data.
func laneStart() [sumLanes]uint32 {
	return [sumLanes]uint32{
		0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
		0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
		0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
		0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
	}
}

// rowMask is anded to the first 32 bytes of the first row: bits that count as
// zero in the checksum although the page has them set.
type rowMask [8]uint32

func pageMask(f Family) rowMask {
	m := plainMask()
	m[2] = 0xFFFF0000 // pd_checksum itself
	if f == OpenGauss {
		m[3] = 0xFFFF0000 | lowerMask // mark of a stored compressed image
	}
	return m
}

func plainMask() rowMask {
	const all = 0xFFFFFFFF
	return rowMask{all, all, all, all, all, all, all, all}
}

// PageChecksum is the checksum a page of BlockSize bytes should carry, 1 to
// 65535. blkno is the absolute block number in the relation.
func PageChecksum(page []byte, blkno uint32, f Family) uint16 {
	mask := pageMask(f)
	return uint16((sumRows(page[:BlockSize], &mask)^blkno)%relsumMod) + 1
}

// dataChecksum is the unreduced 32-bit checksum of any bytes, the last row
// padded with zeros: the crc field of a compressed block (spec/formats.md
// §7.8).
func dataChecksum(b []byte) uint32 {
	mask := plainMask()
	if len(b)%sumRow == 0 {
		return sumRows(b, &mask)
	}
	padded := make([]byte, (len(b)+sumRow-1)/sumRow*sumRow)
	copy(padded, b)
	return sumRows(padded, &mask)
}

// sumRowsGo is the portable checksum of whole rows. Lanes are done eight at a
// time, column by column, because eight states fit into registers and
// thirty-two do not; the page is read four times from the first-level cache.
func sumRowsGo(b []byte, mask *rowMask) uint32 {
	start := laneStart()
	none := plainMask()
	var sum uint32
	for g := 0; g < sumLanes; g += 8 {
		m := &none
		if g == 0 {
			m = mask
		}
		sum ^= sumColumns(b, (*[8]uint32)(start[g:]), g*4, m)
	}
	return sum
}

func sumColumns(b []byte, start *[8]uint32, off int, mask *rowMask) uint32 {
	h0, h1, h2, h3 := start[0], start[1], start[2], start[3]
	h4, h5, h6, h7 := start[4], start[5], start[6], start[7]
	if off+32 <= len(b) {
		r := b[off : off+32 : off+32]
		h0 = fnvRound(h0, binary.LittleEndian.Uint32(r[0:])&mask[0])
		h1 = fnvRound(h1, binary.LittleEndian.Uint32(r[4:])&mask[1])
		h2 = fnvRound(h2, binary.LittleEndian.Uint32(r[8:])&mask[2])
		h3 = fnvRound(h3, binary.LittleEndian.Uint32(r[12:])&mask[3])
		h4 = fnvRound(h4, binary.LittleEndian.Uint32(r[16:])&mask[4])
		h5 = fnvRound(h5, binary.LittleEndian.Uint32(r[20:])&mask[5])
		h6 = fnvRound(h6, binary.LittleEndian.Uint32(r[24:])&mask[6])
		h7 = fnvRound(h7, binary.LittleEndian.Uint32(r[28:])&mask[7])
	}
	for off += sumRow; off+32 <= len(b); off += sumRow {
		r := b[off : off+32 : off+32]
		h0 = fnvRound(h0, binary.LittleEndian.Uint32(r[0:]))
		h1 = fnvRound(h1, binary.LittleEndian.Uint32(r[4:]))
		h2 = fnvRound(h2, binary.LittleEndian.Uint32(r[8:]))
		h3 = fnvRound(h3, binary.LittleEndian.Uint32(r[12:]))
		h4 = fnvRound(h4, binary.LittleEndian.Uint32(r[16:]))
		h5 = fnvRound(h5, binary.LittleEndian.Uint32(r[20:]))
		h6 = fnvRound(h6, binary.LittleEndian.Uint32(r[24:]))
		h7 = fnvRound(h7, binary.LittleEndian.Uint32(r[28:]))
	}
	return fnvEnd(h0) ^ fnvEnd(h1) ^ fnvEnd(h2) ^ fnvEnd(h3) ^
		fnvEnd(h4) ^ fnvEnd(h5) ^ fnvEnd(h6) ^ fnvEnd(h7)
}

func fnvRound(h, v uint32) uint32 {
	t := h ^ v
	return t*fnvPrime ^ t>>17
}

func fnvEnd(h uint32) uint32 { return fnvRound(fnvRound(h, 0), 0) }
