package pgdata

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
)

// naiveSum is §7.3 word for word, slow and obvious.
func naiveSum(b []byte) uint32 {
	h := laneStart()
	round := func(h, v uint32) uint32 { t := h ^ v; return (t * 16777619) ^ (t >> 17) }
	for off := 0; off < len(b); off += 4 {
		lane := off / 4 % 32
		h[lane] = round(h[lane], binary.LittleEndian.Uint32(b[off:]))
	}
	var sum uint32
	for _, x := range h {
		sum ^= round(round(x, 0), 0)
	}
	return sum
}

// metaPage is the index meta page of spec/formats.md §13.1 (a).
func metaPage(t testing.TB) []byte {
	t.Helper()
	page := make([]byte, BlockSize)
	head, err := hex.DecodeString("e95140003400e81fe81f0520")
	if err != nil {
		t.Fatal(err)
	}
	copy(page[8:], head)
	copy(page[24:], []byte{0x62, 0x31, 0x05, 0x00, 0x02})
	page[8180] = 8
	return page
}

func TestPageChecksumVector(t *testing.T) {
	page := metaPage(t)
	for _, f := range []Family{OpenGauss, PostgreSQL} {
		if got := PageChecksum(page, 0, f); got != 0x51E9 {
			t.Errorf("%v: checksum %#x, want 0x51e9", f, got)
		}
	}
	page[13] |= 0x80
	if got := PageChecksum(page, 0, OpenGauss); got != 0x51E9 {
		t.Errorf("bit 15 of pd_lower counts: %#x", got)
	}
	if got := PageChecksum(page, 0, PostgreSQL); got == 0x51E9 {
		t.Error("PostgreSQL must not mask pd_lower")
	}
}

func TestSumRowsAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 3*BlockSize+1)
	for i := range buf {
		buf[i] = byte(r.Uint32())
	}
	mask := plainMask()
	for _, rows := range []int{1, 2, 3, 63, 64, 65, 128} {
		b := buf[1 : 1+rows*sumRow] // unaligned on purpose
		want := naiveSum(b)
		if got := sumRowsGo(b, &mask); got != want {
			t.Errorf("%d rows: Go %#x, want %#x", rows, got, want)
		}
		if got := sumRows(b, &mask); got != want {
			t.Errorf("%d rows: chosen %#x, want %#x", rows, got, want)
		}
	}
}

func FuzzSumRows(f *testing.F) {
	f.Add(make([]byte, 128), uint32(0), uint32(0xFFFF7FFF))
	f.Add([]byte("short"), uint32(1), uint32(2))
	f.Fuzz(func(t *testing.T, data []byte, m2, m3 uint32) {
		mask := plainMask()
		mask[2], mask[3] = m2, m3
		b := make([]byte, (len(data)+sumRow-1)/sumRow*sumRow)
		copy(b, data)
		want := sumRowsGo(b, &mask)
		if got := sumRows(b, &mask); got != want {
			t.Fatalf("chosen %#x, Go %#x", got, want)
		}
		plain := plainMask()
		if got := sumRowsGo(b, &plain); got != naiveSum(b) || got != dataChecksum(data) {
			t.Fatalf("Go %#x, naive %#x, data %#x", got, naiveSum(b), dataChecksum(data))
		}
	})
}

func BenchmarkSumRows(b *testing.B) {
	page := make([]byte, BlockSize)
	for i := range page {
		page[i] = byte(i * 7)
	}
	mask := pageMask(OpenGauss)
	for _, v := range []struct {
		name string
		fn   func([]byte, *rowMask) uint32
	}{{"go", sumRowsGo}, {"chosen", sumRows}} {
		b.Run(v.name, func(b *testing.B) {
			b.SetBytes(BlockSize)
			var x uint32
			for range b.N {
				x ^= v.fn(page, &mask)
			}
			_ = fmt.Sprint(x)
		})
	}
}

func BenchmarkCheckPage(b *testing.B) {
	page := metaPage(b)
	b.SetBytes(BlockSize)
	for range b.N {
		if !CheckPage(page, 0, PageRules{Family: OpenGauss, Checksums: true}).OK() {
			b.Fatal("bad page")
		}
	}
}

func BenchmarkIsZero(b *testing.B) {
	page := make([]byte, BlockSize)
	b.SetBytes(BlockSize)
	for range b.N {
		if !IsZero(page) {
			b.Fatal("not zero")
		}
	}
}
