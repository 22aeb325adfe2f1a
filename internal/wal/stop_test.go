package wal

import (
	"errors"
	"testing"
)

func TestClassifyStop(t *testing.T) {
	const seg = 16 << 20
	for _, c := range []struct {
		lsn  LSN
		want StopKind
	}{
		{0, StopInvalid},
		{0x5000000, StopAtSegmentStart},
		{0x5002000, StopAtPageStart},
		{0x5002018, StopAtRecord},
		{0x5002010, StopInvalid},
		{0x5000018, StopInvalid}, // inside the long header
		{0x5000028, StopAtRecord},
		{0x50001E8, StopAtRecord},
		{0x50001E9, StopInvalid},
	} {
		if got := ClassifyStop(c.lsn, seg); got != c.want {
			t.Errorf("%s: kind %d, want %d", c.lsn, got, c.want)
		}
	}
	if got := ClassifyStop(0x5100000, 1<<20); got != StopAtSegmentStart {
		t.Errorf("1 MiB segments: kind %d", got)
	}
}

// stopLog has records up to the end of segment 3, a segment 4 that starts
// with a record, and a page that starts with one.
func stopLog(t *testing.T) (*forge, Place, Place) {
	w := newForge(OpenGauss(), MinSegSize, 3)
	w.add(1, 10, 0, mainBody(make([]byte, 100)))
	fill := PageSize - uint32(w.at()%PageSize) - 32 - 5
	atPageEnd := w.add(1, 10, 0, mainBody(make([]byte, fill)))
	if atPageEnd.EndLSN%PageSize != 0 {
		t.Fatalf("record ends at %s", atPageEnd.EndLSN)
	}
	w.add(1, 10, 0, nil)
	sw := w.switchSegment()
	w.add(1, 10, 0, nil)
	w.add(1, 10, 0, nil)
	return w, atPageEnd, sw
}

func TestFindStop(t *testing.T) {
	w, atPageEnd, sw := stopLog(t)
	src, o := w.source()
	without4 := src.clone()
	delete(without4, SegmentName(1, 4, MinSegSize))
	end := w.recs[len(w.recs)-1]
	for _, c := range []struct {
		name  string
		src   Source
		lsn   LSN
		prior bool
		want  Place
		isOld bool
		fails bool
	}{
		{"exact", src, sw.LSN, false, sw, false, false},
		{"page start", src, atPageEnd.EndLSN, false, w.recs[2], false, false},
		{"page start, standby", src, atPageEnd.EndLSN, true, w.recs[2], false, false},
		{"segment start", src, sw.EndLSN, false, w.recs[4], false, false},
		{"segment start, nothing there", without4, sw.EndLSN, false, Place{}, false, true},
		{"segment start, nothing there, standby", without4, sw.EndLSN, true, sw, true, false},
		{"nothing written yet", src, end.EndLSN, false, Place{}, false, true},
		{"nothing written yet, standby", src, end.EndLSN, true, end, true, false},
		{"beyond everything, standby", src, end.EndLSN + 64, true, Place{}, false, true},
		{"not a position", src, sw.EndLSN + 24, true, Place{}, false, true},
		{"last page has no record", src, sw.EndLSN - PageSize, false, Place{}, false, true},
	} {
		got, err := FindStop(t.Context(), c.src, o, c.lsn, w.recs[0].LSN, c.prior)
		var stop *StopError
		if errors.As(err, &stop) != c.fails || (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Place != c.want || got.Prior != c.isOld {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestFindStopPassesRealErrors(t *testing.T) {
	w, _, sw := stopLog(t)
	src, o := w.source()
	_, err := FindStop(t.Context(), failingSource{src}, o, sw.LSN, w.recs[0].LSN, true)
	var stop *StopError
	if !errors.Is(err, errDisk) || errors.As(err, &stop) {
		t.Errorf("got %v, want the input error", err)
	}
}

func TestRecoveryTimeSearchesBackwards(t *testing.T) {
	for _, f := range []Format{OpenGauss(), mustPG(t, 17)} {
		w := newForge(f, MinSegSize, 3)
		w.add(5, 1, 0x00, mainBody(micros(1000)))
		abort := w.add(6, 1, 0x20, mainBody(micros(2000)))
		w.add(7, 1, 0x10, mainBody(micros(9000))) // prepare has no time of its own
		w.add(7, 10, 0x00, mainBody(make([]byte, 5<<19)))
		last := w.add(0, 0, 0x40, nil)
		src, o := w.source()
		at, found, err := RecoveryTime(t.Context(), src, o, w.recs[0].LSN, last.LSN)
		if err != nil || !found || ServerMicros(at) != 2000 {
			t.Errorf("%s: %v %v %v", f, at, found, err)
		}
		if at, found, err = RecoveryTime(t.Context(), src, o, w.recs[0].LSN, w.recs[0].LSN); err != nil || !found || ServerMicros(at) != 1000 {
			t.Errorf("%s, first record only: %v %v %v", f, at, found, err)
		}
		if _, found, err = RecoveryTime(t.Context(), src, o, w.recs[2].LSN, last.LSN); err != nil || found {
			t.Errorf("%s, behind %s: %v %v", f, abort.LSN, found, err)
		}
	}
}

func TestRestorePoint(t *testing.T) {
	w := newForge(OpenGauss(), MinSegSize, 3)
	w.add(0, 0, 0x70, mainBody(append(micros(77), "name\x00garbage"...)))
	src, o := w.source()
	var name string
	end, err := Scan(t.Context(), src, o, w.recs[0].LSN, func(r *Record) (bool, error) {
		at, kind, err := r.Time()
		if kind != RestorePointTime || ServerMicros(at) != 77 {
			t.Errorf("time %v, kind %d", at, kind)
		}
		if err == nil {
			name, err = r.RestorePointName()
		}
		return false, err
	})
	if err != nil || name != "name" || end != w.recs[0].EndLSN {
		t.Errorf("name %q, end %s, %v", name, end, err)
	}
}
