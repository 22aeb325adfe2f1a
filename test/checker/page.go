package checker

import "encoding/binary"

// page checks one restored 8 KiB page and gives what the header map must say
// of it: its LSN and computed checksum, both 0 for a page of zeros.
func (c *check) page(b *backup, e *entry, rel string, block uint32, page []byte) (lsn uint64, sum uint16) {
	c.stats.Pages++
	if zero(page) {
		c.stats.ZeroPages++
		return 0, 0
	}
	le := binary.LittleEndian
	lsn = uint64(le.Uint32(page))<<32 | uint64(le.Uint32(page[4:]))
	sum = checksum(page, uint32(e.segno)*segmentBlocks+block, b.openGauss())
	if e.compressed {
		c.rowCompressed(e, rel, block, page)
		return lsn, sum
	}
	flags, lower, upper, special, version := le.Uint16(page[10:]), le.Uint16(page[12:]), le.Uint16(page[14:]), le.Uint16(page[16:]), le.Uint16(page[18:])
	mask := uint16(0x0007)
	if b.openGauss() {
		mask = 0x01FF
		lower &= 0x7FFF
	}
	if version&0xFF00 != blockSize || flags&^mask != 0 || lower < 24 || lower > upper || upper > special || special > blockSize || special%8 != 0 {
		c.bad(rel, "§7.2", "block %d: page header is not sane: flags %#x lower %d upper %d special %d version %#x", block, flags, lower, upper, special, version)
	} else if found := le.Uint16(page[8:]); b.checksumVersion != 0 && found != sum {
		c.bad(rel, "§7.3", "block %d: page checksum is %d, computed %d", block, found, sum)
	}
	if lsn > b.stopLSN {
		c.note(rel, "§7.4", "block %d: page LSN %X/%X lies after stop-lsn", block, lsn>>32, uint32(lsn))
	}
	return lsn, sum
}

// rowCompressed checks a page of a row-compressed relation: a compressed chunk
// with a good crc, or a raw page with a good checksum (§7.8).
func (c *check) rowCompressed(e *entry, rel string, block uint32, page []byte) {
	le := binary.LittleEndian
	if le.Uint16(page[12:])&0x8000 == 0 {
		c.bad(rel, "§7.8", "block %d: pd_lower has not its top bit set", block)
	}
	if rowCompressedSize(page) > 0 {
		return
	}
	// pd_checksum counts blocks of the relation, whose segments are shorter.
	raw := append([]byte(nil), page...)
	if checksum(raw, uint32(e.segno)*130048+block, true) != le.Uint16(page[8:]) {
		c.bad(rel, "§7.8", "block %d is neither a compressed block nor a raw page", block)
	}
}

func zero(p []byte) bool {
	for _, x := range p {
		if x != 0 {
			return false
		}
	}
	return true
}

const fnvPrime = 16777619

var fnvBase = [32]uint32{
	0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
	0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
	0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
	0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
}

// fnv is the 32-lane hash of §7.3; data is taken as padded with zeros to rows
// of 128 bytes.
func fnv(data []byte) uint32 {
	lanes := fnvBase
	mix := func(i int, v uint32) {
		t := lanes[i] ^ v
		lanes[i] = t*fnvPrime ^ t>>17
	}
	rows := (len(data) + 127) / 128
	padded := make([]byte, rows*128)
	copy(padded, data)
	for r := range rows {
		for i := range lanes {
			mix(i, binary.LittleEndian.Uint32(padded[r*128+i*4:]))
		}
	}
	for range 2 {
		for i := range lanes {
			mix(i, 0)
		}
	}
	var sum uint32
	for _, l := range lanes {
		sum ^= l
	}
	return sum
}

// checksum is the page checksum for an absolute block number. openGauss masks
// the top bit of pd_lower.
func checksum(page []byte, block uint32, openGauss bool) uint16 {
	p := append([]byte(nil), page...)
	p[8], p[9] = 0, 0
	if openGauss {
		p[13] &= 0x7F
	}
	return uint16((fnv(p)^block)%65535 + 1)
}
