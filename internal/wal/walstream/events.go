package walstream

import (
	"fmt"
	"time"

	"gsprobackup/internal/wal"
)

// StreamStarted says that the receiver began at LSN, a segment's start.
type StreamStarted struct {
	LSN      wal.LSN
	Timeline wal.Timeline
}

// KeepaliveReceived is emitted for every 'k' message.
type KeepaliveReceived struct {
	ServerEnd      wal.LSN
	ReplyRequested bool
}

// ConfigSkipped says that a configuration file came in and was ignored.
type ConfigSkipped struct{}

// EmptyDataReceived says that a 'w' message had no WAL in it.
type EmptyDataReceived struct{ LSN wal.LSN }

// SegmentCompleted says that a whole segment is durable under its own name.
type SegmentCompleted struct {
	Path string
	End  wal.LSN
}

// SegmentPartialLeft says that the last segment is not complete, is durable
// and kept its .partial name. End is the end of the WAL in it.
type SegmentPartialLeft struct {
	Path string // with .partial
	End  wal.LSN
}

// SegmentPartialRenamed says that the last segment is not complete but got
// its own name (Options.RenamePartial).
type SegmentPartialRenamed struct {
	Path string
	End  wal.LSN
}

// StreamStopped says that the receiver reached its stop position.
type StreamStopped struct {
	LSN      wal.LSN // everything before it is durable
	Timeline wal.Timeline
}

// GapError says that the server skipped or repeated WAL.
type GapError struct{ Got, Want wal.LSN }

func (e *GapError) Error() string {
	return fmt.Sprintf("got WAL data offset %08x, expected %08x", uint64(e.Got), uint64(e.Want))
}

// StalledError says that nothing came from the server for a time.
type StalledError struct {
	After time.Duration
	LSN   wal.LSN // position reached
}

func (e *StalledError) Error() string {
	return fmt.Sprintf("no message from the server for %s, WAL received up to %s", e.After, e.LSN)
}

// EndedError says that the server ended the stream: it shut down, or its
// timeline ended.
type EndedError struct{ LSN wal.LSN }

func (e *EndedError) Error() string {
	return fmt.Sprintf("server ended the WAL stream at %s", e.LSN)
}

// StoppedError is what waiters get for a position beyond the stop position.
type StoppedError struct{ LSN, Wanted wal.LSN }

func (e *StoppedError) Error() string {
	return fmt.Sprintf("WAL streaming stopped at %s, before %s", e.LSN, e.Wanted)
}

// SegmentSizeError says that a file from an earlier run has a size no segment
// being received has.
type SegmentSizeError struct {
	Path       string
	Size, Want int64
}

func (e *SegmentSizeError) Error() string {
	return fmt.Sprintf("WAL segment %s is %d bytes, should be 0 or %d", e.Path, e.Size, e.Want)
}
