package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
	"gsprobackup/internal/wal"
)

// reach reads archived WAL from the end of the backup on until it holds the
// target, for the server would silently stop early (spec/server.md §6.5,
// §7.3). Names cannot be checked this way in the C tool either: they select a
// backup by its own recovery name.
func (r *run) reach(ctx context.Context) error {
	t := r.opts.Target
	if !t.Beyond(r.dest) || t.Name != "" || t.Immediate {
		return nil
	}
	format, err := validate.WALFormat(r.layout)
	if err != nil {
		return fmt.Errorf("check archived WAL: %w", err)
	}
	r.emit(ArchiveScanned{Timeline: r.dest.Timeline, From: r.dest.StopLSN})
	opts := wal.ReaderOptions{Format: format, Timeline: r.dest.Timeline, SegSize: r.segmentSize()}
	last := reached{Time: r.dest.RecoveryTime, XID: r.dest.RecoveryXID, LSN: r.dest.StopLSN}
	found := false
	src := wal.Dir{FS: r.deps.FS, Path: r.opts.Instance.WALDir()}
	_, err = wal.Scan(ctx, src, opts, r.dest.StopLSN, func(rec *wal.Record) (bool, error) {
		last.note(rec)
		found = last.satisfies(t)
		return !found, nil
	})
	switch {
	case found:
		r.emit(TargetReached(last))
		return nil
	case err != nil && !wal.Incomplete(err):
		return fmt.Errorf("check archived WAL: %w", err)
	}
	var absent *wal.SegmentAbsentError
	if errors.As(err, &absent) {
		r.emit(ArchiveSegmentAbsent{Name: absent.Name})
	}
	r.emit(RecoveryLimit(last))
	return t.unreachable()
}

// reached is how far WAL goes.
type reached struct {
	Time time.Time
	XID  uint64
	LSN  wal.LSN
}

func (p *reached) note(rec *wal.Record) {
	p.LSN = rec.LSN
	if ts, kind, err := rec.Time(); err == nil && kind != wal.NoTime {
		p.Time = ts
		p.XID = max(p.XID, rec.XID)
	}
}

func (p *reached) satisfies(t Target) bool {
	switch {
	case t.XIDText != "":
		return p.XID >= t.XID
	case t.TimeText != "":
		return !p.Time.Before(t.Time)
	}
	return p.LSN >= t.LSN
}

func (t Target) unreachable() error {
	switch {
	case t.XIDText != "":
		return usererr.New("Not enough WAL records to xid %d", t.XID)
	case t.TimeText != "":
		return usererr.New("Not enough WAL records to time %s", t.TimeText)
	}
	return usererr.New("Not enough WAL records to lsn %s", t.LSN)
}

// segmentSize is the cluster's, from the backup's own pg_control.
func (r *run) segmentSize() uint32 {
	raw, err := fsx.ReadFile(r.deps.FS, r.dest.DatabaseDir()+"/"+pgdata.ControlPath, pgdata.ControlFileSize)
	if err == nil {
		if c, err := pgdata.ParseControl(raw); err == nil {
			return c.WALSegSize
		}
	}
	return wal.DefaultSegSize
}
