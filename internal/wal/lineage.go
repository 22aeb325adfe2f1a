package wal

import (
	"errors"
	"fmt"
	"io"
)

// Lineage is the way a log took to a timeline: the timelines it came from and
// where it left each. Without ancestors it is one timeline from the beginning.
//
//	timeline 1 ────────────────┐ 0/5000A0
//	timeline 2                 └──────────┐ 0/9000000
//	timeline 3                            └────────────
//
// The segment in which a timeline begins exists in its own name, with the old
// timeline's pages up to the switch.
type Lineage struct {
	TLI       Timeline
	Ancestors []HistoryEntry // oldest first
}

// Has tells whether the log of timeline tli up to and including the record at
// lsn is part of the lineage.
func (l Lineage) Has(tli Timeline, lsn LSN) bool {
	if tli == l.TLI {
		return lsn >= l.begin(len(l.Ancestors))
	}
	for i, a := range l.Ancestors {
		if a.Timeline == tli {
			return lsn >= l.begin(i) && lsn < a.Switch
		}
	}
	return false
}

// begin is where the i-th timeline starts; that after the last ancestor is TLI.
func (l Lineage) begin(i int) LSN {
	if i == 0 {
		return 0
	}
	return l.Ancestors[i-1].Switch
}

// candidates are the timelines a segment may carry in its name, the one the
// server asks for first coming first: the newest that begins in or before it.
func (l Lineage) candidates(segno uint64, segSize uint32) (list []Timeline) {
	tlis := append([]HistoryEntry{}, l.Ancestors...)
	tlis = append(tlis, HistoryEntry{Timeline: l.TLI})
	for i := len(tlis) - 1; i >= 0; i-- {
		if SegmentNumber(l.begin(i), segSize) > segno {
			continue
		}
		list = append(list, tlis[i].Timeline)
		if l.begin(i) <= SegmentStart(segno, segSize) {
			break // older ones ended before this segment
		}
	}
	return list
}

// SegmentTimeline is the timeline in the name of a segment of the lineage.
func (l Lineage) SegmentTimeline(segno uint64, segSize uint32) Timeline {
	return l.candidates(segno, segSize)[0]
}

// switchOf is where timeline tli was left; 0 for the last one.
func (l Lineage) switchOf(tli Timeline) LSN {
	for _, a := range l.Ancestors {
		if a.Timeline == tli {
			return a.Switch
		}
	}
	return 0
}

// LineageSource lets a Reader of timeline Lineage.TLI read the segments of all
// its ancestors, as the server does when it recovers to that timeline. Where a
// timeline's first segment is missing the one it branched off from serves, up
// to the switch.
type LineageSource struct {
	Source
	Lineage Lineage
	SegSize uint32 // bytes
	// Opened, if set, hears the name of each segment that was opened.
	Opened func(name string)
}

// Open takes a segment name of timeline Lineage.TLI.
func (s LineageSource) Open(name string) (io.ReadCloser, error) {
	_, segno, err := ParseSegmentName(name, s.SegSize)
	if err != nil {
		return nil, err
	}
	var first error
	for i, tli := range s.Lineage.candidates(segno, s.SegSize) {
		real := SegmentName(tli, segno, s.SegSize)
		f, err := s.Source.Open(real)
		if err != nil {
			if first == nil {
				first = err
			}
			var absent *SegmentAbsentError
			if errors.As(err, &absent) {
				continue
			}
			return nil, err
		}
		if s.Opened != nil {
			s.Opened(real)
		}
		if i == 0 {
			return f, nil
		}
		left := int64(s.Lineage.switchOf(tli) - SegmentStart(segno, s.SegSize))
		return &upToSwitch{ReadCloser: f, left: left, total: int64(s.SegSize)}, nil
	}
	return nil, first
}

// upToSwitch reads zeros behind the place where another timeline goes on.
type upToSwitch struct {
	io.ReadCloser
	left  int64 // bytes before the switch
	pos   int64
	total int64
}

func (u *upToSwitch) Read(p []byte) (int, error) {
	if u.pos >= u.total {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), u.total-u.pos)]
	if u.pos >= u.left {
		clear(p)
		u.pos += int64(len(p))
		return len(p), nil
	}
	n, err := u.ReadCloser.Read(p[:min(int64(len(p)), u.left-u.pos)])
	u.pos += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("read WAL before a timeline switch: %w", err)
	}
	return n, err
}
