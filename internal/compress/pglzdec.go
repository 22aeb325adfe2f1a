package compress

import "encoding/binary"

// Decompress decodes a pglz stream. It refuses what the server's decoder
// reads past or cuts short in silence: offset 0, an offset before the start
// of the page, a match that passes its end. No encoder writes these.
func (c *pglz) Decompress(dst, src []byte) error {
	n, err := pglzDecode(dst, src)
	if err != nil {
		return &CorruptError{PGLZ, len(dst), n, err}
	}
	return nil
}

// pglzDecode returns how many bytes of dst it filled.
func pglzDecode(dst, src []byte) (n int, err error) {
	for s := 0; s < len(src); {
		control := src[s]
		s++
		if control == 0 && s+8 <= len(src) && n+8 <= len(dst) {
			binary.LittleEndian.PutUint64(dst[n:], binary.LittleEndian.Uint64(src[s:]))
			s += 8
			n += 8
			continue
		}
		for bit := 0; bit < 8 && s < len(src); bit++ {
			if control>>bit&1 == 0 {
				if n == len(dst) {
					return n, ErrLong
				}
				dst[n] = src[s]
				n++
				s++
				continue
			}
			if s+2 > len(src) {
				return n, ErrStream
			}
			offset := int(src[s]>>4)<<8 | int(src[s+1])
			length := int(src[s]&15) + pglzMinMatch
			s += 2
			if length == 18 {
				if s == len(src) {
					return n, ErrStream
				}
				length += int(src[s])
				s++
			}
			if offset == 0 || offset > n {
				return n, ErrStream
			}
			if length > len(dst)-n {
				return n, ErrLong
			}
			copyMatch(dst[n-offset:n+length], offset)
			n += length
		}
	}
	if n < len(dst) {
		return n, ErrShort
	}
	return n, nil
}

// copyMatch fills w from offset on with the bytes offset before, one after
// the other: with a small offset the first bytes repeat.
func copyMatch(w []byte, offset int) {
	for done := offset; done < len(w); {
		// All of w[:done] has the period offset, so the copied part may
		// double each time.
		done += copy(w[done:], w[:done])
	}
}
