package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
	"gsprobackup/internal/wal"
)

// run is one restore under way.
type run struct {
	deps Deps
	opts Options

	backups []*catalog.Backup // of the instance, newest first
	chain   []*catalog.Backup // FULL first, the backup to restore last
	dest    *catalog.Backup
	layout  pgdata.Layout
	locks   []*lock.Lock

	planned  bool          // lineages and lineage are known
	lineages []wal.Lineage // of the archive, highest timeline first
	lineage  *wal.Lineage  // of the timeline that was asked for
	way      *wal.Lineage  // along which recovery goes
	past     bool          // the target is behind the end of dest after all
	until    string        // where in the archive the target was found, as wal.MarkOf
	recovery []recoveryFile
	command  string // restore_command in it
	// checkOnly is set when nothing will be restored, dry when the catalog
	// must stay as it is, too.
	checkOnly, dry bool
	spaces         []tablespace
	extDirs        []string // where externaldirN goes, in order

	// What was found in the data directory: nothing (newDir), what an
	// interrupted restore left (resumed), or a cluster to use (mode).
	newDir  bool
	resumed *record
	mode    Incremental
	old     *oldControl // its pg_control; nil when there was none
	shift   wal.LSN     // for IncrementalLSN

	excluded map[uint32]bool // databases whose files are made empty
}

// Run restores a backup.
func Run(ctx context.Context, deps Deps, opts Options) (err error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Sink == nil {
		deps.Sink = event.Discard
	}
	r := &run{deps: deps, opts: opts}
	defer func() { err = errors.Join(err, r.unlock()) }()
	return r.do(ctx)
}

// Check does everything a restore does before it writes: it chooses the backup,
// validates its chain and, with a target, looks for it in the archive.
func Check(ctx context.Context, deps Deps, opts Options) (err error) {
	if deps.Sink == nil {
		deps.Sink = event.Discard
	}
	r := &run{deps: deps, opts: opts, checkOnly: true}
	defer func() { err = errors.Join(err, r.unlock()) }()
	return r.check(ctx)
}

func (r *run) emit(e event.Event) { r.deps.Sink.Emit(e) }

func (r *run) check(ctx context.Context) error {
	if err := r.opts.Target.Check(); err != nil {
		return err
	}
	r.emit(Began{Validate: true})
	if err := r.choose(ctx); err != nil {
		return err
	}
	if err := r.lockChain(ctx); err != nil {
		return err
	}
	if err := r.validate(ctx); err != nil {
		return err
	}
	if err := r.decide(); err != nil {
		return err
	}
	r.emit(Completed{ID: r.dest.ID, Validate: true})
	return nil
}

// decideAll does everything before the backups are locked: it decides what
// would be restored, and where to.
func (r *run) decideAll(ctx context.Context) error {
	if err := r.opts.Target.Check(); err != nil {
		return err
	}
	if err := r.deps.Host.Admit(ctx, r.opts.PGData); err != nil {
		return err
	}
	if err := r.lookAtTarget(ctx); err != nil {
		return err
	}
	r.emit(Began{})
	if err := r.choose(ctx); err != nil {
		return err
	}
	if err := r.checkMappings(ctx); err != nil {
		return err
	}
	if err := r.planDatabases(); err != nil {
		return err
	}
	return r.findShift(ctx)
}

func (r *run) do(ctx context.Context) error {
	if err := r.decideAll(ctx); err != nil {
		return err
	}
	if err := r.lockChain(ctx); err != nil {
		return err
	}
	if r.opts.validates() {
		if err := r.validate(ctx); err != nil {
			return err
		}
	}
	if err := r.decide(); err != nil {
		return err
	}
	if err := r.writeAll(ctx); err != nil {
		return err
	}
	r.emit(Completed{ID: r.dest.ID})
	return nil
}

func (r *run) validateDeps() validate.Deps {
	return validate.Deps{FS: r.deps.FS, Instance: r.opts.Instance, Sink: r.deps.Sink}
}

// lockChain keeps others from changing or removing what is being read.
func (r *run) lockChain(ctx context.Context) error {
	locker := r.opts.Instance.NewLocker()
	for _, b := range r.chain {
		k, err := catalog.LockBackup(ctx, locker, b, lock.Intent{})
		if errors.Is(err, fs.ErrNotExist) {
			return catalog.DeletedError(b, err)
		}
		if err != nil {
			return err
		}
		r.locks = append(r.locks, k)
		if r.opts.Instance.Gone(b) {
			return catalog.DeletedError(b, nil)
		}
	}
	return nil
}

func (r *run) unlock() error {
	var errs []error
	for _, l := range r.locks {
		errs = append(errs, l.Release())
	}
	r.locks = nil
	return errors.Join(errs...)
}

// validate checks the files of the chain, oldest first, then the WAL of the
// backup to restore. The first bad member makes its descendants orphans.
func (r *run) validate(ctx context.Context) error {
	if len(r.chain) > 1 {
		r.emit(ValidatingParents{ID: r.dest.ID})
	}
	deps := r.validateDeps()
	opts := validate.Options{
		Threads: r.opts.Threads, SkipBlockValidation: r.opts.SkipBlockValidation, Archive: r.opts.Instance.WALDir(),
	}
	for _, b := range r.chain {
		if err := validate.Files(ctx, deps, b, opts); err != nil {
			return r.explainGone(ctx, b, err)
		}
		if !b.Status.Usable() {
			return validate.MarkOrphans(deps, r.backups, b)
		}
	}
	if r.opts.Target.position() {
		deps.Sink = withoutWALValid{deps.Sink} // reach says how far it goes
	}
	if err := validate.WAL(ctx, deps, r.dest, opts); err != nil || !r.dest.Status.Usable() {
		return r.explainGone(ctx, r.dest, err)
	}
	return r.reach(ctx)
}

// explainGone replaces the error about a file by the reason that it is gone:
// somebody has deleted the backup in spite of the lock, or where no lock can be
// taken.
func (r *run) explainGone(ctx context.Context, b *catalog.Backup, err error) error {
	if err != nil && ctx.Err() == nil && r.opts.Instance.Gone(b) {
		return catalog.DeletedError(b, err)
	}
	return err
}

// decide says whether the backup may be used (spec/server.md §6.2 step 10).
func (r *run) decide() error {
	b := r.dest
	switch {
	case b.Status.Usable() && r.opts.validates():
		r.emit(BackupValid{ID: b.ID})
	case b.Status.Usable():
		r.emit(UsedUnvalidated{ID: b.ID})
	case r.opts.Force:
		r.emit(ForcedInvalid{ID: b.ID, Status: b.Status})
	case b.Status == catalog.StatusCorrupt:
		return usererr.New("Backup %s is corrupt.", b.ID)
	case b.Status == catalog.StatusOrphan:
		return usererr.New("Backup %s is orphan.", b.ID)
	default:
		return usererr.New("Backup %s has status: %s", b.ID, b.Status)
	}
	return nil
}

// writeAll writes the data directory and makes it durable.
func (r *run) writeAll(ctx context.Context) error {
	r.emit(RestoringFrom{StartTime: r.dest.StartTime()})
	for _, b := range r.chain {
		if err := r.usable(b); err != nil {
			return err
		}
	}
	w, err := r.newWriteOut()
	if err != nil {
		return err
	}
	if err := w.directories(ctx); err != nil {
		return errors.Join(err, w.close())
	}
	if err := w.files(ctx); err != nil {
		return err
	}
	if err := r.settings(ctx); err != nil {
		return err
	}
	if err := w.finish(ctx); err != nil {
		return fmt.Errorf("finish restore: %w", err)
	}
	return nil
}

func (r *run) usable(b *catalog.Backup) error {
	switch {
	case b.BlockSize != catalog.BlockSize:
		return usererr.New("BLCKSZ(%d) is not compatible(%d expected)", b.BlockSize, catalog.BlockSize)
	case b.XLogBlockSize != catalog.BlockSize:
		return usererr.New("XLOG_BLCKSZ(%d) is not compatible(%d expected)", b.XLogBlockSize, catalog.BlockSize)
	case b.Status.Usable():
		return nil
	case r.opts.Force:
		r.emit(ForcedInvalid{ID: b.ID, Status: b.Status})
		return nil
	}
	return usererr.New("Backup %s cannot be restored because it is not valid", b.ID)
}
