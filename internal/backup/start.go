package backup

import (
	"context"
	"fmt"
	"os"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walstream"
)

// startServer puts the server in backup mode. From the moment the request is
// sent the server may be in it, whatever is heard back.
func (r *run) startServer(ctx context.Context) error {
	r.inBackupMode = true
	lsn, err := r.flavor.StartBackup(ctx, server.StartOptions{
		Label:      optvalue.FormatTime(r.backup.StartTime(), time.Local) + " with pg_probackup",
		Fast:       !r.opts.Smooth,
		InRecovery: r.backup.FromReplica,
	})
	if err != nil {
		return err
	}
	r.startLSN, r.backup.StartLSN = lsn, lsn
	if err := r.slots(ctx); err != nil {
		return err
	}
	if err := r.saveControl(); err != nil {
		return err
	}
	return r.linkParent()
}

// slots finds the logical slots to include. Their WAL must be in the backup,
// so the start position moves back to the oldest they need (spec/server.md
// §2.1 #9).
func (r *run) slots(ctx context.Context) error {
	if !r.opts.BackupReplSlots {
		return nil
	}
	slots, err := r.flavor.LogicalSlots(ctx)
	if err != nil {
		return err
	}
	r.layout.KeepSlots = []string{}
	for _, s := range slots {
		r.layout.KeepSlots = append(r.layout.KeepSlots, s.Name)
		if s.RestartLSN != 0 {
			r.backup.StartLSN = min(r.backup.StartLSN, s.RestartLSN)
		}
	}
	r.emit(ReplicationSlots{Found: len(slots) > 0})
	return nil
}

// stream is the WAL stream of a backup.
type stream struct {
	conn *server.ReplConn
	recv *walstream.Receiver
	stop context.CancelFunc
}

// startStream begins to receive WAL from the start position's segment on. When
// the stream dies, the whole backup is cancelled with its cause at once.
//
// Nothing is written between the commands: a walsender of openGauss hangs up
// when it hears nothing for wal_sender_timeout, 6 seconds, and a busy disk may
// take longer for a sync.
func (r *run) startStream(ctx context.Context, cancel context.CancelCauseFunc) error {
	if err := r.makeWALDir(); err != nil {
		return err
	}
	conn, err := r.conn.ConnectReplication(ctx)
	if err != nil {
		return err
	}
	// The receiver outlives the backup's context by a moment, so that abort
	// can end it in order.
	sctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stream = &stream{conn: conn, stop: stop}
	sys, err := conn.IdentifySystem(ctx)
	if err != nil {
		return err
	}
	if r.layout.Family == pgdata.PostgreSQL {
		r.timeline = sys.Timeline // pg_control lags behind on a standby
	}
	r.backup.Timeline = r.timeline
	if err := sys.Check(server.Identity{SystemID: r.opts.SystemID, Timeline: r.timeline}); err != nil {
		return err
	}
	slot, err := r.slot(ctx, conn)
	if err != nil {
		return err
	}
	start := walstream.StartPosition(r.backup.StartLSN, r.control.WALSegSize)
	r.emit(StreamIdentified{LSN: start, Timeline: r.timeline})
	copyStream, err := conn.StartReplication(ctx, r.flavor.ReplicationStartCommand(slot, start, r.timeline))
	if err != nil {
		ue := usererr.Wrap(err, "could not start replication: %s", server.ServerText(err))
		ue.Hint = server.StreamAdvice(err, slot)
		return ue
	}
	r.stream.recv, err = walstream.Start(sctx, copyStream, walstream.Options{
		Dialect:       r.dialect(),
		FS:            r.deps.FS,
		Dir:           r.walPath(),
		Timeline:      r.timeline,
		SegSize:       r.control.WALSegSize,
		Start:         start,
		Slot:          slot != "",
		RenamePartial: r.backup.FromReplica,
		StallTimeout:  r.opts.RWTimeout,
		Events:        r.deps.Sink,
	})
	if err != nil {
		return fmt.Errorf("receive WAL: %w", err)
	}
	go r.watchStream(ctx, r.stream.recv, cancel)
	return r.saveControl() // the timeline
}

// makeWALDir makes the directory for the stream, which begins before the
// listing that makes all others.
func (r *run) makeWALDir() error {
	if err := fsx.MkdirAll(r.deps.FS, r.walPath(), 0o700); err != nil {
		return fmt.Errorf("make backup directory: %w", err)
	}
	if r.opts.NoSync {
		return nil
	}
	if err := r.deps.FS.SyncDir(r.backup.DatabaseDir()); err != nil {
		return fmt.Errorf("sync backup directory: %w", err)
	}
	return nil
}

// slot returns the slot to stream with, made now if it is a temporary one.
func (r *run) slot(ctx context.Context, conn *server.ReplConn) (string, error) {
	slot := r.opts.Slot
	if !r.opts.TempSlot {
		return slot, nil
	}
	name := slot
	if name == "" {
		name = fmt.Sprintf("gs_probackup_%d", os.Getpid())
	}
	command, ok := r.flavor.TempSlotCommand(name)
	if !ok {
		return slot, nil // openGauss has none: --temp-slot has no effect, as in C
	}
	lsn, err := conn.CreateTempSlot(ctx, command)
	if err != nil {
		return "", err
	}
	if lsn > r.backup.StartLSN && lsn != 0 {
		// The slot keeps WAL from a later position on; what lies before is
		// streamed at once, so it is still there.
		return name, nil
	}
	return name, nil
}

// watchStream cancels the backup when the stream ends before it was told to.
func (r *run) watchStream(ctx context.Context, recv *walstream.Receiver, cancel context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case <-recv.Done():
		if err := recv.Wait(); err != nil {
			cancel(streamError(err))
		}
	}
}

// streamError is a stream that ended before the backup did. Errors of the
// catalog's disk speak for themselves.
func streamError(err error) error {
	ue := usererr.Wrap(err, "WAL streaming failed: %v", err)
	if !walstream.IsStorage(err) {
		ue.Hint = server.StreamAdvice(err, "")
	}
	return ue
}

func (r *run) dialect() walstream.Dialect {
	if r.layout.Family == pgdata.OpenGauss {
		return walstream.OpenGauss()
	}
	return walstream.PostgreSQL()
}

// walFormat is the dialect of the WAL itself.
func (r *run) walFormat() (wal.Format, error) {
	if r.layout.Family == pgdata.OpenGauss {
		return wal.OpenGauss(), nil
	}
	return wal.PostgreSQL(r.layout.Major)
}

// abort ends the stream of a failed backup; what it has stored stays.
func (s *stream) abort() {
	s.stop()
	if s.recv != nil {
		<-s.recv.Done()
	}
}

// close ends the replication connection and with it a temporary slot.
func (s *stream) close(ctx context.Context) error {
	s.stop()
	return s.conn.Close(ctx)
}
