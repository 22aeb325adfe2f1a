package wal

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// lineage 1 -> 2 in the middle of segment 3, 2 -> 3 at the start of segment 5.
func threeTimelines() Lineage {
	return Lineage{TLI: 3, Ancestors: []HistoryEntry{
		{Timeline: 1, Switch: 0x300000 + 0x1000}, {Timeline: 2, Switch: 0x500000},
	}}
}

func TestLineageHas(t *testing.T) {
	l := threeTimelines()
	for _, tt := range []struct {
		tli  Timeline
		lsn  LSN
		want bool
	}{
		{1, 0x100028, true}, {1, 0x300ff8, true}, {1, 0x301000, false}, {1, 0x400000, false},
		{2, 0x300028, false}, {2, 0x301000, true}, {2, 0x4fffff, true}, {2, 0x500000, false},
		{3, 0x4fffff, false}, {3, 0x500028, true}, {3, 0x90000000, true}, {4, 0x500028, false},
	} {
		if got := l.Has(tt.tli, tt.lsn); got != tt.want {
			t.Errorf("timeline %d at %s: %v", tt.tli, tt.lsn, got)
		}
	}
	if !(Lineage{TLI: 7}).Has(7, 1) {
		t.Error("a lone timeline has all of itself")
	}
}

func TestLineageSegments(t *testing.T) {
	l := threeTimelines()
	for segno, want := range map[uint64]string{1: "[1]", 2: "[1]", 3: "[2 1]", 4: "[2]", 5: "[3]", 6: "[3]"} {
		if got := fmt.Sprint(l.candidates(segno, MinSegSize)); got != want {
			t.Errorf("segment %d: %s, want %s", segno, got, want)
		}
	}
}

// A log that was forked: both branches go on in the segment of the switch.
func forked(t *testing.T) (memSource, Lineage, []Place, []Place) {
	t.Helper()
	old := newForge(mustPG(t, 15), MinSegSize, 3)
	for range 40 {
		old.add(700, rmgrXact, 0, mainBody(micros(1)))
	}
	at := old.at()
	common := len(old.recs)
	young := *old
	young.data, young.recs = append([]byte{}, old.data...), append([]Place{}, old.recs...)
	young.tli = 2
	for range 600 {
		old.add(701, rmgrXact, 0, mainBody(micros(2)))
		young.add(702, rmgrXact, 0x20, mainBody(micros(3)))
	}
	src, _ := old.source()
	other, _ := young.source()
	for name, data := range other {
		src[name] = data
	}
	return src, Lineage{TLI: 2, Ancestors: []HistoryEntry{{Timeline: 1, Switch: at}}}, old.recs[:common], young.recs
}

func readLineage(t *testing.T, src Source, l Lineage, start LSN) (lsns []LSN, err error) {
	t.Helper()
	o := ReaderOptions{Format: mustPG(t, 15), Timeline: l.TLI, SegSize: MinSegSize}
	_, err = Scan(context.Background(), LineageSource{Source: src, Lineage: l, SegSize: MinSegSize}, o, start, func(r *Record) (bool, error) {
		lsns = append(lsns, r.LSN)
		return true, nil
	})
	return lsns, err
}

func TestReadOverTimelineSwitch(t *testing.T) {
	src, l, common, young := forked(t)
	got, err := readLineage(t, src, l, common[0].LSN)
	if !errors.Is(err, ErrEndOfWAL) {
		t.Errorf("ended with %v", err)
	}
	if len(got) != len(young) || got[len(got)-1] != young[len(young)-1].LSN {
		t.Errorf("%d records, want the new timeline's %d", len(got), len(young))
	}
}

// Without the new timeline's first segment the old one's serves, but nothing
// behind the switch.
func TestReadOldTimelineUpToSwitch(t *testing.T) {
	src, l, common, _ := forked(t)
	delete(src, SegmentName(2, 3, MinSegSize))
	got, err := readLineage(t, src, l, common[0].LSN)
	if !errors.Is(err, ErrEndOfWAL) {
		t.Errorf("ended with %v", err)
	}
	if len(got) != len(common) {
		t.Errorf("%d records, want the %d before the switch", len(got), len(common))
	}
	delete(src, SegmentName(1, 3, MinSegSize))
	var absent *SegmentAbsentError
	if _, err := readLineage(t, src, l, common[0].LSN); !errors.As(err, &absent) || absent.Name != "000000020000000000000003" {
		t.Errorf("ended with %v, want the new timeline's segment absent", err)
	}
}
