package crc32c

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestKnownValues(t *testing.T) {
	if got := Sum([]byte("123456789")); got != 0xE3069283 {
		t.Errorf("Sum = %08X, want E3069283", got)
	}
	if got := Sum(nil); got != 0 {
		t.Errorf("Sum(nil) = %08X, want 0", got)
	}
	// 32 zero bytes: RFC 3720, appendix B.4.
	if got := Zeros(0, 32); got != 0x8A9136AA {
		t.Errorf("Zeros(0, 32) = %08X, want 8A9136AA", got)
	}
}

func TestZeros(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 2, 7, 8, 4095, 4096, 1 << 20, 16<<20 + 3} {
		start := Sum([]byte("before"))
		want := Update(start, make([]byte, max(n, 0)))
		if got := Zeros(start, int64(n)); got != want {
			t.Errorf("Zeros(_, %d) = %08X, want %08X", n, got, want)
		}
	}
}

func TestZerosProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		n := rapid.IntRange(0, 70000).Draw(t, "n")
		want := Update(Sum(data), make([]byte, n))
		if got := Zeros(Sum(data), int64(n)); got != want {
			t.Fatalf("Zeros = %08X, want %08X", got, want)
		}
	})
}

// Runs too long to sum plainly must still add up.
func TestZerosLongRunsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(0, 1<<60).Draw(t, "a")
		b := rapid.Int64Range(0, 1<<60).Draw(t, "b")
		crc := rapid.Uint32().Draw(t, "crc")
		if got, want := Zeros(Zeros(crc, a), b), Zeros(crc, a+b); got != want {
			t.Fatalf("two runs %08X, one run %08X", got, want)
		}
	})
}

func TestCombineProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOf(rapid.Byte()).Draw(t, "a")
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		want := Update(Sum(a), b)
		if got := Combine(Sum(a), Sum(b), int64(len(b))); got != want {
			t.Fatalf("Combine = %08X, want %08X", got, want)
		}
	})
}

func TestReplaceProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.SliceOf(rapid.Byte()).Draw(t, "before")
		was := rapid.SliceOf(rapid.Byte()).Draw(t, "was")
		is := rapid.SliceOfN(rapid.Byte(), len(was), len(was)).Draw(t, "is")
		after := rapid.SliceOf(rapid.Byte()).Draw(t, "after")
		sum := func(part []byte) uint32 { return Update(Update(Sum(before), part), after) }
		if got := Replace(sum(was), Sum(was), Sum(is), int64(len(after))); got != sum(is) {
			t.Fatalf("Replace = %08X, want %08X", got, sum(is))
		}
	})
}

func BenchmarkZeros16MiB(b *testing.B) {
	for b.Loop() {
		Zeros(1, 16<<20)
	}
}

func TestSelfSummed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		if got := Sum(binary.LittleEndian.AppendUint32(p, Sum(p))); got != SelfSummed {
			t.Fatalf("%X", got)
		}
	})
}

func TestOneByteApart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, 1500)
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	sum, size := Sum(p), int64(len(p))
	if OneByteApart(sum, sum, size) {
		t.Error("nothing is changed")
	}
	for _, at := range []int{0, 1, 700, len(p) - 1} {
		for mask := 1; mask < 256; mask++ {
			p[at] ^= byte(mask)
			if !OneByteApart(sum, Sum(p), size) {
				t.Errorf("byte %d, mask %#x", at, mask)
			}
			p[at] ^= byte(mask)
		}
	}
	p[10]++
	p[20]++
	if OneByteApart(sum, Sum(p), size) {
		t.Error("two bytes are changed")
	}
	if OneByteApart(sum, Sum(p[:1400]), 1400) {
		t.Error("it is shorter")
	}
}
