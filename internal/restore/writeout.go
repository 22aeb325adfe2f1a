package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
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
	made    []string // directories, parents first

	queue   *pieces.Queue[*pageFile]
	syncer  *syncer
	written atomic.Int64
	done    atomic.Int64
	total   int64 // bytes of data, as recorded
}

// controlPending is the name of pg_control until everything is durable.
const controlPending = pgdata.ControlPath + ".restoring"

func (r *run) newWriteOut() (*writeOut, error) {
	w := &writeOut{run: r}
	for i, b := range r.chain {
		m, err := openMember(r.deps.FS, b, i < len(r.chain)-1)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.members = append(w.members, m)
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
	w.queue = pieces.New[*pageFile](len(w.entries))
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, w.queue.Stop)
	defer stop()
	w.syncer = newSyncer(ctx, w.deps.Host, w.opts.NoSync, max(w.opts.Threads, 1))
	for range max(w.opts.Threads, 1) {
		g.Go(func() error { return w.worker(ctx) })
	}
	err = g.Wait()
	return errors.Join(err, w.syncer.wait())
}

// weight orders files: those that will take longest first.
func weight(e *contentlist.Entry) int64 {
	return max(e.Size, int64(e.NBlocks)*blockfile.PageSize)
}

func (w *writeOut) worker(ctx context.Context) (err error) {
	pages, err := w.deps.Host.NewWriter()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.Close()) }()
	var run blockfile.Run
	buf := make([]byte, readRun)
	for {
		j, ok := w.queue.Take()
		if !ok {
			return context.Cause(ctx)
		}
		if j.Open == nil {
			f, err := w.start(ctx, w.entries[j.Item], buf)
			if f == nil {
				w.queue.Opened(nil, 0)
			} else {
				w.queue.Opened(f, len(f.pieces))
			}
			if err != nil {
				return err
			}
			continue
		}
		f := j.Open.File
		n, err := f.writePiece(ctx, f.pieces[j.Piece], pages, &run)
		w.written.Add(n)
		if err != nil {
			return err
		}
		if w.queue.Done(j.Open) {
			if err := f.close(); err != nil {
				return fmt.Errorf("close backup file: %w", err)
			}
			w.finished(f.entry, f.target)
		}
	}
}

// start begins a file. A plain or compressed file is written at once; a data
// file is returned for its pieces to be shared between the workers.
func (w *writeOut) start(ctx context.Context, e *contentlist.Entry, buf []byte) (*pageFile, error) {
	target := w.target(e)
	out, err := w.deps.Host.CreateFile(ctx, target, remote.CreateOptions{Mode: e.Mode & 0o7777})
	if err != nil {
		return nil, fmt.Errorf("restore file: %w", err)
	}
	if !e.IsDatafile || e.IsCFS {
		n, err := w.writePlain(ctx, e, out, buf)
		w.written.Add(n)
		if err = errors.Join(err, out.Close()); err != nil {
			return nil, err
		}
		w.finished(e, target)
		return nil, nil
	}
	f, err := w.pageSources(e, target)
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if f != nil && e.Compressed != nil {
		n, err := f.writeCompressed(ctx, out)
		w.written.Add(n)
		if err = errors.Join(err, out.Close(), f.close()); err != nil {
			return nil, err
		}
		w.finished(e, target)
		return nil, nil
	}
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("restore file: %w", err)
	}
	if f == nil || len(f.pieces) == 0 {
		if f != nil {
			if err := f.close(); err != nil {
				return nil, err
			}
		}
		w.finished(e, target)
		return nil, nil
	}
	return f, nil
}

// pageSources plans a data file; nil when it is empty.
func (w *writeOut) pageSources(e *contentlist.Entry, target string) (*pageFile, error) {
	if e.Size == 0 {
		return nil, nil
	}
	return w.planPages(e, target)
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
	control := path.Join(w.opts.PGData, pgdata.ControlPath)
	if w.opts.NoSync {
		w.emit(SyncSkipped{})
		return host.Rename(ctx, path.Join(w.opts.PGData, controlPending), control)
	}
	w.emit(SyncStarted{Files: len(w.entries)})
	for _, dir := range w.made {
		if err := host.SyncDir(ctx, dir); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	if err := host.Rename(ctx, path.Join(w.opts.PGData, controlPending), control); err != nil {
		return err
	}
	if err := host.SyncDir(ctx, path.Dir(control)); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	w.emit(SyncFinished{Files: len(w.entries), Elapsed: elapsed(w.deps.Now().Sub(began))})
	return nil
}

func elapsed(d time.Duration) time.Duration { return max(d, 0) }
