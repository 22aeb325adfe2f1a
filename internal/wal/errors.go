package wal

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrEndOfWAL is inside a CorruptionError whose reason is that there are
// zeros where a record or page should start: nothing was written there yet.
var ErrEndOfWAL = errors.New("no record here")

// ErrCutSegment is inside a CorruptionError whose reason is that the segment's
// file is shorter than a segment: a copy that was not finished.
var ErrCutSegment = errors.New("segment file is too short")

// SegmentAbsentError says that a segment exists neither under its own name
// nor as .partial or .gz. It matches fs.ErrNotExist.
type SegmentAbsentError struct{ Name string }

func (e *SegmentAbsentError) Error() string { return fmt.Sprintf("WAL segment %q is absent", e.Name) }

// Is makes errors.Is(err, fs.ErrNotExist) true.
func (e *SegmentAbsentError) Is(target error) bool { return target == fs.ErrNotExist }

// CorruptionError says that WAL was read but does not hold together.
type CorruptionError struct {
	Segment string // file name without directory or suffix
	LSN     LSN    // the page or record that is wrong
	Reason  string
	Err     error // nil, ErrEndOfWAL, ErrCutSegment or the decompressor's error
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("WAL segment %q is damaged at %s: %s", e.Segment, e.LSN, e.Reason)
}

// Unwrap gives the cause, if there is one.
func (e *CorruptionError) Unwrap() error { return e.Err }

// Incomplete tells whether err means "the WAL read so far does not hold this":
// an absent segment or bad content, as opposed to an input/output error. While
// WAL is still arriving such an error may vanish with the next attempt.
func Incomplete(err error) bool {
	var absent *SegmentAbsentError
	var corrupt *CorruptionError
	return errors.As(err, &absent) || errors.As(err, &corrupt)
}
