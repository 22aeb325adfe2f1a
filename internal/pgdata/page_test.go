package pgdata

import (
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// newPage is an empty page with a good header and checksum.
func newPage(f Family, blkno uint32) []byte {
	page := make([]byte, BlockSize)
	le := binary.LittleEndian
	le.PutUint32(page[0:], 0x1A)
	le.PutUint32(page[4:], 0x2B3C4D)
	le.PutUint16(page[12:], 24)
	le.PutUint16(page[14:], 8192)
	le.PutUint16(page[16:], 8192)
	le.PutUint16(page[18:], 8192+4)
	seal(page, f, blkno)
	return page
}

func seal(page []byte, f Family, blkno uint32) {
	binary.LittleEndian.PutUint16(page[8:], PageChecksum(page, blkno, f))
}

func TestCheckPageHeader(t *testing.T) {
	put := func(off int, v uint16) func([]byte) {
		return func(p []byte) { binary.LittleEndian.PutUint16(p[off:], v) }
	}
	for _, tc := range []struct {
		name   string
		change func([]byte)
		og, pg string // tail, "-" for valid
	}{
		{"good", func([]byte) {}, "-", "-"},
		{"flags 0x40", put(10, 0x40), "-", ", pd_flags mask contain illegal bits"},
		{"flags 0x200", put(10, 0x200), ", pd_flags mask contain illegal bits", ", pd_flags mask contain illegal bits"},
		{"flags 7", put(10, 7), "-", "-"},
		{"version 6", put(18, 8192+6), "-", ""},
		{"size 4096", put(18, 4096+4), "", ""},
		{"lower 23", put(12, 23), ", pd_lower 23 is less than page header size 24", ", pd_lower 23 is less than page header size 24"},
		{"lower marked", put(12, 0x8000+24), "-", ", pd_lower 32792 is greater than pd_upper 8192"},
		{"lower > upper", put(14, 20), ", pd_lower 24 is greater than pd_upper 20", ", pd_lower 24 is greater than pd_upper 20"},
		{"upper > special", put(16, 8184), ", pd_upper 8192 is greater than pd_special 8184", ", pd_upper 8192 is greater than pd_special 8184"},
		{"special > size", put(16, 8200), ", pd_special 8200 is greater than block size 8192", ", pd_special 8200 is greater than block size 8192"},
		{"special odd", func(p []byte) { put(14, 100)(p); put(16, 8190)(p) },
			", pd_special 8190 is misaligned, expected 8192", ", pd_special 8190 is misaligned, expected 8192"},
		{"size 0", put(18, 0), "", ""},
	} {
		for f, want := range map[Family]string{OpenGauss: tc.og, PostgreSQL: tc.pg} {
			page := newPage(f, 5)
			tc.change(page)
			seal(page, f, 5)
			got := CheckPage(page, 5, PageRules{Family: f, Checksums: true})
			if want == "-" {
				if got.Status != PageValid || got.LSN != 0x1A002B3C4D || got.Computed != got.Found || got.Reason != "" || !got.OK() {
					t.Errorf("%v %s: %+v", f, tc.name, got)
				}
				continue
			}
			if got.Status != PageHeaderInvalid || got.Reason != "page header invalid"+want || got.OK() {
				t.Errorf("%v %s: %+v", f, tc.name, got)
			}
		}
	}
}

func TestCheckPageChecksum(t *testing.T) {
	for _, f := range []Family{OpenGauss, PostgreSQL} {
		page := newPage(f, 7)
		got := CheckPage(page, 8, PageRules{Family: f, Checksums: true})
		if got.Status != PageChecksumMismatch || !strings.HasPrefix(got.Reason, "page verification failed, calculated checksum ") ||
			!strings.Contains(got.Reason, " but expected ") || got.Computed == got.Found || got.OK() {
			t.Errorf("%v wrong block: %+v", f, got)
		}
		if got := CheckPage(page, 8, PageRules{Family: f}); got.Status != PageValid || got.Computed == 0 {
			t.Errorf("%v checksums off: %+v", f, got)
		}
	}
}

func TestCheckPageZero(t *testing.T) {
	zero := make([]byte, BlockSize)
	for _, f := range []Family{OpenGauss, PostgreSQL} {
		r := PageRules{Family: f, Checksums: true}
		if got := CheckPage(zero, 3, r); got != (PageCheck{Status: PageZero}) {
			t.Errorf("%v: %+v", f, got)
		}
		for _, i := range []int{0, 7, 8, 9, 4096, 8191} {
			zero[i] = 1
			if got := CheckPage(zero, 3, r); got.Status != PageHeaderInvalid {
				t.Errorf("%v byte %d: %+v", f, i, got)
			}
			zero[i] = 0
		}
		for _, n := range []int{0, 23, 8191, 8193} {
			if got := CheckPage(make([]byte, n), 3, r); got.Status != PageHeaderInvalid {
				t.Errorf("%v length %d: %+v", f, n, got)
			}
		}
	}
}

func TestIsZero(t *testing.T) {
	for n := range 40 {
		b := make([]byte, n)
		if !IsZero(b) {
			t.Errorf("%d zeros", n)
		}
		for i := range b {
			b[i] = 0x80
			if IsZero(b) {
				t.Errorf("%d bytes, byte %d set", n, i)
			}
			b[i] = 0
		}
	}
}

// TestPageChecksumRandom holds the checksum against the plain algorithm on a
// copy of the page whose uncounted bits are cleared by hand.
func TestPageChecksumRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Family(rapid.IntRange(0, 1).Draw(t, "family"))
		blkno := rapid.Uint32().Draw(t, "block")
		page := newPage(f, blkno)
		copy(page, rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "head"))
		for range rapid.IntRange(0, 20).Draw(t, "bytes") {
			page[rapid.IntRange(0, BlockSize-1).Draw(t, "at")] = rapid.Byte().Draw(t, "value")
		}
		plain := append([]byte(nil), page...)
		plain[8], plain[9] = 0, 0
		if f == OpenGauss {
			plain[13] &= 0x7F
		}
		want := uint16((naiveSum(plain)^blkno)%65535) + 1
		if got := PageChecksum(page, blkno, f); got != want {
			t.Fatalf("%v: %d, want %d", f, got, want)
		}
	})
}

func FuzzCheckPage(f *testing.F) {
	f.Add(metaPage(f)[:32], uint32(0))
	f.Fuzz(func(t *testing.T, head []byte, blkno uint32) {
		page := make([]byte, BlockSize)
		copy(page, head)
		for _, fam := range []Family{OpenGauss, PostgreSQL} {
			c := CheckPage(page, blkno, PageRules{Family: fam, Checksums: true})
			if c.OK() != (c.Reason == "") {
				t.Fatalf("%+v", c)
			}
		}
	})
}
