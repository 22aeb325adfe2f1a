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

	pglzGoodLow = 16 // it falls no lower: 16*6/100 is 0
)

// pglz gives byte for byte the streams of the server's own encoder with its
// "always" strategy, but gets there with fewer looks (see search).
//
// Positions with equal hash form a list, newest first: head holds the newest
// position + 1 (0: none), prev[p mod 4096] the next older one of p. The
// server's history of 4096 entries forgets positions by itself; here they
// only become unreachable, because a search ends at pglzMaxOffset, which is
// less. So prev is a ring that is never cleared.
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
	if len(src) >= 4 {
		var h int32
		for _, b := range src[:3] {
			h = h<<2 ^ int32(int8(b))
		}
		for p, b := range src[3:] { // b is the last byte of p's four
			h = h<<2 ^ int32(int8(b))
			hash[p] = uint16(h) % pglzLists
			h ^= int32(int8(src[p])) << 6 // take the first one out
		}
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
	for p, h := range c.hash[from:to] {
		newest := &c.head[h%pglzLists]
		c.prev[(from+p)%pglzHistory] = *newest
		*newest = uint16(from + p + 1)
	}
}

// newest and older walk a list; they return -1 behind its end. Positions more
// than pglzMaxOffset back must not be asked for older ones.
func (c *pglz) newest(hash uint16) int { return int(c.head[hash%pglzLists]) - 1 }
func (c *pglz) older(p int) int        { return int(c.prev[p%pglzHistory]) - 1 }

// search returns the match the server's encoder would take at p, or a length
// under pglzMinMatch.
//
// The server looks at every entry of the list, newest first, until one is too
// far back or the best length is good enough, where "good" falls with each
// entry; it keeps strictly longer matches only. Pages are full of short runs
// of zeros, and then most of its looks are in vain. search finds the same
// match with two observations:
//
//   - "good" never falls below pglzGoodLow, so until a match of that length
//     is found only the distance ends a search, and entries may be left out.
//     From there on finishLong does as the server does.
//   - Four equal bytes have equal hashes, and within one list three equal
//     bytes mean a fourth one. So a match of more than best bytes can only be
//     where the list of position p+best-3 has an entry best-3 further on. That
//     list is mostly short: the matches known so far differ there.
func (c *pglz) search(src []byte, p int) (best, offset int) {
	here := src[p:min(p+pglzMaxMatch, len(src))]
	if len(here) <= pglzMinMatch {
		return c.searchLast(src, p)
	}
	best = pglzMinMatch - 1
	tail := 0 // the list followed is that of p+tail
	want := load32(here, tail)
	for at := c.newest(c.hash[p]); at >= tail && p-at+tail <= pglzMaxOffset; {
		if load32(src, at) == want {
			if n := commonPrefix(src[at-tail:], here); n > best {
				best, offset = n, p-(at-tail)
				if best >= pglzGoodLow || best == len(here) {
					return c.finishLong(src, p, best, offset)
				}
				tail = best - 3
				want = load32(here, tail)
				at = c.newest(c.hash[p+tail])
				continue
			}
		}
		at = c.older(at)
	}
	return best, offset
}

// finishLong continues a search, the best match of which has pglzGoodLow bytes
// or cannot become longer, on the list of p itself.
func (c *pglz) finishLong(src []byte, p, best, offset int) (int, int) {
	here := src[p:min(p+pglzMaxMatch, len(src))]
	good := pglzGood
	old := c.newest(c.hash[p])
	for ; old != p-offset && best < good; old = c.older(old) {
		good -= good * pglzDrop / 100
	}
	for best < good && best < len(here) {
		good -= good * pglzDrop / 100
		old = c.older(old)
		if old < 0 || p-old > pglzMaxOffset {
			break
		}
		if src[old+best] == here[best] {
			if n := commonPrefix(src[old:], here); n > best {
				best, offset = n, p-old
			}
		}
	}
	return best, offset
}

// searchLast is search for the last three positions, the hash of which is not
// that of four bytes: the list holds any positions, and 3 bytes may match.
func (c *pglz) searchLast(src []byte, p int) (length, offset int) {
	if len(src)-p < pglzMinMatch {
		return 0, 0
	}
	for old := c.newest(c.hash[p]); old >= 0 && p-old <= pglzMaxOffset; old = c.older(old) {
		if commonPrefix(src[old:], src[p:]) == pglzMinMatch {
			return pglzMinMatch, p - old
		}
	}
	return 0, 0
}

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// commonPrefix returns how many first bytes of a and b agree.
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
