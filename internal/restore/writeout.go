package restore

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/pieces"
	"gsprobackup/internal/remote"
)

// writeOut writes the files of a chain to the target.
type writeOut struct {
	*run
	members []*member // FULL first
	entries []*contentlist.Entry
	madeMu  sync.Mutex
	made    []string // directories, parents first

	// present are the files and directories that are there already and may
	// be used, same the entries whose content is right.
	present map[fileKey]present
	same    []bool
	// isOf7 tells whether the backup is of an openGauss 7.0.
	isOf7 func() (bool, error)

	queue   *pieces.Queue[*pageFile]
	syncer  *syncer
	written atomic.Int64
	done    atomic.Int64
	total   int64 // bytes of data, as recorded
}

// controlPending is the name of pg_control until everything is durable.
const controlPending = pgdata.ControlPath + ".restoring"

func (r *run) newWriteOut() (*writeOut, error) {
	w := &writeOut{run: r, present: map[fileKey]present{}}
	last := len(r.chain) - 1
	for i, b := range r.chain {
		m, err := openMember(r.deps.FS, b, i < last || r.compares())
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.members = append(w.members, m)
	}
	w.findRelease()
	entries := w.destMember().entries
	for i := range entries {
		if oid, _, ok := tablespaceVersion(&entries[i]); ok {
			if spc := w.spaceOf(oid); spc != nil {
				spc.listed = true
			}
		}
	}
	return w, nil
}

func (w *writeOut) close() error {
	var errs []error
	for _, m := range w.members {
		errs = append(errs, m.close())
	}
	w.members = nil
	return errors.Join(errs...)
}

// dest is the backup that is restored.
func (w *writeOut) destMember() *member { return w.members[len(w.members)-1] }

// target is where an entry goes.
func (w *writeOut) target(e *contentlist.Entry) string {
	if e.ExternalDir > 0 {
		return path.Join(w.extDirs[e.ExternalDir-1], e.Path)
	}
	if e.Path == pgdata.ControlPath {
		return path.Join(w.opts.PGData, controlPending)
	}
	return path.Join(w.opts.PGData, e.Path)
}

// restores tells whether an entry is written at all.
func (w *writeOut) restores(e *contentlist.Entry) bool {
	if e.ExternalDir > 0 {
		return !w.opts.SkipExternal && e.ExternalDir <= len(w.extDirs)
	}
	return e.Path != pgdata.TablespaceMapName && e.Path != pgdata.DatabaseMapName
}

// listed finds the regular file that the backup has by this name.
func (w *writeOut) listed(key fileKey) *contentlist.Entry {
	m := w.destMember()
	if i, ok := m.byPath[key]; ok && w.restores(&m.entries[i]) {
		return &m.entries[i]
	}
	return nil
}

// files writes all regular files, largest first.
func (w *writeOut) files(ctx context.Context) (err error) {
	began := w.deps.Now()
	dest := w.destMember()
	for i := range dest.entries {
		e := &dest.entries[i]
		if e.IsRegular() && w.restores(e) {
			w.entries = append(w.entries, e)
		}
	}
	w.total = w.dest.PGDataBytes
	slices.SortStableFunc(w.entries, func(a, b *contentlist.Entry) int { return cmp.Compare(weight(b), weight(a)) })
	w.emit(FilesStarted{Files: len(w.entries), Bytes: w.total})
	defer func() {
		w.emit(FilesFinished{
			Written: w.written.Load(), Bytes: w.total, Elapsed: max(w.deps.Now().Sub(began), 0), Failed: err != nil,
		})
		err = errors.Join(err, w.close())
	}()
	if err := w.compareFiles(ctx); err != nil {
		return err
	}
	w.queue = pieces.New[*pageFile](len(w.entries))
	syncing, giveUp := context.WithCancelCause(ctx)
	w.syncer = newSyncer(syncing, w.deps.Host, w.opts.NoSync, w.threads())
	g, working := errgroup.WithContext(ctx) // ends with the workers, the syncer goes on
	stop := context.AfterFunc(working, w.queue.Stop)
	defer stop()
	for range w.threads() {
		g.Go(func() error { return w.work(working) })
	}
	err = g.Wait()
	if err != nil {
		giveUp(err)
	}
	serr := w.syncer.wait()
	giveUp(nil)
	return cmp.Or(err, serr)
}

// threads is how many workers there are: -j, and more on a far host.
func (w *writeOut) threads() int { return remote.Workers(w.deps.Host, w.opts.Threads) }

// weight orders files: those that will take longest first.
func weight(e *contentlist.Entry) int64 {
	return max(e.Size, int64(e.NBlocks)*blockfile.PageSize)
}

// finished sends a written file to be synced and counts it.
func (w *writeOut) finished(e *contentlist.Entry, target string) {
	w.syncer.put(target)
	w.emit(FileRestored{Path: e.Path, Size: weight(e), Done: int(w.done.Add(1)), Total: len(w.entries)})
}

// finish makes the names durable and gives pg_control its own: from now on
// the directory can be started.
func (w *writeOut) finish(ctx context.Context) error {
	host := w.deps.Host
	began := w.deps.Now()
	if w.opts.NoSync {
		w.emit(SyncSkipped{})
	} else {
		w.emit(SyncStarted{Files: len(w.entries)})
	}
	if err := w.syncDirs(ctx, w.made...); err != nil {
		return err
	}
	control := path.Join(w.opts.PGData, pgdata.ControlPath)
	if err := host.Rename(ctx, path.Join(w.opts.PGData, controlPending), control); err != nil {
		return err
	}
	if err := w.syncDirs(ctx, path.Dir(control)); err != nil {
		return err
	}
	if err := host.Remove(ctx, path.Join(w.opts.PGData, recordName)); err != nil {
		return err
	}
	if err := w.syncDirs(ctx, w.opts.PGData); err != nil {
		return err
	}
	if !w.opts.NoSync {
		w.emit(SyncFinished{Files: len(w.entries), Elapsed: elapsed(w.deps.Now().Sub(began))})
	}
	return nil
}

func elapsed(d time.Duration) time.Duration { return max(d, 0) }
