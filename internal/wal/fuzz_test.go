package wal

import (
	"testing"
)

// FuzzReader reads arbitrary pages as WAL of both families; the bytes start
// behind a good page header half of the time. Whatever comes, there must be
// an error in the end, and what is kept of a record stays small.
func FuzzReader(f *testing.F) {
	og, _ := goldenOG(f)
	pg, _ := goldenPG(f)
	f.Add(og["00000001000000000000005A"][:3*PageSize], false, uint32(0x28))
	f.Add(og["00000001000000000000005B"][0x3c000:0x3e000], false, uint32(0x18))
	f.Add(pg["000000010000000000000009"][:4*PageSize], true, uint32(0x28))
	f.Add(pg["00000001000000000000000B"][0xE0000:0xE6000], true, uint32(0))
	pg15 := mustPG(f, 15)
	f.Fuzz(func(t *testing.T, data []byte, postgres bool, at uint32) {
		format := OpenGauss()
		if postgres {
			format = pg15
		}
		w := newForge(format, MinSegSize, 3)
		for len(data) > 0 && len(w.data) < 32*PageSize {
			w.page(0, 0)
			n := min(len(data), PageSize-len(w.data)%PageSize)
			w.data = append(w.data, data[:n]...)
			data = data[n:]
		}
		src, o := w.source()
		r := NewReader(src, o)
		defer r.Close()
		if _, err := r.SeekNext(t.Context(), w.start+LSN(at%MinSegSize)); err != nil {
			r.Seek(w.start + LSN(at%MinSegSize))
		}
		for n := 0; ; n++ {
			rec, err := r.Next(t.Context())
			if err != nil {
				break
			}
			if n > MinSegSize/24 {
				t.Fatal("reader does not come to an end")
			}
			if len(rec.body) > maxItemBytes || len(rec.mainHead) > 64 {
				t.Fatalf("kept %d and %d bytes of a record", len(rec.body), len(rec.mainHead))
			}
			_, _ = rec.MainData()
			_, _, _ = rec.Time()
			_, _ = rec.RestorePointName()
		}
	})
}

// FuzzMainData feeds the header item parsers, which real WAL reaches only
// with a good CRC.
func FuzzMainData(f *testing.F) {
	for _, golden := range []func(testing.TB) (memSource, ReaderOptions){goldenOG, goldenPG} {
		src, o := golden(f)
		start := LSN(0x5A000028)
		if o.SegSize == MinSegSize {
			start = 0x900028
		}
		seen := map[[2]byte]bool{}
		recs, _ := readAll(f, src, o, start)
		for i := range recs {
			if k := [2]byte{recs[i].Rmid, recs[i].Info}; !seen[k] && len(recs[i].body) < 1000 {
				seen[k] = true
				f.Add(recs[i].body)
			}
		}
	}
	formats := []Format{OpenGauss(), mustPG(f, 12), mustPG(f, 18)}
	f.Fuzz(func(t *testing.T, body []byte) {
		for i := range formats {
			r := Record{format: &formats[i], body: body, bodyLen: uint32(len(body))}
			data, err := r.MainData()
			if err == nil && len(data) > len(body) {
				t.Fatal("main data is longer than its record")
			}
			pos, err := formats[i].mainData(body, 1<<30)
			if err == nil && pos.off+pos.len != 1<<30 {
				t.Fatalf("main data at %d+%d does not end the record", pos.off, pos.len)
			}
		}
	})
}

func FuzzPageHeader(f *testing.F) {
	og, _ := goldenOG(f)
	f.Add(og["00000001000000000000005A"][:40])
	f.Add(og["00000001000000000000005A"][8192:8216])
	format := OpenGauss()
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParsePageHeader(b)
		if err != nil {
			return
		}
		e := pageExpectation{format: &format, addr: 0x5A000000, segSize: 16 << 20, fileTLI: 1}
		if e.check(&h) == "" && (h.Addr != e.addr || h.SegSize != e.segSize || h.Timeline != 1) {
			t.Fatalf("accepted %+v", h)
		}
	})
}

func FuzzParseHistory(f *testing.F) {
	f.Add([]byte("1\t0/3000000\treason\n\n2\t0/5000158\t\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := ParseHistory(b, 1<<31)
		if err != nil {
			return
		}
		again, err := ParseHistory(FormatHistory(entries), 1<<31)
		if err != nil || len(again) != len(entries) {
			t.Fatalf("%v does not survive a round trip: %v, %v", entries, again, err)
		}
	})
}

// FuzzParseLSN: what is accepted prints as something that means the same.
func FuzzParseLSN(f *testing.F) {
	for _, s := range []string{"0/1", "2/FF002000", "FFFFFFFF/ffffffff", "123456789/0", " 0/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lsn, err := ParseLSN(s)
		if err != nil {
			return
		}
		if back, err := ParseLSN(lsn.String()); err != nil || back != lsn {
			t.Fatalf("%q is %s, which is %s, %v", s, lsn, back, err)
		}
	})
}
