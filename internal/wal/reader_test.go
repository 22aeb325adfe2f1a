package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// TestForgedLog writes random logs and reads them back by every way there is.
func TestForgedLog(t *testing.T) {
	formats := []Format{OpenGauss(), mustPG(t, 12), mustPG(t, 15), mustPG(t, 18)}
	rapid.Check(t, func(t *rapid.T) {
		w := newForge(rapid.SampledFrom(formats).Draw(t, "format"), MinSegSize, rapid.Uint64Range(1, 1<<20).Draw(t, "segno"))
		n := rapid.IntRange(1, 12).Draw(t, "records")
		var bodies [][]byte
		for range n {
			if rapid.IntRange(0, 9).Draw(t, "switch") == 0 {
				w.switchSegment()
				bodies = append(bodies, nil)
				continue
			}
			size := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(7000, 40000), rapid.IntRange(0, 3<<19)).Draw(t, "size")
			data := bytes.Repeat([]byte{byte(size)}, size)
			for i := range min(size, 4096) {
				data[i] = byte(i * size)
			}
			w.add(uint64(size), 10, 0x20, mainBody(data))
			bodies = append(bodies, data)
		}
		src, o := w.source()
		o.KeepMain = rapid.IntRange(1, 500).Draw(t, "keep")
		recs, err := readAll(t2(t), src, o, w.recs[0].LSN)
		if !Incomplete(err) {
			t.Fatalf("reading ended with %v", err)
		}
		if len(recs) != n {
			t.Fatalf("%d records of %d: %v", len(recs), n, err)
		}
		for i := range recs {
			if placeOf(&recs[i]) != w.recs[i] {
				t.Fatalf("record %d at %+v, want %+v", i, placeOf(&recs[i]), w.recs[i])
			}
			want := bodies[i]
			if recs[i].large {
				want = want[:min(len(want), o.KeepMain)]
			}
			got, err := recs[i].MainData()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("record %d: main data %d bytes, want %d, %v", i, len(got), len(want), err)
			}
		}
		checkWays(t, w, src, o)
	})
}

func t2(t *rapid.T) testing.TB { return rapidTB{t: t} }

// rapidTB lends helpers the few methods of testing.TB they use.
type rapidTB struct {
	testing.TB
	t *rapid.T
}

func (r rapidTB) Helper()                   {}
func (r rapidTB) Fatal(a ...any)            { r.t.Fatal(a...) }
func (r rapidTB) Fatalf(f string, a ...any) { r.t.Fatalf(f, a...) }

func checkWays(t *rapid.T, w *forge, src Source, o ReaderOptions) {
	ctx := context.Background()
	i := rapid.IntRange(0, len(w.recs)-1).Draw(t, "from")
	j := rapid.IntRange(i, len(w.recs)-1).Draw(t, "to")
	for _, parallel := range []int{1, 3} {
		st, err := CheckRange(ctx, src, w.recs[i].LSN, w.recs[j].LSN, CheckOptions{ReaderOptions: o, Parallel: parallel})
		if err != nil || st.Records != int64(j-i+1) || st.End != w.recs[j].EndLSN {
			t.Fatalf("check of records %d..%d by %d: %+v, %v", i, j, parallel, st, err)
		}
	}
	if p, err := FindRecord(ctx, src, o, w.recs[j].LSN); err != nil || p != w.recs[j] {
		t.Fatalf("find record %d: %+v, %v", j, p, err)
	}
	if _, err := FindRecord(ctx, src, o, w.recs[j].LSN+8); !Incomplete(err) {
		t.Fatalf("find a record beside record %d: %v", j, err)
	}
	page := w.recs[i].LSN - w.recs[i].LSN%PageSize
	want := i
	for want > 0 && w.recs[want-1].LSN >= page {
		want--
	}
	if p, err := NextRecord(ctx, src, o, page); err != nil || p != w.recs[want] {
		t.Fatalf("next record after page %s: %+v, %v, want %+v", page, p, err, w.recs[want])
	}
	if j > 0 {
		p, err := LastRecordBefore(ctx, src, o, w.recs[j].LSN, w.recs[0].LSN)
		if err != nil || p != w.recs[j-1] {
			t.Fatalf("last record before %s: %+v, %v, want %+v", w.recs[j].LSN, p, err, w.recs[j-1])
		}
	}
}

// TestEveryFlippedBitIsFound damages a range with parts of several records,
// a page border and a segment border.
func TestEveryFlippedBitIsFound(t *testing.T) {
	for _, f := range []Format{OpenGauss(), mustPG(t, 15)} {
		w := newForge(f, MinSegSize, 5)
		for w.at() < w.start+MinSegSize-6000 {
			w.add(1, 10, 0, mainBody(make([]byte, 3000)))
		}
		for w.at() < w.start+MinSegSize+3*PageSize {
			w.add(7, 10, 0, mainBody(make([]byte, 2500)))
		}
		src, o := w.source()
		last := w.recs[len(w.recs)-1]
		first := w.recs[len(w.recs)-15] // in segment 5
		if SegmentNumber(first.LSN, MinSegSize) != 5 {
			t.Fatalf("range starts at %s", first.LSN)
		}
		co := CheckOptions{ReaderOptions: o, Parallel: 1}
		if _, err := CheckRange(t.Context(), src, first.LSN, last.LSN, co); err != nil {
			t.Fatal(err)
		}
		name := SegmentName(1, 6, MinSegSize)
		seg := src[name]
		covered := covering(w)
		for off := 0; off < int(last.EndLSN-SegmentStart(6, MinSegSize)); off += 11 {
			seg[off] ^= 1 << (off % 8)
			_, err := CheckRange(t.Context(), src, first.LSN, last.LSN, co)
			var damage *CorruptionError
			if covered[SegmentStart(6, MinSegSize)+LSN(off)] != errors.As(err, &damage) {
				t.Fatalf("%s: bit flipped at offset %d: %v", f, off, err)
			}
			seg[off] ^= 1 << (off % 8)
		}
	}
}

// covering marks the bytes that mean something: page headers (without the
// padding at 20) and records, without the alignment behind them.
func covering(w *forge) map[LSN]bool {
	m := map[LSN]bool{}
	for _, r := range w.recs {
		left := binary.LittleEndian.Uint32(w.data[r.LSN-w.start:])
		for at := r.LSN; at < r.EndLSN; at++ {
			if in := at % PageSize; in < LSN(headerSizeAt(at, w.segSize)) {
				m[at] = in < 20 || in >= 24
			} else if left > 0 {
				m[at] = true
				left--
			}
		}
		if p := r.LSN % PageSize; p == LSN(headerSizeAt(r.LSN, w.segSize)) {
			for at := r.LSN - p; at < r.LSN; at++ {
				// What is left of the record before does not matter to a page
				// that starts with a record.
				m[at] = at%PageSize < 16 || at%PageSize >= 24
			}
		}
	}
	return m
}

// TestSegmentBorderLinks replaces one segment by one of another history that
// is sound in itself.
func TestSegmentBorderLinks(t *testing.T) {
	build := func(pad int) *forge {
		w := newForge(OpenGauss(), MinSegSize, 9)
		w.add(1, 10, 0, mainBody(make([]byte, pad)))
		w.add(1, 10, 0, nil)
		w.switchSegment()
		for range 5 {
			w.add(1, 10, 0, mainBody([]byte("x")))
		}
		return w
	}
	a, b := build(10), build(100)
	srcA, o := a.source()
	srcB, _ := b.source()
	second := SegmentName(1, 10, MinSegSize)
	srcA[second] = srcB[second]
	for _, parallel := range []int{1, 2} {
		_, err := CheckRange(t.Context(), srcA, a.recs[0].LSN, a.recs[7].LSN, CheckOptions{ReaderOptions: o, Parallel: parallel})
		var damage *CorruptionError
		if !errors.As(err, &damage) || damage.Segment != second || damage.LSN != a.recs[3].LSN {
			t.Errorf("parallel %d: %v, want damage of segment %s", parallel, err, second)
		}
	}
}

func TestAbandonedRecord(t *testing.T) {
	w := newForge(mustPG(t, 14), MinSegSize, 3)
	w.add(1, 10, 0, mainBody(make([]byte, 100)))
	for w.at()%PageSize < PageSize-200 {
		w.add(1, 10, 0, nil)
	}
	before := w.prev
	cut := w.at()
	whole := w.raw(1, 10, 0, mainBody(make([]byte, 1000)))
	w.data = append(w.data, whole[:PageSize-len(w.data)%PageSize]...)
	w.page(8, 0)
	good := w.add(0, 0, 0xD0, mainBody(append(micros(int64(cut)), micros(0)...)))
	w.add(1, 10, 0, nil)
	src, o := w.source()
	recs, err := readAll(t, src, o, w.recs[0].LSN)
	if !errors.Is(err, ErrEndOfWAL) || len(recs) != len(w.recs) {
		t.Fatalf("%d records of %d, %v", len(recs), len(w.recs), err)
	}
	if good.Prev != before {
		t.Fatal("forge linked wrongly")
	}
	if _, err := FindRecord(t.Context(), src, o, cut); !Incomplete(err) {
		t.Errorf("abandoned record was found: %v", err)
	}
	if p, err := NextRecord(t.Context(), src, o, good.LSN-good.LSN%PageSize); err != nil || p != good {
		t.Errorf("next record is %+v, %v", p, err)
	}
	// A replacement that names another record must not pass.
	seg := src[SegmentName(1, 3, MinSegSize)]
	binary.LittleEndian.PutUint32(seg[cut-w.start:], 2000)
	w2 := *w
	w2.data = seg
	if _, err := readAll(t, src, o, w.recs[0].LSN); !errors.Is(err, ErrEndOfWAL) {
		t.Errorf("length of an abandoned record matters: %v", err)
	}
}

func TestTimelineOrder(t *testing.T) {
	w := newForge(mustPG(t, 15), MinSegSize, 3)
	w.tli = 1
	w.add(1, 10, 0, mainBody(make([]byte, 9000)))
	w.tli = 2
	w.add(1, 10, 0, mainBody(make([]byte, 9000)))
	src, o := w.source() // files are named for timeline 2
	if recs, err := readAll(t, src, o, w.recs[0].LSN); len(recs) != 2 || !errors.Is(err, ErrEndOfWAL) {
		t.Errorf("growing timeline: %d records, %v", len(recs), err)
	}
	w.tli = 1
	w.add(1, 10, 0, mainBody(make([]byte, 9000)))
	w.tli = 2
	src, o = w.source()
	var damage *CorruptionError
	if recs, err := readAll(t, src, o, w.recs[0].LSN); len(recs) != 2 || !errors.As(err, &damage) {
		t.Errorf("timeline going back: %d records, %v", len(recs), err)
	}
	o.Timeline = 1
	src1 := memSource{SegmentName(1, 3, MinSegSize): src[SegmentName(2, 3, MinSegSize)]}
	if recs, err := readAll(t, src1, o, w.recs[0].LSN); len(recs) != 1 || !errors.As(err, &damage) {
		t.Errorf("timeline above the file's: %d records, %v", len(recs), err)
	}
}

func TestMagic(t *testing.T) {
	w := newForge(mustPG(t, 15), MinSegSize, 3)
	w.add(1, 10, 0, nil)
	src, o := w.source()
	for _, c := range []struct {
		name string
		f    Format
		ok   bool
	}{
		{"own", mustPG(t, 15), true},
		{"other major", mustPG(t, 16), false},
		{"other major, told so", mustPG(t, 16).WithAnyMagic(), true},
		{"other family", OpenGauss().WithAnyMagic(), false},
	} {
		o.Format = c.f
		if _, err := FindRecord(t.Context(), src, o, w.recs[0].LSN); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := PostgreSQL(11); err == nil {
		t.Error("PostgreSQL 11 is accepted")
	}
}

// TestShortAndForeignSegments: a file that ends early, one of another system,
// and an input error, which is not corruption.
func TestShortAndForeignSegments(t *testing.T) {
	src, o := goldenPG(t)
	start, stop := LSN(0x900028), LSN(0xBF9DB0)
	check := func(s Source, o ReaderOptions) error {
		_, err := CheckRange(t.Context(), s, start, stop, CheckOptions{ReaderOptions: o})
		return err
	}
	var damage *CorruptionError
	short := src.clone()
	short["00000001000000000000000A"] = short["00000001000000000000000A"][:100000]
	if err := check(short, o); !errors.As(err, &damage) || damage.LSN != 0xA18000 {
		t.Errorf("short segment: %v", err)
	}
	o.SystemID = 42
	if err := check(src, o); !errors.As(err, &damage) || damage.LSN != 0x900000 {
		t.Errorf("foreign system: %v", err)
	}
	o.SystemID = 0
	if err := check(failingSource{src}, o); err == nil || Incomplete(err) || !errors.Is(err, errDisk) {
		t.Errorf("input error: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CheckRange(ctx, src, start, stop, CheckOptions{ReaderOptions: o}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRangeBeyondAllWAL: a damaged control file names a range of 2^40 segments.
func TestRangeBeyondAllWAL(t *testing.T) {
	src, o := goldenPG(t)
	for _, parallel := range []int{0, 3} {
		_, err := CheckRange(t.Context(), src, 0x900028, 0xFFFFFFF001000138, CheckOptions{ReaderOptions: o, Parallel: parallel})
		var damage *CorruptionError
		if !Incomplete(err) && !errors.As(err, &damage) {
			t.Errorf("%d workers: %v", parallel, err)
		}
	}
}

var errDisk = errors.New("disk on fire")

type failingSource struct{ Source }

func (s failingSource) Open(name string) (io.ReadCloser, error) {
	f, err := s.Source.Open(name)
	return failingSegment{f}, err
}

type failingSegment struct{ io.ReadCloser }

func (failingSegment) Read([]byte) (int, error) { return 0, errDisk }

func BenchmarkCheckRange(b *testing.B) {
	w := newForge(OpenGauss(), DefaultSegSize, 3)
	for i := 0; w.at() < w.start+32<<20; i++ {
		n := 40 + i%100
		if i%10 == 0 {
			n = 8000 // a full page image now and then
		}
		w.add(1, 10, 0, mainBody(make([]byte, n)))
	}
	src, o := w.source()
	b.SetBytes(int64(len(w.data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CheckRange(b.Context(), src, w.recs[0].LSN, w.prev, CheckOptions{ReaderOptions: o}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckRangeGolden(b *testing.B) {
	src, o := goldenOG(b)
	b.SetBytes(0x110418 + 0x3D768)
	for b.Loop() {
		if _, err := CheckRange(b.Context(), src, 0x5A000028, 0x5B03D768, CheckOptions{ReaderOptions: o}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLinksInSequence: a record with a good CRC that does not follow the one
// before it, as in a recycled segment, is not accepted.
func TestLinksInSequence(t *testing.T) {
	for name, spoil := range map[string]func(w *forge){
		"skips one":      func(w *forge) { w.prev = w.recs[0].LSN },
		"points to next": func(w *forge) { w.prev = w.at() + 8 },
	} {
		w := newForge(OpenGauss(), MinSegSize, 3)
		w.add(1, 10, 0, nil)
		w.add(1, 10, 0, nil)
		spoil(w)
		bad := w.add(1, 10, 0, mainBody(make([]byte, 20000)))
		src, o := w.source()
		recs, err := readAll(t, src, o, w.recs[0].LSN)
		var damage *CorruptionError
		if len(recs) != 2 || !errors.As(err, &damage) || damage.LSN != bad.LSN {
			t.Errorf("%s: %d records, %v", name, len(recs), err)
		}
	}
}
