// Package walarchive looks at an instance's WAL archive, the directory
// B/wal/INSTANCE that the server's archive_command fills.
//
// It owns which files count as archived segments, how they group into
// timelines, and which segments are missing between them (spec/cli.md §8.4).
// It leaves reading WAL to internal/wal and purging to retention.
//
//	000000010000000000000013           a segment
//	000000010000000000000013.gz        a compressed segment
//	000000010000000000000013.partial   and the other kinds of files.go
//	anything else                      an UnexpectedFile event
package walarchive

import (
	"slices"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

// UnexpectedFile is emitted for a name that no segment has. C tool: WARNING
// `unexpected WAL file name "%s"`.
type UnexpectedFile struct{ Name string }

// Archive is the state of a WAL archive.
type Archive struct {
	// SegSize is the size of a segment in bytes.
	SegSize uint32
	// Timelines with at least one complete segment, highest first.
	Timelines []Timeline
}

// Timeline describes the archived segments of one timeline.
type Timeline struct {
	TLI      wal.Timeline
	Min, Max uint64 // segment numbers
	Segments int    // how many there are
	Size     int64  // bytes of their files
	Lost     []Gap  // segments missing between Min and Max, in order
}

// Gap is a run of missing segments, both ends included.
type Gap struct{ Begin, End uint64 }

// Scan lists the archive in dir. A missing directory is an empty archive.
func Scan(fsys fsx.FS, dir string, sink event.Sink) (*Archive, error) {
	all, err := Files(fsys, dir, sink)
	if err != nil {
		return nil, err
	}
	segments := slices.DeleteFunc(all, func(f File) bool { return f.Kind != Segment })
	return group(segments, sink), nil
}

// group builds timelines from files in name order, which is also the order of
// timelines and numbers.
func group(files []File, sink event.Sink) *Archive {
	a := &Archive{SegSize: segmentSize(files)}
	for _, f := range files {
		tli, segno, err := wal.ParseSegmentName(f.Segment, a.SegSize)
		if err != nil {
			sink.Emit(UnexpectedFile{Name: f.Name})
			continue
		}
		n := len(a.Timelines)
		if n == 0 || a.Timelines[n-1].TLI != tli {
			a.Timelines = append(a.Timelines, Timeline{TLI: tli, Min: segno, Max: segno, Segments: 1, Size: f.Size})
			continue
		}
		t := &a.Timelines[n-1]
		t.Size += f.Size
		if segno == t.Max {
			continue // the same segment, plain and compressed
		}
		if segno > t.Max+1 {
			t.Lost = append(t.Lost, Gap{Begin: t.Max + 1, End: segno - 1})
		}
		t.Max = segno
		t.Segments++
	}
	slices.Reverse(a.Timelines)
	return a
}

// segmentSize takes the size from the first uncompressed segment; a server
// has only one.
func segmentSize(files []File) uint32 {
	for _, f := range files {
		if !f.Compressed && f.Size <= wal.MaxSegSize && wal.ValidSegSize(uint32(f.Size)) {
			return uint32(f.Size)
		}
	}
	return wal.DefaultSegSize
}
