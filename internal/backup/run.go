package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// run is one backup under way.
type run struct {
	deps Deps
	opts Options

	backup   *catalog.Backup
	noted    string    // the note in the control file, as far as we know
	pinned   time.Time // and the pin
	lock     *lock.Lock
	conn     *server.Conn
	flavor   server.Flavor
	control  *pgdata.Control // of the data directory, before the copy
	layout   pgdata.Layout
	rules    pgdata.PageRules
	timeline wal.Timeline
	stream   *stream

	// startLSN is the position the server answered; backup.StartLSN may lie
	// before it (slots).
	startLSN wal.LSN
	parent   *parent     // nil for a FULL
	diff     *difference // nil for a FULL

	// inBackupMode is set from the moment the server may be in backup mode
	// on our behalf.
	inBackupMode bool
	stopped      *server.StopResult
	// written are the entries of files the tool itself made (formats.md
	// §4.2): appended to the list after the copied files.
	written []contentlist.Entry

	source    *listing
	databases []server.Database
	copied    *pgdata.Control // as stored
	told      bool            // the cause of a failure was emitted
	torn      *time.Duration  // how long files were copied until something else ended it
}

// Run takes a backup and returns what its control file says. After an error
// the server is out of backup mode and the backup, if its directory was made,
// is marked ERROR; the returned backup is nil only if no directory was made.
func Run(ctx context.Context, deps Deps, opts Options) (*catalog.Backup, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Sink == nil {
		deps.Sink = event.Discard
	}
	r := &run{deps: deps, opts: opts}
	err := r.take(ctx)
	if err != nil {
		err = r.fail(ctx, err)
	}
	err = errors.Join(err, r.close(ctx))
	return r.backup, err
}

func (r *run) emit(e event.Event) { r.deps.Sink.Emit(e) }

// take is the backup as a list of steps; each leaves things so that fail can
// clean up behind it.
func (r *run) take(ctx context.Context) error {
	if err := r.create(ctx); err != nil {
		return err
	}
	user := ctx // ends with a signal; the inner one also with a lost connection
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	steps := []func(context.Context) error{
		r.admit,
		r.connect,
		r.checkServer,
		r.findParent,
		r.checkChangeSource,
		r.startServer,
		func(ctx context.Context) error {
			r.watch(ctx, cancel)
			return r.startStream(ctx, cancel)
		},
		r.checkTimeline,
		r.copyAndStop,
		r.seal,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			// A lost connection or stream cancels everything with its
			// cause; that cause is the news, not the cancelled step.
			if cause := context.Cause(ctx); cause != nil && user.Err() == nil {
				return cause
			}
			return err
		}
	}
	return nil
}

// create makes, locks and announces the backup directory.
func (r *run) create(ctx context.Context) error {
	o := &r.opts
	now := r.deps.Now()
	if err := checkExternalPaths(o.ExternalDirs, o.CatalogRoot); err != nil {
		r.started(catalog.ID(now.Unix()))
		return err
	}
	if err := o.checkTexts(); err != nil {
		return err
	}
	b, err := o.Instance.NewBackupDir(now, o.Mode.Recorded(), len(o.ExternalDirs))
	if err != nil {
		return err
	}
	r.started(b.ID)
	b.Stream = true
	if o.WithoutStorage {
		b.StorageType = catalog.StorageAbsent
	}
	if o.WithoutS3 {
		b.S3Status = catalog.S3Absent
	}
	b.CompressAlg, b.CompressLevel = o.Algorithm, o.Level
	b.ExternalDirs = o.externalText()
	r.backup = b
	if r.lock, err = catalog.LockBackup(ctx, o.Instance.NewLocker(), b, lock.Intent{}); err != nil {
		return err
	}
	if err := r.saveControl(); err != nil {
		return err
	}
	r.emit(DestinationReady{ID: b.ID})
	return nil
}

func (r *run) started(id catalog.ID) {
	o := &r.opts
	r.emit(Started{
		ID: id, Instance: o.Instance.Name(), Mode: o.Mode, Stream: true, Remote: o.Remote,
		Algorithm: o.Algorithm, CompressLevel: o.Level,
	})
}

// admit names the directories to the host. Tablespaces go with PGDATA.
func (r *run) admit(ctx context.Context) error {
	return r.deps.Host.Admit(ctx, append([]string{r.opts.PGData}, r.opts.ExternalDirs...)...)
}

func (r *run) connect(ctx context.Context) error {
	conn, err := r.deps.Connect(ctx)
	if err != nil {
		return err
	}
	r.conn, r.flavor = conn, conn.Flavor()
	return nil
}

// watch fails the whole backup as soon as the SQL session is gone: the server
// has then left backup mode, and whatever is copied from now on is worthless.
func (r *run) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	go func() {
		select {
		case <-ctx.Done():
		case <-r.conn.Done():
			cancel(usererr.Wrap(r.conn.Err(), "lost the connection to the server during backup: %v", r.conn.Err()).
				WithHint("the server's log tells why it ended the session; it leaves backup mode by itself then, so take the backup again"))
		}
	}()
}

// saveControl writes backup.control. A note or a pin that set-backup has put
// there meanwhile stays.
func (r *run) saveControl() error {
	if now, err := catalog.ReadControl(r.deps.FS, r.backup.ControlPath(), event.Discard); err == nil {
		if now.Note != r.noted {
			r.backup.Note = now.Note
		}
		if !now.ExpireTime.Equal(r.pinned) {
			r.backup.ExpireTime = now.ExpireTime
		}
	}
	if err := r.opts.Instance.SaveControl(r.backup); err != nil {
		return fmt.Errorf("write control file of backup %s: %w", r.backup.ID, err)
	}
	r.noted, r.pinned = r.backup.Note, r.backup.ExpireTime
	return nil
}

// walPath is the directory of the backup that WAL is streamed into.
func (r *run) walPath() string { return path.Join(r.backup.DatabaseDir(), r.layout.WALDir()) }
