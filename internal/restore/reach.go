package restore

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"
)

// This file says, before anything is written, whether the target can be
// reached and why not: the servers may silently stop early (spec/server.md
// §6.5, §7.3).

// fits tells whether b may be restored for the target (spec/server.md §6.2).
// Names other than a backup's own, which the C tool does not find, are looked
// for in the archive.
func (r *run) fits(ctx context.Context, b *catalog.Backup) (bool, error) {
	t, family := r.targetFor(b)
	if t.Name != "" && b.RecoveryName != t.Name {
		f, err := r.seek(ctx, b, r.along(b), t, nil)
		return f.target, err
	}
	if !t.SatisfiedBy(b) {
		return false, nil
	}
	if t.TimeText != "" && t.Time.Nanosecond() != 0 && b.RecoveryTime.Equal(t.Time.Truncate(time.Second)) {
		// Recorded to the second; the WAL knows it better, if it can be read.
		last, known, err := r.lastTime(ctx, b)
		return err != nil || !known || !last.After(t.Time), nil //nolint:nilerr // then the record counts
	}
	if t.XIDText != "" {
		inside, err := r.endsInside(ctx, b, t.XID, family)
		return !inside, err
	}
	return true, nil
}

// targetFor is the target as the server of b counts. A backup of which that is
// not known is no use for other reasons.
func (r *run) targetFor(b *catalog.Backup) (Target, pgdata.Family) {
	layout, err := validate.LayoutOf(b)
	if err != nil {
		return r.opts.Target, pgdata.OpenGauss
	}
	return r.opts.Target.For(b, layout.Family), layout.Family
}

// lastTime is the time of the last transaction or restore point in a backup.
func (r *run) lastTime(ctx context.Context, b *catalog.Backup) (time.Time, bool, error) {
	src, opts, err := r.backupWAL(b)
	if err != nil {
		return time.Time{}, false, err
	}
	return wal.RecoveryTime(ctx, src, opts, b.StartLSN, b.StopLSN)
}

// inFlight bounds how many transactions can be under way at a time.
const inFlight = 10000

// endsInside tells whether a transaction that had not ended when recovery-xid
// was taken did so before the stop position, a moment later: then b is too new
// for it as a target.
func (r *run) endsInside(ctx context.Context, b *catalog.Backup, xid uint64, family pgdata.Family) (bool, error) {
	if xid < b.RecoveryXID || xid-b.RecoveryXID > inFlight {
		return false, nil
	}
	src, opts, err := r.backupWAL(b)
	if err != nil {
		return false, err
	}
	inside := false
	_, err = wal.Scan(ctx, src, opts, b.StartLSN, func(rec *wal.Record) (bool, error) {
		c, ends, err := rec.Completion()
		inside = ends && sameXID(family, c.XID, xid) && rec.LSN < b.StopLSN
		return !inside && rec.LSN < b.StopLSN, err
	})
	if wal.Incomplete(err) {
		return false, nil // the validation says so
	}
	return inside, err
}

// backupWAL is the log between start and stop of a backup.
func (r *run) backupWAL(b *catalog.Backup) (wal.Source, wal.ReaderOptions, error) {
	a, err := r.archive(b, r.own(b), nil)
	if err != nil {
		return nil, wal.ReaderOptions{}, err
	}
	a.opts.Timeline = b.Timeline
	if !b.Stream {
		return wal.Dir{FS: r.deps.FS, Path: r.opts.Instance.WALDir()}, a.opts, nil
	}
	layout, err := validate.LayoutOf(b)
	if err != nil {
		return nil, wal.ReaderOptions{}, err
	}
	return wal.Dir{FS: r.deps.FS, Path: filepath.Join(b.DatabaseDir(), layout.WALDir())}, a.opts, nil
}

// aim decides what the server will be told, before anything is written.
//
// It settles a case that C leaves open. A backup's recovery-xid is the first
// one that had not ended yet: as a target it is not in the backup. If archived
// WAL has it, that is where recovery goes, else the backup's end has to do.
func (r *run) aim(ctx context.Context) error {
	t := r.opts.Target.For(r.dest, r.layout.Family)
	if t.XIDText != "" && t.XID == r.dest.RecoveryXID {
		f, err := r.seek(ctx, r.dest, r.way, t, nil)
		if err != nil {
			return err
		}
		r.past = f.target
		if !f.target && f.end > r.dest.StopLSN {
			r.emit(XIDNotArchived{XID: t.XID, ID: r.dest.ID})
		}
	}
	if r.checkOnly {
		return nil
	}
	return r.planSettings()
}

// beyond tells whether recovery has to go on behind the end of the backup.
func (r *run) beyond() bool {
	return r.past || r.opts.Target.For(r.dest, r.layout.Family).Beyond(r.dest)
}

// ownName tells whether the target is the restore point that the backup itself
// made at its end.
func (r *run) ownName() bool {
	return r.opts.Target.Name != "" && r.opts.Target.Name == r.dest.RecoveryName
}

// reach reads archived WAL from the end of the backup on until it holds the
// target.
func (r *run) reach(ctx context.Context) error {
	t := r.opts.Target
	switch {
	case t.Immediate, r.ownName(), t.IsZero():
		return nil
	case !r.beyond():
		r.emit(TargetReached{Time: r.dest.RecoveryTime, XID: r.dest.RecoveryXID, LSN: r.dest.StopLSN})
		return nil
	}
	r.emit(ArchiveScanned{Timeline: r.way.TLI, From: r.dest.StopLSN})
	f, err := r.seek(ctx, r.dest, r.way, t, func(path string) {
		r.emit(validate.OpeningSegment{Thread: 1, Path: path})
	})
	switch {
	case err != nil:
		return err
	case f.target:
		r.warnOfBranches(f.end)
		r.emit(TargetReached(f.at))
		return r.endAt(f.end)
	case t.Latest:
		return r.reachedLatest(ctx, f)
	}
	if err := r.explainEnd(f); err != nil {
		return err
	}
	r.emit(RecoveryLimit(f.last))
	missing := t.unreachable()
	if hint := r.branchHint(); hint != "" {
		missing = missing.WithHint("%s", hint)
	}
	return missing
}

// endAt tells archive-get where recovery will end: a server reads on behind the
// target, and would stop at a damaged file there.
func (r *run) endAt(end wal.LSN) error {
	if r.checkOnly {
		return nil
	}
	segSize, _ := r.clusterOf(r.dest)
	r.until = wal.MarkOf(r.way.TLI, end, segSize)
	return r.planSettings()
}

// reachedLatest accepts the end of the archive unless it is a gap or damage:
// whoever wants all there is must hear of what will be left out.
func (r *run) reachedLatest(ctx context.Context, f found) error {
	later, err := r.laterSegment(f.end)
	if err != nil {
		return err
	}
	if later == "" && !r.damaged(ctx, f) {
		r.warnOfBranches(f.end)
		r.emit(LatestFound(f.last))
		return nil
	}
	if err := r.explainEnd(f); err != nil {
		return err
	}
	r.emit(RecoveryLimit(f.last))
	return usererr.New("Not enough WAL records to the end of the archive").
		WithHint("choose a target up to LSN %s, or mend the archive", f.last.LSN)
}

// explainEnd says at what the walk through the archive ended.
func (r *run) explainEnd(f found) error {
	var absent *wal.SegmentAbsentError
	var corrupt *wal.CorruptionError
	dir := r.opts.Instance.WALDir()
	e := ArchiveEnded{LSN: f.end}
	switch {
	case errors.As(f.why, &absent):
		e.Absent, e.Path = true, filepath.Join(dir, absent.Name)
	case errors.As(f.why, &corrupt):
		e.Path, e.Reason = filepath.Join(dir, r.realName(corrupt.Segment)), corrupt.Reason
	}
	r.emit(e)
	later, err := r.laterSegment(f.end)
	if err == nil && later != "" {
		r.emit(ArchiveGap{Segment: filepath.Base(e.Path), Next: later})
	}
	return err
}

// realName turns a segment name of the wanted timeline into that of the file.
func (r *run) realName(name string) string {
	segSize, _ := r.clusterOf(r.dest)
	_, segno, err := wal.ParseSegmentName(name, segSize)
	if err != nil {
		return name
	}
	return wal.SegmentName(r.way.SegmentTimeline(segno, segSize), segno, segSize)
}

// laterSegment is the first archived segment of the way behind the one holding
// end, "" if there is none.
func (r *run) laterSegment(end wal.LSN) (string, error) {
	segSize, _ := r.clusterOf(r.dest)
	files, err := walarchive.Files(r.deps.FS, r.opts.Instance.WALDir(), event.Discard)
	if err != nil {
		return "", err
	}
	at, best, name := wal.SegmentNumber(end, segSize), uint64(0), ""
	for _, f := range files {
		tli, segno, err := wal.ParseSegmentName(f.Segment, segSize)
		if err != nil || f.Kind != walarchive.Segment || segno <= at || r.way.SegmentTimeline(segno, segSize) != tli {
			continue
		}
		if name == "" || segno < best {
			best, name = segno, f.Segment
		}
	}
	return name, nil
}

// damaged tells a broken file from one in which the log just ends: it is cut,
// cannot be unpacked, is of another system or place, or has good records
// behind the end.
func (r *run) damaged(ctx context.Context, f found) bool {
	var corrupt *wal.CorruptionError
	if !errors.As(f.why, &corrupt) {
		return false
	}
	a, err := r.archive(r.dest, r.way, nil)
	if err != nil {
		return false
	}
	switch {
	case errors.Is(corrupt.Err, wal.ErrEndOfWAL):
	case corrupt.Err != nil, wal.SegmentOffset(corrupt.LSN, a.opts.SegSize) == 0:
		return true // not whole, or of something else
	}
	return wal.GoesOn(ctx, a.source, a.opts, f.end)
}

func (t Target) unreachable() *usererr.Error {
	switch {
	case t.XIDText != "":
		return usererr.New("Not enough WAL records to xid %d", t.XID)
	case t.TimeText != "":
		return usererr.New("Not enough WAL records to time %s", t.TimeISO)
	case t.Name != "":
		return usererr.New("Not enough WAL records to restore point '%s'", t.Name)
	}
	return usererr.New("Not enough WAL records to lsn %s", t.LSN)
}

// withoutWALValid drops the line that C does not print with a target.
type withoutWALValid struct{ event.Sink }

func (s withoutWALValid) Emit(e event.Event) {
	if _, drop := e.(validate.WALValid); !drop {
		s.Sink.Emit(e)
	}
}
