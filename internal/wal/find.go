package wal

import (
	"context"
)

// Place is where a record lies, without its content.
type Place struct {
	LSN    LSN
	EndLSN LSN
	Prev   LSN
}

func placeOf(r *Record) Place { return Place{LSN: r.LSN, EndLSN: r.EndLSN, Prev: r.Prev} }

// FindRecord reads the record that starts exactly at lsn. Whenever there is no
// good record at lsn the error satisfies Incomplete.
func FindRecord(ctx context.Context, src Source, o ReaderOptions, lsn LSN) (p Place, err error) {
	r := NewReader(src, o)
	defer closeInto(r, &err)
	if !ValidRecordOffset(lsn, r.pages.o.SegSize) {
		return Place{}, r.pages.corrupt(lsn, nil, "no record can start here")
	}
	r.Seek(lsn)
	rec, err := r.Next(ctx)
	if err != nil {
		return Place{}, err
	}
	if rec.LSN != lsn { // an abandoned record: what was found is its replacement
		return Place{}, r.pages.corrupt(lsn, nil, "record was abandoned by the server")
	}
	return placeOf(rec), nil
}

// NextRecord finds the first record that starts at or after lsn, which is
// usually the start of a page or segment.
func NextRecord(ctx context.Context, src Source, o ReaderOptions, lsn LSN) (p Place, err error) {
	r := NewReader(src, o)
	defer closeInto(r, &err)
	if _, err := r.SeekNext(ctx, lsn); err != nil {
		return Place{}, err
	}
	rec, err := r.Next(ctx)
	if err != nil {
		return Place{}, err
	}
	return placeOf(rec), nil
}

// LastRecordBefore finds the last record that starts before lsn, but not
// before floor. Everything from the start of that record's segment to lsn must
// be readable. Whether the record reaches lsn is for the caller to compare
// with EndLSN. It serves backups from a standby (formats.md §10.4).
func LastRecordBefore(ctx context.Context, src Source, o ReaderOptions, lsn, floor LSN) (p Place, err error) {
	r := NewReader(src, o)
	defer closeInto(r, &err)
	size := r.pages.o.SegSize
	for end := lsn; end > floor; {
		start := max(SegmentStart(SegmentNumber(end-1, size), size), floor)
		found, err := r.lastIn(ctx, start, lsn)
		if err != nil {
			return Place{}, err
		}
		if found.LSN != 0 {
			return found, nil
		}
		end = SegmentStart(SegmentNumber(start, size), size)
	}
	return Place{}, r.pages.corrupt(lsn, nil, "no record starts between %s and here", floor)
}

// lastIn finds the last record starting in [start, stop); its LSN is 0 if
// there is none.
func (r *Reader) lastIn(ctx context.Context, start, stop LSN) (last Place, err error) {
	pos, err := r.SeekNext(ctx, start)
	for ; err == nil && pos < stop; pos = r.skipHeader(r.pos) {
		var rec *Record
		if rec, err = r.Next(ctx); err == nil && rec.LSN < stop {
			last = placeOf(rec)
		}
	}
	return last, err
}

// GoesOn tells whether the segment that holds at has good records behind it,
// although there is none at at: the place is damaged then, and not the end of
// the log. Old content of a reused file does not count.
func GoesOn(ctx context.Context, src Source, o ReaderOptions, at LSN) bool {
	if o.SegSize == 0 {
		o.SegSize = DefaultSegSize
	}
	page := (at/PageSize + 1) * PageSize
	if SegmentNumber(page, o.SegSize) != SegmentNumber(at, o.SegSize) {
		return false
	}
	p, err := NextRecord(ctx, src, o, page)
	return err == nil && p.Prev >= at
}

func closeInto(r *Reader, err *error) {
	if cerr := r.Close(); cerr != nil && *err == nil {
		*err = cerr
	}
}
