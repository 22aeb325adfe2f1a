package wal

import (
	"context"
	"fmt"
)

// StopKind classifies a stop position reported by the server (formats.md
// §10.4, server.md §3.6 step 3).
type StopKind int

// Kinds of stop positions.
const (
	StopAtRecord       StopKind = iota // a record can start there
	StopAtSegmentStart                 // use the segment's first record
	StopAtPageStart                    // use the next record
	StopInvalid                        // inside a page header or not aligned
)

// ClassifyStop tells what has to be looked for to make lsn a stop position.
func ClassifyStop(lsn LSN, segSize uint32) StopKind {
	switch {
	case lsn == 0:
		return StopInvalid
	case SegmentOffset(lsn, segSize) == 0:
		return StopAtSegmentStart
	case lsn%PageSize == 0:
		return StopAtPageStart
	case !ValidRecordOffset(lsn, segSize):
		return StopInvalid
	}
	return StopAtRecord
}

// StopPoint is the record a backup has to reach.
type StopPoint struct {
	Place
	Prior bool // the record ends at or after the requested position instead of starting there
}

// StopError says why no stop point was found; Kind chooses the C tool's text.
// Unless Kind is StopInvalid, an Err satisfying Incomplete may be cured by
// more WAL.
type StopError struct {
	Kind StopKind
	LSN  LSN
	Err  error // nil for StopInvalid
}

func (e *StopError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("find stop position %s: not a valid position", e.LSN)
	}
	return fmt.Sprintf("find stop position %s: %v", e.LSN, e.Err)
}

// Unwrap gives the reader's error.
func (e *StopError) Unwrap() error { return e.Err }

// FindStop looks once, in the WAL there is now, for the stop point that
// belongs to lsn. With prior, which is for standbys, it settles for the last
// record before lsn that reaches it and does not start before floor, the
// backup's start position. All errors but the context's and input/output
// errors are *StopError.
func FindStop(ctx context.Context, src Source, o ReaderOptions, lsn, floor LSN, prior bool) (StopPoint, error) {
	if o.SegSize == 0 {
		o.SegSize = DefaultSegSize
	}
	kind := ClassifyStop(lsn, o.SegSize)
	var place Place
	var err error
	switch kind {
	case StopInvalid:
		return StopPoint{}, &StopError{Kind: kind, LSN: lsn}
	case StopAtRecord:
		place, err = FindRecord(ctx, src, o, lsn)
	default:
		place, err = nextInSegment(ctx, src, o, lsn)
	}
	if err == nil {
		return StopPoint{Place: place}, nil
	}
	if !Incomplete(err) {
		return StopPoint{}, err
	}
	if !prior {
		return StopPoint{}, &StopError{Kind: kind, LSN: lsn, Err: err}
	}
	return findPrior(ctx, src, o, lsn, floor, kind)
}

// nextInSegment is NextRecord for a stop position: the record must begin in
// the segment lsn points to, else the wait for that segment was in vain.
func nextInSegment(ctx context.Context, src Source, o ReaderOptions, lsn LSN) (Place, error) {
	place, err := NextRecord(ctx, src, o, lsn)
	if err != nil {
		return Place{}, err
	}
	if SegmentNumber(place.LSN, o.SegSize) != SegmentNumber(lsn, o.SegSize) {
		return Place{}, &CorruptionError{
			Segment: SegmentNameAt(o.Timeline, lsn, o.SegSize), LSN: lsn, Reason: "no record starts in the rest of the segment",
		}
	}
	return place, nil
}

func findPrior(ctx context.Context, src Source, o ReaderOptions, lsn, floor LSN, kind StopKind) (StopPoint, error) {
	place, err := LastRecordBefore(ctx, src, o, lsn, floor)
	switch {
	case err == nil && place.EndLSN >= lsn:
		return StopPoint{Place: place, Prior: true}, nil
	case err == nil:
		err = &CorruptionError{
			Segment: SegmentNameAt(o.Timeline, place.EndLSN, o.SegSize), LSN: place.EndLSN, Reason: "the last record ends here",
		}
	case !Incomplete(err):
		return StopPoint{}, err
	}
	return StopPoint{}, &StopError{Kind: kind, LSN: lsn, Err: err}
}
