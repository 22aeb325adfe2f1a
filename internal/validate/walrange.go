package validate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// LayoutOf tells the family and major of the server a backup is from, by its
// recorded server version. An empty version, which 1.1 never wrote but C's
// reader accepts, means openGauss.
func LayoutOf(b *catalog.Backup) (pgdata.Layout, error) {
	if b.ServerVersion == "" || b.ServerVersion == "9.2" {
		return pgdata.NewLayout(pgdata.OpenGauss, 9), nil
	}
	major, err := strconv.Atoi(b.ServerVersion)
	if err != nil || major < 12 || major > 18 {
		return pgdata.Layout{}, usererr.New("Backup %s has server version %s, but current gs_probackup binary compiled with server version %s", b.ID, b.ServerVersion, "9.2").
			WithHint("this build knows openGauss (9.2) and PostgreSQL 12 to 18")
	}
	return pgdata.NewLayout(pgdata.PostgreSQL, major), nil
}

// WALFormat is the dialect of a layout's WAL.
func WALFormat(l pgdata.Layout) (wal.Format, error) {
	if l.Family == pgdata.OpenGauss {
		return wal.OpenGauss(), nil
	}
	return wal.PostgreSQL(l.Major)
}

// walCheck proves that the WAL of a backup can be replayed from start to stop.
type walCheck struct {
	FS      fsx.FS
	Sink    event.Sink
	Backup  *catalog.Backup
	Layout  pgdata.Layout
	Archive string // the instance's archive, for backups without own WAL
	SegSize uint32
	Threads int
}

// dir is where the backup's WAL lies.
func (c *walCheck) dir() string {
	if c.Backup.Stream {
		return filepath.Join(c.Backup.DatabaseDir(), c.Layout.WALDir())
	}
	return c.Archive
}

// run reports whether the range is complete. The error is for failures of the
// check itself.
func (c *walCheck) run(ctx context.Context) (bool, error) {
	b := c.Backup
	if b.StartLSN == 0 || !wal.ValidRecordOffset(b.StartLSN, c.SegSize) {
		return false, usererr.New("Invalid start_lsn value %s of backup %s", b.StartLSN, b.ID)
	}
	if b.StopLSN == 0 || !wal.ValidRecordOffset(b.StopLSN, c.SegSize) {
		return false, usererr.New("Invalid stop_lsn value %s of backup %s", b.StopLSN, b.ID)
	}
	format, err := WALFormat(c.Layout)
	if err != nil {
		return false, fmt.Errorf("check WAL of backup %s: %w", b.ID, err)
	}
	opts := wal.CheckOptions{
		ReaderOptions: wal.ReaderOptions{Format: format, Timeline: b.Timeline, SegSize: c.SegSize},
		Parallel:      c.Threads,
		SegmentOpened: func(worker int, name string) {
			c.Sink.Emit(OpeningSegment{Thread: worker + 1, Path: filepath.Join(c.dir(), name)})
		},
	}
	_, err = wal.CheckRange(ctx, wal.Dir{FS: c.FS, Path: c.dir()}, b.StartLSN, b.StopLSN, opts)
	if err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	var absent *wal.SegmentAbsentError
	var corrupt *wal.CorruptionError
	switch {
	case errors.As(err, &absent):
		c.Sink.Emit(WALSegmentAbsent{Path: filepath.Join(c.dir(), absent.Name)})
	case errors.As(err, &corrupt):
		c.Sink.Emit(WALDamaged{Segment: filepath.Join(c.dir(), corrupt.Segment), LSN: corrupt.LSN, Err: err})
	default:
		c.Sink.Emit(WALDamaged{Segment: c.dir(), Err: err})
	}
	c.Sink.Emit(WALInsufficient{ID: b.ID, Start: b.StartLSN, Stop: b.StopLSN})
	return false, nil
}

// segmentSize finds the segment size in the list: the length of a stored
// segment. 16 MiB when there is none.
func segmentSize(l pgdata.Layout, entries []contentlist.Entry) uint32 {
	for i := range entries {
		e := &entries[i]
		dir, name := filepath.Split(e.Path)
		if e.ExternalDir == 0 && dir == l.WALDir()+"/" && wal.IsSegmentName(name) && e.Size > 0 && e.Size <= 1<<30 && wal.ValidSegSize(uint32(e.Size)) {
			return uint32(e.Size)
		}
	}
	return wal.DefaultSegSize
}
