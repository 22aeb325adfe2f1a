package wal

import (
	"context"
	"time"
)

// Scan reads records one after the other from the one starting exactly at
// start and hands each to fn until fn returns false or an error. It returns
// the position after the last record handed over. The record is valid during
// the call only. Errors are those of Reader.Next: where the log just ends, the
// error satisfies Incomplete.
func Scan(ctx context.Context, src Source, o ReaderOptions, start LSN, fn func(*Record) (more bool, err error)) (end LSN, err error) {
	r := NewReader(src, o)
	defer closeInto(r, &err)
	r.Seek(start)
	for end = start; ; {
		rec, err := r.Next(ctx)
		if err != nil {
			return end, err
		}
		more, err := fn(rec)
		end = rec.EndLSN
		if err != nil || !more {
			return end, err
		}
	}
}

// RecoveryTime returns the time stamp of the last commit, abort or restore
// point from start to stop, both included, in UTC; found is false if there is
// none (formats.md §10.4). Segments are searched from the last backwards, each
// one forwards, so only WAL behind the answer's segment start is read.
func RecoveryTime(ctx context.Context, src Source, o ReaderOptions, start, stop LSN) (t time.Time, found bool, err error) {
	r := NewReader(src, o)
	defer closeInto(r, &err)
	size := r.pages.o.SegSize
	for end := stop + 1; end > start; {
		from := max(SegmentStart(SegmentNumber(end-1, size), size), start)
		t, found, err := r.lastTime(ctx, from, end)
		if err != nil || found {
			return t, found, err
		}
		end = from
	}
	return time.Time{}, false, nil
}

// lastTime finds the last time stamp among the records starting in [from, end).
func (r *Reader) lastTime(ctx context.Context, from, end LSN) (t time.Time, found bool, err error) {
	pos, err := r.SeekNext(ctx, from)
	for ; err == nil && pos < end; pos = r.skipHeader(r.pos) {
		rec, err := r.Next(ctx)
		if err != nil {
			return t, found, err
		}
		if rec.LSN >= end {
			break
		}
		at, kind, err := rec.Time()
		if err != nil {
			return t, found, err
		}
		if kind != NoTime {
			t, found = at, true
		}
	}
	return t, found, err
}
