package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pagecopy"
)

// copyAndStop is what happens while the server is in backup mode.
func (r *run) copyAndStop(ctx context.Context) error {
	if err := r.placeTablespaces(ctx); err != nil {
		return err
	}
	l, err := r.list(ctx)
	if err != nil {
		return err
	}
	if err := r.checkSpace(l); err != nil {
		return err
	}
	databases, err := r.flavor.Databases(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.emit(DatabaseMapSkipped{Err: err})
	}
	r.source = l
	r.databases = databases
	if err := r.findChanges(ctx, l); err != nil {
		return err
	}
	slices.SortStableFunc(l.items, func(a, b *listed) int { return cmp.Compare(a.size, b.size) })
	if err := r.makeDirs(l); err != nil {
		return err
	}
	// A list before the copy lets any tool see what the backup would hold.
	if err := r.saveList(); err != nil {
		return err
	}
	if err := r.copyFiles(ctx, l); err != nil {
		return err
	}
	return r.stop(ctx)
}

// checkSpace refuses to begin what cannot fit: the estimate is the size of the
// uncompressed data (spec/server.md §3.1 step 13). An increment is estimated
// later, by what has changed; the C tool asks for room for a FULL.
func (r *run) checkSpace(l *listing) error {
	r.backup.PGDataBytes = l.bytes
	space, err := r.deps.FS.Statfs(r.backup.Dir)
	if err != nil {
		return fmt.Errorf("get free disk space: %w", err)
	}
	r.emit(DataDirectory{BackupDir: r.backup.Dir, Space: space, Estimated: l.bytes})
	if r.parent == nil && space.Avail() < l.bytes {
		return noSpace()
	}
	return nil
}

// makeDirs makes every listed directory in the backup, parents first.
func (r *run) makeDirs(l *listing) error {
	var dirs []string
	for _, it := range l.items {
		if isDir(it.Mode) {
			dirs = append(dirs, path.Join(r.backup.EntryDir(it.ExternalDir), it.Path))
		}
	}
	slices.Sort(dirs)
	parents := map[string]struct{}{}
	for _, d := range dirs {
		if err := fsx.MkdirAll(r.deps.FS, d, 0o700); err != nil {
			return fmt.Errorf("make backup directory: %w", err)
		}
		parents[path.Dir(d)] = struct{}{}
	}
	if r.opts.NoSync {
		return nil
	}
	for d := range parents {
		if err := r.deps.FS.SyncDir(d); err != nil {
			return fmt.Errorf("sync backup directory: %w", err)
		}
	}
	return nil
}

// tasks turns the listing into work for the copy engine. Item is the index in
// the listing.
func (r *run) tasks(l *listing) []pagecopy.Task {
	tasks := make([]pagecopy.Task, 0, len(l.items))
	dirs := []*pagecopy.Dirs{{Source: r.opts.PGData, Dest: r.backup.EntryDir(0)}}
	for n, dir := range r.opts.ExternalDirs {
		dirs = append(dirs, &pagecopy.Dirs{Source: dir, Dest: r.backup.EntryDir(n + 1)})
	}
	for i := range l.items {
		it := l.items[i]
		if isDir(it.Mode) {
			continue
		}
		t := pagecopy.Task{
			Item: i, Dirs: dirs[it.ExternalDir], Path: it.Path, Size: it.size, Mode: it.Mode,
		}
		switch {
		case it.IsDatafile:
			t.Kind, t.Mode = pagecopy.Pages, 0o600
			t.FirstBlock, t.Compressed = it.firstBlock, it.compressed
		default:
			t.Kind = r.plainKind(it)
			t.Units, t.FirstBlock = r.units(it)
		}
		r.leaveOut(it, &t)
		tasks = append(tasks, t)
	}
	return tasks
}

func (r *run) sourceDir(it *listed) string {
	if it.ExternalDir == 0 {
		return r.opts.PGData
	}
	return r.opts.ExternalDirs[it.ExternalDir-1]
}

// transferFailed ends the phase of a copy that did not come to its end.
func (r *run) transferFailed(elapsed time.Duration) {
	r.emit(CopyFinished{})
	r.emit(TransferFailed{Elapsed: elapsed})
}

// copyFiles runs the copy engine and notes each result in the listing.
func (r *run) copyFiles(ctx context.Context, l *listing) (err error) {
	began := r.deps.Now()
	tasks := r.tasks(l)
	if err := r.checkNeed(tasks); err != nil {
		return err
	}
	var bytes int64
	for i := range tasks {
		bytes += tasks[i].Size
	}
	r.emit(CopyStarted{Files: len(tasks), Bytes: bytes, Threads: max(r.opts.Threads, 1)})
	defer func() {
		elapsed := r.deps.Now().Sub(began)
		switch {
		case err == nil:
			r.emit(CopyFinished{})
			r.emit(Transferred{Elapsed: elapsed})
		case ctx.Err() == nil:
			r.failing(err)
			r.transferFailed(elapsed)
		default: // the cause is known outside, and is told first
			r.torn = &elapsed
		}
	}()
	headers := newHeaderMap(r)
	done := 0
	err = pagecopy.Copy(ctx, pagecopy.Options{
		Source: r.deps.Host, Out: r.deps.FS, Workers: max(r.opts.Threads, 1),
		Headers: blockfile.NewMapWriter(headers), Rules: r.rules,
		Alg: r.opts.Algorithm, Level: r.opts.Level, NoSync: r.opts.NoSync,
		Done: func(t *pagecopy.Task, res pagecopy.Result) error {
			done++
			r.noteResult(l.items[t.Item], res)
			r.emit(FileCopied{Path: t.Path, Size: t.Size, Done: done, Total: len(tasks)})
			return nil
		},
	}, tasks)
	return errors.Join(err, headers.close())
}

// noteResult fills in the list entry of a copied file (formats.md §4.1).
func (r *run) noteResult(it *listed, res pagecopy.Result) {
	if res.Outcome == pagecopy.Vanished {
		it.vanished = true
		return
	}
	e := &it.Entry
	e.Size, e.CRC, e.CompressAlg = res.Size, res.CRC, res.Alg
	if e.IsDatafile {
		e.NBlocks = int(res.Blocks)
		e.NHeaders, e.HdrCRC, e.HdrOff, e.HdrSize = res.Headers.N, res.Headers.CRC, res.Headers.Off, int(res.Headers.Size)
		if res.Partial != 0 {
			r.emit(InvalidFileSize{Path: path.Join(r.sourceDir(it), it.Path), Size: it.size})
		}
	}
	if res.Outcome == pagecopy.Unchanged || it.known && res.Size == 0 && res.Blocks > 0 {
		e.Size = contentlist.SizeUnchanged
	}
	if e.CompressAlg == compress.Undefined {
		e.CompressAlg = compress.None
	}
	if res.Control != nil {
		r.copied = res.Control
	}
}

// headerMap is page_header_map, made with the first byte written to it.
type headerMap struct {
	r    *run
	file fsx.File
}

func newHeaderMap(r *run) *headerMap { return &headerMap{r: r} }

func (h *headerMap) Write(p []byte) (int, error) {
	if h.file == nil {
		f, err := createFile(h.r.deps.FS, h.r.backup.HeaderMapPath())
		if err != nil {
			return 0, err
		}
		h.file = f
		h.r.emit(HeaderMapCreated{Path: h.r.backup.HeaderMapPath()})
	}
	return h.file.Write(p)
}

// close makes the map durable.
func (h *headerMap) close() error {
	if h.file == nil {
		return nil
	}
	var err error
	if !h.r.opts.NoSync {
		err = h.file.Sync()
	}
	if cerr := h.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write page header map: %w", err)
	}
	return nil
}

// elapsedSince is the time since t, never negative.
func (r *run) elapsedSince(t time.Time) time.Duration { return max(r.deps.Now().Sub(t), 0) }
