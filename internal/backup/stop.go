package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// stop ends the backup on the server and makes sure that all WAL it needs is
// in the backup (spec/server.md §3.6).
func (r *run) stop(ctx context.Context) error {
	if err := r.stopServer(ctx); err != nil {
		return err
	}
	if err := r.writeServerFiles(); err != nil {
		return err
	}
	if err := r.dropNewSpaces(ctx); err != nil {
		return err
	}
	if err := r.dropNewUnlogged(ctx); err != nil {
		return err
	}
	if err := r.waitStopRecord(ctx); err != nil {
		return err
	}
	if err := r.requireRecovery(); err != nil {
		return err
	}
	return r.findRecoveryPoint(ctx)
}

// stopServer writes the restore point and leaves backup mode.
func (r *run) stopServer(ctx context.Context) error {
	r.backup.RecoveryName = "backup " + r.backup.ID.String()
	if !r.backup.FromReplica {
		name := "pg_probackup, backup_id " + r.backup.ID.String()
		if err := r.flavor.CreateRestorePoint(ctx, name); err != nil {
			return err
		}
	}
	r.emit(StopWaiting{})
	limit, cancel := context.WithTimeout(ctx, r.opts.archiveTimeout())
	defer cancel()
	res, err := r.flavor.StopBackup(limit)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return usererr.Wrap(err, "interrupted during waiting for pg_stop_backup")
	case limit.Err() != nil:
		return usererr.Wrap(err, "pg_stop_backup doesn't answer in %d seconds, cancel it", int(r.opts.archiveTimeout()/time.Second)).
			WithHint("is the server's archive_command failing? pg_stop_backup waits for it")
	default:
		return err
	}
	r.stopped, r.inBackupMode = res, false
	r.backup.RecoveryXID = res.XID
	r.emit(StopDone{})
	return nil
}

// writeServerFiles stores backup_label and tablespace_map of a non-exclusive
// backup. Those of an exclusive one were copied with the data directory.
func (r *run) writeServerFiles() error {
	if r.stopped.Exclusive {
		return nil
	}
	if err := r.writeOwn(pgdata.BackupLabelName, r.stopped.Label); err != nil {
		return err
	}
	if len(r.stopped.TablespaceMap) == 0 {
		return nil
	}
	return r.writeOwn(pgdata.TablespaceMapName, r.stopped.TablespaceMap)
}

// writeOwn writes a file of the tool's own into database/ and adds it to what
// the list gets at its end.
func (r *run) writeOwn(name string, content []byte) error {
	full := path.Join(r.backup.DatabaseDir(), name)
	f, err := createFile(r.deps.FS, full)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(content)
	if err == nil && !r.opts.NoSync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	r.written = append(r.written, contentlist.Entry{
		Path: name, Size: int64(len(content)), Mode: 0o100600, CRC: crc32c.Sum(content),
	})
	return nil
}

func createFile(fsys fsx.FS, name string) (fsx.File, error) {
	return fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fs.FileMode(0o600))
}

// waitStopRecord waits until the record at the stop position can be read from
// the streamed WAL, and ends the stream.
func (r *run) waitStopRecord(ctx context.Context) error {
	stop := r.stopped.LSN
	segSize := r.control.WALSegSize
	kind := wal.ClassifyStop(stop, segSize)
	if kind != wal.StopAtRecord {
		r.emit(StopLSNInvalid{LSN: stop})
	}
	r.emit(StopLSN{LSN: stop})
	limit, cancel := context.WithTimeout(ctx, r.opts.archiveTimeout())
	defer cancel()
	segment := wal.SegmentNameAt(r.timeline, stop, segSize)
	r.emit(LookingForLSN{LSN: stop, Segment: segment})
	point, err := r.findStop(limit, stop, segment)
	if err != nil {
		return r.stopError(ctx, err, stop, segment)
	}
	r.backup.StopLSN = point.LSN
	if point.Prior {
		r.emit(PriorLSNFound{Record: point.LSN, End: point.EndLSN, Wanted: stop})
	} else {
		r.emit(LSNFound{LSN: point.LSN})
	}
	return r.finishStream(ctx, point)
}

// findStop looks for the stop record whenever more WAL has come. A primary has
// switched to a new segment, so its whole last segment arrives soon; a standby
// may never send more than it had (spec/formats.md §10.4).
func (r *run) findStop(ctx context.Context, stop wal.LSN, segment string) (wal.StopPoint, error) {
	recv := r.stream.recv
	// A position at a page border may be the end of the last record there
	// is: no next record will come on an idle server.
	prior := r.backup.FromReplica || wal.ClassifyStop(stop, r.control.WALSegSize) != wal.StopAtRecord
	need := stop
	if !r.backup.FromReplica {
		need = segmentEnd(stop, r.control.WALSegSize)
	} else {
		r.emit(StandbyTargetWait{})
	}
	if recv.Written() < need {
		r.emit(WaitingForLSN{LSN: stop, Segment: segment})
		if err := recv.WaitFor(ctx, need); err != nil {
			return wal.StopPoint{}, err
		}
	}
	r.emit(SegmentFound{Path: path.Join(r.walPath(), segment)})
	opts, err := r.readerOptions()
	if err != nil {
		return wal.StopPoint{}, err
	}
	src := wal.Dir{FS: r.deps.FS, Path: r.walPath()}
	for {
		seen := recv.Written()
		r.emit(OpeningSegment{Path: path.Join(r.walPath(), segment)})
		point, err := wal.FindStop(ctx, src, opts, stop, r.backup.StartLSN, prior)
		if err == nil || !wal.Incomplete(err) {
			return point, err
		}
		if werr := recv.WaitFor(ctx, seen+1); werr != nil {
			return point, errors.Join(err, werr)
		}
	}
}

func (r *run) readerOptions() (wal.ReaderOptions, error) {
	format, err := r.walFormat()
	if err != nil {
		return wal.ReaderOptions{}, err
	}
	return wal.ReaderOptions{
		Format: format, Timeline: r.timeline, SegSize: r.control.WALSegSize, SystemID: r.opts.SystemID,
	}, nil
}

// segmentEnd is the end of the segment that holds the byte before lsn.
func segmentEnd(lsn wal.LSN, segSize uint32) wal.LSN {
	return wal.SegmentStart(wal.SegmentNumber(lsn-1, segSize)+1, segSize)
}

// stopError finds the C tool's words for a stop record that did not come.
func (r *run) stopError(ctx context.Context, err error, stop wal.LSN, segment string) error {
	seconds := int(r.opts.archiveTimeout() / time.Second)
	var se *wal.StopError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded) && r.stream.recv.Written() <= stop:
		return usererr.Wrap(err, "WAL segment %s could not be streamed in %d seconds", segment, seconds)
	case errors.Is(err, context.DeadlineExceeded):
		return usererr.Wrap(err, "WAL segment %s was streamed, but target LSN %s could not be archived in %d seconds", segment, stop, seconds)
	case errors.As(err, &se) && se.Kind == wal.StopInvalid:
		return usererr.Wrap(err, "Invalid stop_backup_lsn value %s", stop)
	case errors.As(err, &se) && se.Kind == wal.StopAtSegmentStart:
		return usererr.Wrap(err, "Failed to get next WAL record after %s", stop)
	case errors.As(err, &se) && se.Kind == wal.StopAtPageStart:
		return usererr.Wrap(err, "Failed to get WAL record next to %s", stop)
	}
	return streamError(err)
}

// finishStream stops the receiver behind the stop record. On a primary the
// rest of the segment has been written by the switch, so the file is complete.
func (r *run) finishStream(ctx context.Context, point wal.StopPoint) error {
	end := point.EndLSN
	if !r.backup.FromReplica {
		end = max(segmentEnd(end, r.control.WALSegSize), end)
		if r.stream.recv.Written() < end {
			end = point.EndLSN
		}
	}
	r.stream.recv.Stop(end)
	if err := r.stream.recv.Wait(); err != nil {
		return streamError(err)
	}
	r.emit(StreamFinished{LSN: r.stream.recv.Written(), Timeline: r.timeline})
	err := r.stream.close(ctx)
	r.stream = nil
	if err != nil {
		return fmt.Errorf("close replication connection: %w", err)
	}
	return nil
}

// findRecoveryPoint reads the time up to which the backup recovers from the
// WAL itself; the server's clock serves when no record tells.
func (r *run) findRecoveryPoint(ctx context.Context) error {
	opts, err := r.readerOptions()
	if err != nil {
		return err
	}
	r.emit(RecoveryTimeSearch{Segment: path.Join(r.walPath(), wal.SegmentNameAt(r.timeline, r.backup.StopLSN, r.control.WALSegSize))})
	src := wal.Dir{FS: r.deps.FS, Path: r.walPath()}
	t, found, err := wal.RecoveryTime(ctx, src, opts, r.backup.StartLSN, r.backup.StopLSN)
	if err != nil && (!wal.Incomplete(err) || ctx.Err() != nil) {
		return fmt.Errorf("find recovery time in WAL: %w", err)
	}
	if !found {
		r.emit(RecoveryTimeMissing{})
		t = r.stopped.Time
	}
	r.backup.RecoveryTime = t.Truncate(time.Second)
	return nil
}
