package compress

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Re-encoding a page stored by the C tool gives the C tool's bytes, and a
// page the C tool stored raw does not get smaller here either.
func TestPGLZSameBytesAsServer(t *testing.T) {
	c := newCodec(t, PGLZ, 0)
	for i, frame := range goldenFrames(t, PGLZ) {
		out, ok, err := c.Compress(nil, goldenPage(t, c, frame))
		if err != nil {
			t.Fatal(err)
		}
		if len(frame) == pageSize {
			if ok {
				t.Errorf("frame %d: %d bytes, the C tool kept it raw", i, len(out))
			}
			continue
		}
		if !ok || !bytes.Equal(out, frame) {
			t.Errorf("frame %d: %d bytes (ok %v) differ from the stored %d", i, len(out), ok, len(frame))
		}
	}
}

// plainPGLZ is the encoder of spec/formats.md §6 written down as the text
// says it: 8192 lists, a ring of 4096 entries, no short cuts.
func plainPGLZ(src []byte) []byte {
	type entry struct{ pos, hash int }
	lists := make([][]int, 8192) // positions, newest first
	var ring [4096]entry
	used := 0
	hash := func(p int) int {
		c := func(i int) int { return int(int8(src[p+i])) }
		if len(src)-p < 4 {
			return c(0) & 8191
		}
		return (c(0)<<6 ^ c(1)<<4 ^ c(2)<<2 ^ c(3)) & 8191
	}
	enter := func(p int) {
		slot := used % len(ring)
		if used >= len(ring) {
			l := lists[ring[slot].hash]
			lists[ring[slot].hash] = l[:len(l)-1]
		}
		used++
		h := hash(p)
		ring[slot] = entry{p, h}
		lists[h] = append([]int{p}, lists[h]...)
	}
	search := func(p int) (best, offset int) {
		good := 128
		list := lists[hash(p)]
		for i, old := range list {
			if p-old >= 4095 {
				break
			}
			n := 0
			for n < 273 && p+n < len(src) && src[old+n] == src[p+n] {
				n++
			}
			if n > best {
				best, offset = n, p-old
			}
			if i+1 < len(list) {
				if best >= good {
					break
				}
				good -= good * 6 / 100
			}
		}
		return best, offset
	}
	var out []byte
	control, item := 0, 8
	for p := 0; p < len(src); {
		if item == 8 {
			control, item = len(out), 0
			out = append(out, 0)
		}
		n, offset := search(p)
		if n > 2 {
			out[control] |= 1 << item
			if n >= 18 {
				out = append(out, byte(offset>>4)&0xF0|15, byte(offset), byte(n-18))
			} else {
				out = append(out, byte(offset>>4)&0xF0|byte(n-3), byte(offset))
			}
		} else {
			out = append(out, src[p])
			n = 1
		}
		item++
		for ; n > 0; n-- {
			enter(p)
			p++
		}
	}
	return out
}

func TestPGLZEncoderProperty(t *testing.T) {
	c := newCodec(t, PGLZ, 0)
	rapid.Check(t, func(t *rapid.T) {
		page := drawPage(t)
		want := plainPGLZ(page)
		got, ok, err := c.Compress(nil, page)
		if err != nil {
			t.Fatal(err)
		}
		if ok != (len(want) < len(page)) {
			t.Fatalf("ok = %v for %d of %d bytes", ok, len(want), len(page))
		}
		if ok && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes differ from the plain encoder's %d", len(got), len(want))
		}
	})
}

func TestPGLZDecode(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   string
		want string // size of the page and its content
		err  error
	}{
		{"literals", "\x00abc", "abc", nil},
		{"eight literals and two", "\x00abcdefgh\x00ij", "abcdefghij", nil},
		{"run", "\x02a\x02\x01", "aaaaaa", nil},
		{"overlapping match", "\x04ab\x01\x02", "abababab"[:6], nil},
		{"long match", "\x02a\x0f\x01\x02", "aaaaaaaaaaaaaaaaaaaaa", nil},
		{"longest match", "\x02a\x0f\x01\xff", "a" + string(bytes.Repeat([]byte("a"), 273)), nil},
		{"empty group at the end", "\x00abcdefgh\x00", "abcdefgh", nil},
		{"nothing", "", "a", ErrShort},
		{"too few", "\x00ab", "abc", ErrShort},
		{"literal too many", "\x00abcd", "abc", ErrLong},
		{"match over the end", "\x02a\x02\x01", "aaaaa", ErrLong},
		{"offset 0", "\x02a\x02\x00", "aaaaaa", ErrStream},
		{"offset before the start", "\x02a\x02\x02", "aaaaaa", ErrStream},
		{"match at the start", "\x01\x02\x01", "aaaaa", ErrStream},
		{"tag cut", "\x02a\x02", "aaaaaa", ErrStream},
		{"long tag cut", "\x02a\x0f\x01", "aaaaaa", ErrStream},
	} {
		got := make([]byte, len(tc.want))
		err := newCodec(t, PGLZ, 0).Decompress(got, []byte(tc.in))
		if !errors.Is(err, tc.err) || (tc.err == nil && string(got) != tc.want) {
			t.Errorf("%s: %q, %v; want %q, %v", tc.name, got, err, tc.want, tc.err)
		}
	}
}
