package wal

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
)

// CheckOptions tell how CheckRange works.
type CheckOptions struct {
	ReaderOptions
	Parallel int // segments read at the same time; below 2: one

	// SegmentOpened, if set, hears which worker (0..Parallel-1) opened which
	// segment. It is called from the workers.
	SegmentOpened func(worker int, name string)
}

// RangeStats sum up a checked range.
type RangeStats struct {
	Records  int64
	Segments int
	End      LSN // position after the last record
}

// CheckRange reads every record from the one starting at start through the
// one starting at stop and proves the range complete: page headers, links,
// lengths and CRCs, across segment borders too. A record must start exactly
// at start and at stop. Of several faults the first in log order is reported.
// Each segment is read by one worker, from its first record (formats.md §10.4).
func CheckRange(ctx context.Context, src Source, start, stop LSN, o CheckOptions) (RangeStats, error) {
	if o.SegSize == 0 {
		o.SegSize = DefaultSegSize
	}
	c := rangeCheck{src: src, o: o, start: start, stop: stop}
	for _, lsn := range []LSN{start, stop} {
		if stop < start || !ValidRecordOffset(lsn, o.SegSize) {
			return RangeStats{}, &CorruptionError{
				Segment: SegmentNameAt(o.Timeline, lsn, o.SegSize), LSN: lsn, Reason: "not a valid end of a WAL range",
			}
		}
	}
	c.first = SegmentNumber(start, o.SegSize)
	c.count = SegmentNumber(stop, o.SegSize) - c.first + 1
	c.failed.Store(math.MaxInt64)
	var wg sync.WaitGroup
	for w := range int(max(1, min(uint64(max(o.Parallel, 0)), c.count))) {
		wg.Go(func() { c.work(ctx, w) })
	}
	wg.Wait()
	return c.join()
}

// segmentSpan is what a worker found in one segment.
type segmentSpan struct {
	records     int64
	first, last LSN // record starts; 0 if none starts in the segment
	firstPrev   LSN
	next        LSN // where the record after the last one must start
	systemID    uint64
	err         error
}

type rangeCheck struct {
	src         Source
	o           CheckOptions
	start, stop LSN
	first       uint64 // number of the first segment
	count       uint64 // of segments; huge when a damaged file told the range

	mu     sync.Mutex
	spans  []*segmentSpan // of the segments that were begun, in order
	failed atomic.Int64   // lowest index with an error; no need to look beyond
}

// take gives out the next segment; nil when there is none.
func (c *rangeCheck) take() (i int64, s *segmentSpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i = int64(len(c.spans))
	if uint64(i) >= c.count || i > c.failed.Load() {
		return i, nil
	}
	s = new(segmentSpan)
	c.spans = append(c.spans, s)
	return i, s
}

func (c *rangeCheck) work(ctx context.Context, worker int) {
	ro := c.o.ReaderOptions
	if c.o.SegmentOpened != nil {
		ro.Opened = func(name string) { c.o.SegmentOpened(worker, name) }
	}
	r := NewReader(c.src, ro)
	for {
		i, s := c.take()
		if s == nil {
			break
		}
		s.err = c.segment(ctx, r, i, s)
		s.systemID = r.pages.systemID
		for s.err != nil {
			low := c.failed.Load()
			if i >= low || c.failed.CompareAndSwap(low, i) {
				break
			}
		}
	}
	// The files were only read; there is nothing a failed close could lose.
	_ = r.Close()
}

// segment reads all records starting in one segment of the range.
func (c *rangeCheck) segment(ctx context.Context, r *Reader, i int64, s *segmentSpan) error {
	begin := SegmentStart(c.first+uint64(i), c.o.SegSize)
	end := begin + LSN(c.o.SegSize)
	pos := c.start
	if i == 0 {
		r.Seek(c.start)
	} else {
		var err error
		if pos, err = r.SeekNext(ctx, begin); err != nil {
			return err
		}
	}
	for pos < end {
		rec, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if rec.LSN >= end { // an abandoned record at the segment's end
			s.next = rec.LSN
			return nil
		}
		if s.records++; s.first == 0 {
			s.first, s.firstPrev = rec.LSN, rec.Prev
		}
		s.last, pos = rec.LSN, r.skipHeader(rec.EndLSN)
		s.next = pos
		if rec.LSN == c.stop {
			s.next = rec.EndLSN
			return nil
		}
		if rec.LSN > c.stop {
			return r.pages.corrupt(c.stop, nil, "no record starts here, the next is at %s", rec.LSN)
		}
	}
	if begin <= c.stop && c.stop < end {
		return r.pages.corrupt(c.stop, nil, "no record starts here")
	}
	return nil
}

// join links the segments to each other.
func (c *rangeCheck) join() (RangeStats, error) {
	stats := RangeStats{Segments: len(c.spans)}
	var last, next LSN
	for i, s := range c.spans {
		if s.err != nil {
			return RangeStats{}, s.err
		}
		if why := c.mislinked(i, last, next); why != nil {
			return RangeStats{}, why
		}
		if s.records > 0 {
			last, next = s.last, s.next
		}
		stats.Records += s.records
	}
	stats.End = next
	return stats, nil
}

// mislinked compares a segment's first record with the end of what came
// before. A segment within one long record has no record of its own.
func (c *rangeCheck) mislinked(i int, last, next LSN) error {
	s := c.spans[i]
	reason := ""
	switch {
	case i == 0 && s.first != c.start:
		reason = "no record starts at the begin of the range"
	case i > 0 && s.systemID != c.spans[0].systemID:
		reason = "segment is of another system than the one before"
	case i == 0 || s.records == 0:
		return nil
	case s.first != next:
		reason = "first record of the segment does not follow the one at " + last.String()
	case s.firstPrev != last:
		reason = "first record of the segment follows the one at " + s.firstPrev.String() + ", expected " + last.String()
	default:
		return nil
	}
	at := max(s.first, SegmentStart(c.first+uint64(i), c.o.SegSize))
	return &CorruptionError{Segment: SegmentNameAt(c.o.Timeline, at, c.o.SegSize), LSN: at, Reason: reason}
}
