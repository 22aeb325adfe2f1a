package catalog

import (
	"path/filepath"
	"strings"
	"time"
)

// The C tool reads a time that was written in the other half of the year an
// hour off, and stores it so when it writes the control file again, as every
// validate does (spec/formats.md §3.1, §14 row 12). So the times of a catalog
// drift, an hour each time, in zones with daylight saving, until no increment
// finds its parent. The name of the directory stays: it tells how far. Whole
// days are somebody's doing, who wants a backup to be older than it is.

const (
	driftStep = 3600
	maxDrift  = 23 * driftStep
)

// noteTime keeps the offset that a time other than start-time was written with.
func (r *controlReader) noteTime(text string, at *time.Time) {
	if r.offsets == nil {
		r.offsets = map[*time.Time]string{}
	}
	r.offsets[at] = offsetText(text)
}

// offsetText is the offset at the end of a time, such as +01; the end of the
// date in a time without.
func offsetText(text string) string { return text[max(strings.LastIndexAny(text, "+-"), 0):] }

// undrift gives a backup the start time that its directory is called after, and
// moves the times that have drifted with it: those of the same season.
func (r *controlReader) undrift() {
	name := filepath.Base(filepath.Dir(r.path))
	id := decodeID(name)
	by := int64(id - r.b.ID)
	// A merge gives the directory its name before the file.
	if by == 0 || by%driftStep != 0 || by > maxDrift || by < -maxDrift || id.String() != name || r.b.MergeDestID != 0 {
		return
	}
	r.b.ID = id
	for at, offset := range r.offsets {
		if offset == r.startOffset && !at.IsZero() {
			*at = at.Add(time.Duration(by) * time.Second)
		}
	}
	r.sink.Emit(TimesDrifted{Path: r.path, Hours: by / driftStep})
}

// TimesDrifted is emitted for a control file whose times the C tool has moved;
// they are read as they were, that many hours later.
type TimesDrifted struct {
	Path  string
	Hours int64
}
