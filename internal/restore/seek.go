package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/validate"
	"gsprobackup/internal/wal"
)

// keepMain is ample for the records that end a prepared transaction.
const keepMain = 1 << 20

// reached is a place in the log: a record with the last time and xid up to it.
type reached struct {
	Time time.Time
	XID  uint64
	LSN  wal.LSN
}

// found is what a walk through archived WAL came to.
type found struct {
	// target is set when the server would get to the target; at is the
	// record the C tool takes for it.
	target bool
	at     reached
	// last is the last good record, end the position behind it and why the
	// error that ended the walk.
	last reached
	end  wal.LSN
	why  error
}

// seek walks along way through the archive from the end of b until recovery
// would stop for t. opened hears each segment, if set. Missing and damaged WAL
// is no error here; see found.why.
func (r *run) seek(ctx context.Context, b *catalog.Backup, way *wal.Lineage, t Target, opened func(path string)) (found, error) {
	a, err := r.archive(b, way, opened)
	if err != nil {
		return found{}, err
	}
	f := found{last: reached{Time: b.RecoveryTime, XID: b.RecoveryXID, LSN: b.StopLSN}}
	w := watch{Target: t, family: a.family}
	f.end, err = wal.Scan(ctx, a.source, a.opts, b.StopLSN, func(rec *wal.Record) (bool, error) {
		if err := f.last.note(rec); err != nil {
			return false, err
		}
		stop, err := w.stops(rec, f.last)
		f.target = stop
		return !stop, err
	})
	f.at = w.first
	if err != nil && !wal.Incomplete(err) {
		return f, fmt.Errorf("read archived WAL: %w", err)
	}
	f.why = err
	f.target = f.target || w.coverage(f.last)
	if errors.Is(err, wal.ErrCutSegment) {
		f.target = false // the server will not take the file at all
	}
	return f, nil
}

func (p *reached) note(rec *wal.Record) error {
	p.LSN = rec.LSN
	if rec.XID != 0 {
		p.XID = rec.XID
	}
	if c, ok, err := rec.Completion(); err != nil || ok {
		p.Time = c.Time
		return err
	}
	if at, kind, err := rec.Time(); err != nil || kind != wal.NoTime {
		p.Time = at
		return err
	}
	return nil
}

// watch looks for the record at which a server stops recovery.
//
//	         PostgreSQL                      openGauss
//	time     the end of a transaction behind the time, not applied; both
//	xid      the end of that very transaction; both
//	lsn      any record at or behind it      the next end of a transaction
//	                                         or restore point
//	name     the first restore point of that name; both
//
// PostgreSQL from 13 on refuses to open when it does not find one; openGauss
// opens with all WAL there is.
type watch struct {
	Target
	family pgdata.Family
	seen   bool
	first  reached // the first record that the C tool would stop at
}

func (w *watch) stops(rec *wal.Record, now reached) (bool, error) {
	c, ends, err := rec.Completion()
	if err != nil {
		return false, err
	}
	hit, touch := false, false
	switch {
	case w.XIDText != "":
		hit, touch = ends && sameXID(w.family, c.XID, w.XID), sameXID(w.family, rec.XID, w.XID)
	case w.TimeText != "":
		hit = ends && w.behind(c.Time)
		touch = hit
	case w.LSNText != "":
		touch = rec.LSN >= w.LSN
		hit = touch && (w.family != pgdata.OpenGauss || ends || rec.TimeKind() == wal.RestorePointTime)
	case w.Name != "" && rec.TimeKind() == wal.RestorePointTime:
		name, err := rec.RestorePointName()
		if err != nil {
			return false, err
		}
		hit = name == w.Name
		touch = hit
	}
	if (touch || hit) && !w.seen {
		w.seen, w.first = true, now
	}
	return hit, nil
}

// behind tells whether recovery to a time stops before something of time at.
func (w *watch) behind(at time.Time) bool {
	if w.inclusive() {
		return at.After(w.Time)
	}
	return !at.Before(w.Time)
}

// coverage tells whether the WAL reaches behind the target although no record
// stops the server: openGauss then opens with exactly what is wanted.
func (w *watch) coverage(last reached) bool {
	if w.family != pgdata.OpenGauss {
		return false
	}
	covered := w.LSNText != "" && last.LSN >= w.LSN || w.TimeText != "" && w.behind(last.Time)
	if covered && !w.seen {
		w.first = last
	}
	return covered
}

// archive is the way to read archived WAL.
type archive struct {
	source wal.Source
	opts   wal.ReaderOptions
	family pgdata.Family
}

func (r *run) archive(b *catalog.Backup, way *wal.Lineage, opened func(path string)) (archive, error) {
	layout, err := validate.LayoutOf(b)
	if err != nil {
		return archive{}, fmt.Errorf("read archived WAL: %w", err)
	}
	format, err := validate.WALFormat(layout)
	if err != nil {
		return archive{}, fmt.Errorf("read archived WAL: %w", err)
	}
	segSize, system := r.clusterOf(b)
	src := archiveSource{
		stored: wal.Dir{FS: r.deps.FS, Path: r.opts.Instance.WALDir()},
		last:   wal.SegmentNameAt(b.Timeline, b.StopLSN, segSize), size: segSize,
	}
	if b.Stream {
		next := wal.SegmentNumber(b.StopLSN, segSize) + 1
		src.next = wal.SegmentName(way.SegmentTimeline(next, segSize), next, segSize)
		src.own = wal.Dir{FS: r.deps.FS, Path: filepath.Join(b.DatabaseDir(), layout.WALDir())}
	}
	lineage := wal.LineageSource{Source: src, Lineage: *way, SegSize: segSize}
	if opened != nil {
		lineage.Opened = func(name string) { opened(filepath.Join(r.opts.Instance.WALDir(), name)) }
	}
	return archive{
		source: lineage, family: layout.Family,
		opts: wal.ReaderOptions{Format: format, Timeline: way.TLI, SegSize: segSize, SystemID: system, KeepMain: keepMain},
	}, nil
}

// archiveSource is the archive, filled up with the last segment of the
// backup's own WAL if only that one is missing: archiving may have begun
// during the backup. Files that are not whole are damage, wherever the log in
// them ends: neither archive-get nor the server takes them.
type archiveSource struct {
	stored, own wal.Dir
	last, next  string
	size        uint32
}

func (s archiveSource) Open(name string) (io.ReadCloser, error) {
	f, err := s.open(name)
	if err != nil {
		return nil, err
	}
	file, plain := f.(fsx.File)
	if !plain {
		return &wholeSegment{ReadCloser: f, name: name, want: int64(s.size)}, nil
	}
	fi, err := file.Stat()
	if err == nil && fi.Size() != int64(s.size) {
		err = cutSegment(name, fi.Size(), int64(s.size))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s archiveSource) open(name string) (io.ReadCloser, error) {
	f, err := s.stored.Open(name)
	var absent *wal.SegmentAbsentError
	if err == nil || name != s.last || s.next == "" || !errors.As(err, &absent) {
		return f, err
	}
	next, nerr := s.stored.Open(s.next)
	if nerr != nil {
		return nil, err
	}
	if cerr := next.Close(); cerr != nil {
		return nil, fmt.Errorf("close WAL segment: %w", cerr)
	}
	return s.own.Open(name)
}

func cutSegment(name string, size, want int64) error {
	return &wal.CorruptionError{Segment: name, Err: wal.ErrCutSegment, Reason: fmt.Sprintf("segment has %d bytes instead of %d", size, want)}
}

// wholeSegment is a compressed segment, whose length shows at its end only. It
// is read to the end even if the log in it ends before.
type wholeSegment struct {
	io.ReadCloser
	name      string
	pos, want int64
}

func (w *wholeSegment) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.pos += int64(n)
	return n, err
}

func (w *wholeSegment) Close() error {
	_, err := io.Copy(io.Discard, w)
	var corrupt *wal.CorruptionError
	if errors.As(err, &corrupt) {
		err = &wal.CorruptionError{Segment: w.name, Err: wal.ErrCutSegment, Reason: corrupt.Reason}
	} else if err == nil && w.pos != w.want {
		err = cutSegment(w.name, w.pos, w.want)
	}
	return errors.Join(err, w.ReadCloser.Close())
}

// clusterOf reads segment size and system identifier from the pg_control in a
// backup. A damaged one is the validation's business.
func (r *run) clusterOf(b *catalog.Backup) (segSize uint32, system uint64) {
	raw, err := fsx.ReadFile(r.deps.FS, filepath.Join(b.DatabaseDir(), pgdata.ControlPath), pgdata.ControlFileSize)
	if err == nil {
		if c, err := pgdata.ParseControl(raw); err == nil {
			return c.WALSegSize, c.SystemID
		}
	}
	return wal.DefaultSegSize, 0
}
