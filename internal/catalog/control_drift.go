package catalog

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// The C tool reads a time that was written in the other half of the year an
// hour off, and stores it so when it writes the control file again, as every
// validate does (spec/formats.md §3.1, §14 row 12). So the times of a catalog
// drift, an hour each time, in zones with daylight saving, until no increment
// finds its parent. The name of the directory stays: it tells how far. Whole
// days are somebody's doing, who wants a backup to be older than it is.

const (
	hour     = 3600 // how far a clock is moved, in seconds
	maxDrift = 23 * hour
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
	if by == 0 || by%hour != 0 || by > maxDrift || by < -maxDrift || id.String() != name || r.b.MergeDestID == id {
		return
	}
	r.b.ID = id
	for at, offset := range r.offsets {
		if offset == r.startOffset && !at.IsZero() {
			*at = at.Add(time.Duration(by) * time.Second)
		}
	}
	r.sink.Emit(TimesDrifted{Path: r.path, Hours: by / hour})
}

// TimesDrifted is emitted for a control file whose times the C tool has moved;
// they are read as they were, that many hours later.
type TimesDrifted struct {
	Path  string
	Hours int64
}

// relink gives an increment its parent back. C notes the start of the parent
// as it has read it, which is an hour off for a parent of the other season; so
// the chains that go across a change of the clock lose their FULL. The parent is
// only looked for where the one that is named is not there, and taken if the
// clock was moved by just that hour between the two.
func (r *controlReader) relink(fsys fsx.FS) {
	b, dir := r.b, filepath.Dir(r.path)
	if b.Mode != ModePtrack || b.ParentID == 0 || b.ID.String() != filepath.Base(dir) || !missing(fsys, dir, b.ParentID) {
		return
	}
	for _, by := range []ID{hour, -hour} {
		id := b.ParentID + by
		if id >= b.ID || missing(fsys, dir, id) {
			continue
		}
		path := filepath.Join(filepath.Dir(dir), id.String(), ControlName)
		data, err := fsx.ReadFile(fsys, path, maxKeyFile)
		if err != nil {
			continue
		}
		p := controlReader{path: path, sink: event.Discard}
		if err := p.parse(data); err != nil || p.b.ID != id || p.b.StartLSN > b.StartLSN {
			continue
		}
		was, known := zoneSeconds(p.startOffset)
		is, ok := zoneSeconds(r.startOffset)
		if known && ok && was-is == int(by) {
			b.ParentID = id
			r.sink.Emit(ValueRepaired{File: r.path, Key: "parent-backup-id", Value: id.String()})
			return
		}
	}
}

// missing tells whether the instance of the backup in dir lacks a backup.
func missing(fsys fsx.FS, dir string, id ID) bool {
	_, err := fsys.Lstat(filepath.Join(filepath.Dir(dir), id.String()))
	return errors.Is(err, fs.ErrNotExist)
}

// zoneSeconds reads an offset: +01, -03:30.
func zoneSeconds(offset string) (int, bool) {
	for _, layout := range []string{"-07", "-07:00"} {
		if t, err := time.Parse(layout, offset); err == nil {
			_, seconds := t.Zone()
			return seconds, true
		}
	}
	return 0, false
}
