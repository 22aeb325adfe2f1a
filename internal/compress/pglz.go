package compress

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// The pglz stream (spec/formats.md §6) has no header. It is a sequence of
// groups: one control byte, then up to 8 items, one per bit from the lowest.
//
//	bit 0  literal  1 byte
//	bit 1  match    b0: low nibble L, high nibble offset bits 11..8
//	                b1: offset bits 7..0
//	                b2: only when L = 15
//	                length = L+3, or 18+b2; offset 1..4095 back
const (
	pglzMinMatch  = 3
	pglzMaxMatch  = 273
	pglzMaxOffset = 4094 // of the encoder; the format could hold 4095
	pglzHistory   = 4096
	pglzLists     = 8192
	pglzGroup     = 1 + 8*3 // most bytes of a group

	// A match of pglzGood bytes ends a search; with each older candidate
	// that falls by pglzDrop percent, in integers.
	pglzGood = 128
	pglzDrop = 6
)

// pglz gives byte for byte the streams of the server's own encoder with its
// "always" strategy.
//
// Positions with equal hash form a list, newest first: head holds the newest
// position + 1 (0: none), prev[p mod 4096] the next older one of p. The
// server's history of 4096 entries forgets positions by itself; here they
// only become unreachable, because a search ends at pglzMaxOffset, which is
// less. So prev may be a ring that is never cleared.
type pglz struct {
	head [pglzLists]uint16
	prev [pglzHistory]uint16
	hash [MaxPage]uint16 // of each position of the page
}

func (c *pglz) Compress(dst, src []byte) ([]byte, bool, error) {
	if err := checkSource(PGLZ, src); err != nil {
		return dst, false, err
	}
	clear(c.head[:])
	c.hashAll(src)
	out := slices.Grow(dst, len(src)+pglzGroup)
	n := c.encode(out[len(dst):len(dst)+len(src)+pglzGroup], src)
	if n >= len(src) {
		return dst, false, nil
	}
	return out[:len(dst)+n], true, nil
}

// hashAll fills c.hash. The bytes count as signed, as in the server on amd64;
// the last three positions have only their own byte.
func (c *pglz) hashAll(src []byte) {
	hash := c.hash[:len(src)]
	for p := 0; p+4 <= len(src); p++ {
		w := binary.LittleEndian.Uint32(src[p:])
		h := int32(int8(w))<<6 ^ int32(int8(w>>8))<<4 ^ int32(int8(w>>16))<<2 ^ int32(int8(w>>24))
		hash[p] = uint16(h) % pglzLists
	}
	for p := max(0, len(src)-3); p < len(src); p++ {
		hash[p] = uint16(int8(src[p])) % pglzLists
	}
}

// encode writes the stream of src to out and returns its length. When it
// becomes as long as src, encode gives up and returns a length >= len(src).
func (c *pglz) encode(out, src []byte) int {
	n := 0
	for p := 0; p < len(src); {
		if n >= len(src) {
			return n
		}
		control := n
		n++
		var bitmap byte
		for bit := byte(1); bit != 0 && p < len(src); bit <<= 1 {
			length, offset := c.search(src, p)
			if length < pglzMinMatch {
				out[n] = src[p]
				n++
				length = 1
			} else {
				bitmap |= bit
				n += putMatch(out[n:], length, offset)
			}
			c.enter(p, p+length)
			p += length
		}
		out[control] = bitmap
	}
	return n
}

// enter adds positions [from,to) to the history.
func (c *pglz) enter(from, to int) {
	for p := from; p < to; p++ {
		h := c.hash[p] % pglzLists
		c.prev[p%pglzHistory] = c.head[h]
		c.head[h] = uint16(p + 1)
	}
}

// search returns the match the server's encoder would take at p, or a length
// under pglzMinMatch. Lengths of 1 and 2 are never used and cannot end a
// search (good stays over 15), so best starts at 2.
func (c *pglz) search(src []byte, p int) (best, offset int) {
	best = pglzMinMatch - 1
	longest := min(pglzMaxMatch, len(src)-p)
	if best >= longest {
		return 0, 0
	}
	here := src[p : p+longest]
	candidate := int(c.head[c.hash[p]%pglzLists])
	for good := pglzGood; candidate != 0; good -= good * pglzDrop / 100 {
		old := candidate - 1
		if p-old > pglzMaxOffset {
			break
		}
		there := src[old : old+longest]
		if there[best] == here[best] && there[0] == here[0] && there[1] == here[1] {
			if n := commonPrefix(there, here); n > best {
				best, offset = n, p-old
				if best == longest {
					break // nothing can be longer
				}
			}
		}
		candidate = int(c.prev[old%pglzHistory])
		if best >= good {
			break
		}
	}
	return best, offset
}

// commonPrefix returns how many first bytes of a and b, of equal length, agree.
func commonPrefix(a, b []byte) int {
	n := 0
	for ; n+8 <= len(a) && n+8 <= len(b); n += 8 {
		x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:])
		if x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// putMatch writes a tag and returns its length.
func putMatch(out []byte, length, offset int) int {
	out[0] = byte(offset>>8)<<4 | byte(min(length-pglzMinMatch, 15))
	out[1] = byte(offset)
	if length < 18 {
		return 2
	}
	out[2] = byte(length - 18)
	return 3
}
