package merge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// work is the merging of the files of one chain.
type work struct {
	*merge
	members []*member // FULL first
	todo    []*catalog.Entry
	total   int
	suffix  string // of staged files
	// moved tells that external directories are numbered anew: nothing in
	// them can stay where it is.
	moved    bool
	turned   turned
	rules    pgdata.PageRules
	segment  uint32
	deferred bool // names are given when everything is staged
	stage    *stage
}

// files makes the FULL what the destination is, up to the MERGED status.
func (m *merge) files(ctx context.Context) (err error) {
	w := &work{merge: m}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(); err != nil {
		return err
	}
	m.emit(DirectoriesMade{Dir: m.full.DatabaseDir()})
	m.emit(FilesStarted{})
	began := m.deps.Now()
	err = w.mergeFiles(ctx)
	if err != nil && ctx.Err() != nil {
		err = usererr.Wrap(err, "Interrupted during merge")
	}
	m.emit(FilesFinished{Elapsed: max(m.deps.Now().Sub(began), 0), Err: err})
	if err != nil {
		return err
	}
	return w.seal(ctx)
}

func (w *work) close() error {
	var errs []error
	for _, m := range w.members {
		errs = append(errs, m.close())
	}
	if w.stage != nil {
		errs = append(errs, w.stage.close())
	}
	return errors.Join(errs...)
}

// open reads all lists.
func (w *work) open() error {
	if err := w.openMembers(); err != nil {
		return err
	}
	dirs := w.dest.Externals()
	w.moved = !slices.Equal(w.full.Externals(), dirs) && w.full.ExternalDirs != ""
	layout, err := validate.LayoutOf(w.dest)
	if err != nil {
		return err
	}
	w.rules = pgdata.PageRules{Family: layout.Family, Checksums: w.dest.ChecksumVersion != 0}
	w.segment = w.relSegBlocks()
	for i := range w.destMember().entries {
		if e := &w.destMember().entries[i]; e.IsRegular() {
			w.todo = append(w.todo, e)
		}
	}
	w.total = len(w.todo)
	w.suffix = w.freeSuffix()
	w.findTurned()
	slices.SortStableFunc(w.todo, func(a, b *catalog.Entry) int { return cmp.Compare(weight(b), weight(a)) })
	return nil
}

func (w *work) openMembers() error {
	dirs := w.dest.Externals()
	var doubt error
	for _, b := range w.chain {
		m, err := openMember(w.deps.FS, b, dirs)
		var sum *catalog.ContentCRCError
		if b == w.full && b.Status == catalog.StatusMerging && errors.As(err, &sum) {
			doubt = err
			unchecked := *b
			unchecked.ContentCRC = 0
			m, err = openMember(w.deps.FS, &unchecked, dirs)
		}
		if err != nil {
			return err
		}
		w.members = append(w.members, m)
	}
	if doubt != nil && !isResult(w.fullMember().entries, w.destMember().entries) {
		return doubt
	}
	return nil
}

func (w *work) destMember() *member { return w.members[len(w.members)-1] }
func (w *work) fullMember() *member { return w.members[0] }

// relSegBlocks is the number of blocks of a segment file.
func (w *work) relSegBlocks() uint32 {
	name := filepath.Join(w.dest.DatabaseDir(), pgdata.ControlPath)
	raw, err := fsx.ReadFile(w.deps.FS, name, 2*pgdata.ControlFileSize)
	if err == nil {
		if c, err := pgdata.ParseControl(raw); err == nil && c.RelSegBlocks != 0 {
			return c.RelSegBlocks
		}
	}
	return pgdata.DefaultRelSegBlocks // the check of the result compares what comes of it
}

// freeSuffix is the C tool's, so that it uses our left-overs up when it goes
// on with our merge, unless a file of the backup is called so.
func (w *work) freeSuffix() string {
	for suffix := "_tmp2"; ; suffix += "_" {
		taken := slices.ContainsFunc(w.destMember().entries, func(e catalog.Entry) bool { return strings.HasSuffix(e.Path, suffix) })
		if !taken {
			return suffix
		}
	}
}

// weight orders files: those that will take longest first.
func weight(e *catalog.Entry) int64 {
	return max(e.Size, int64(e.NBlocks)*blockfile.PageSize)
}

// final is where the stored file of an entry will be.
func (w *work) final(e *catalog.Entry) string {
	return filepath.Join(w.full.EntryDir(e.ExternalDir), e.Path)
}

// temp is where it is until then.
func (w *work) temp(e *catalog.Entry) string { return w.aside(w.final(e)) + w.suffix }

// mergeFiles stages and commits all files.
func (w *work) mergeFiles(ctx context.Context) error {
	if err := w.resume(); err != nil {
		return err
	}
	if err := w.checkSpace(); err != nil {
		return err
	}
	if err := w.stage.begin(); err != nil {
		return err
	}
	if !w.deferred {
		if err := w.mark(); err != nil {
			return err
		}
	}
	if err := w.directories(); err != nil {
		return err
	}
	w.emit(HeaderMapCreated{Path: w.stage.mapPath()})
	results := make(chan staged, w.threads)
	stop := make(chan struct{}) // the committer has failed
	g, gctx := errgroup.WithContext(ctx)
	committer := make(chan error, 1)
	go func() {
		err := w.stage.collect(ctx, results)
		if err != nil {
			close(stop)
			for range results { // let the workers end
			}
		}
		committer <- err
	}()
	items := make(chan *catalog.Entry)
	g.Go(func() error {
		defer close(items)
		for _, e := range w.todo {
			select {
			case items <- e:
			case <-stop:
				return nil
			case <-gctx.Done():
				return context.Cause(gctx)
			}
		}
		return nil
	})
	for range w.threads {
		g.Go(func() error { return w.worker(gctx, items, results) })
	}
	err := g.Wait()
	close(results)
	if err = errors.Join(err, <-committer); err != nil {
		return err
	}
	if w.deferred {
		if err := w.mark(); err != nil {
			return err
		}
	}
	return w.stage.commit(ctx)
}

// mark says of the whole chain that it is being merged, the FULL first.
func (w *work) mark() error {
	dest := w.result
	err := w.deps.Instance.UpdateControl(w.full, func(b *catalog.Backup) {
		b.Status, b.MergeDestID = catalog.StatusMerging, dest
		b.ContentCRC = 0 // see the package comment
	})
	if err != nil {
		return fmt.Errorf("mark backup %s as being merged: %w", w.full.ID, err)
	}
	for _, b := range w.chain[1:] {
		if b.Status == catalog.StatusMerging {
			continue
		}
		if err := w.deps.Instance.SetStatus(b, catalog.StatusMerging); err != nil {
			return fmt.Errorf("mark backup %s as being merged: %w", b.ID, err)
		}
	}
	return nil
}

// directories makes those that the FULL does not have.
func (w *work) directories() error {
	for dir := range w.resultDirs() {
		if err := w.makeDir(w.aside(dir)); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) makeDir(dir string) error {
	if err := fsx.MkdirAllDurable(w.deps.FS, dir, 0o700); err != nil {
		return usererr.Wrap(err, "Cannot create directory \"%s\": %s", dir, usererr.SystemText(err))
	}
	return nil
}

// resultDirs are the directories in which the result keeps its files.
func (w *work) resultDirs() map[string]bool {
	dirs := map[string]bool{}
	for n := range w.dest.Externals() {
		dirs[w.full.ExternalDir(n+1)] = true
	}
	for i := range w.destMember().entries {
		e := &w.destMember().entries[i]
		if e.IsDir() {
			dirs[filepath.Join(w.full.EntryDir(e.ExternalDir), e.Path)] = true
		} else if e.IsRegular() {
			dirs[filepath.Dir(w.final(e))] = true
		}
	}
	return dirs
}

// checkSpace decides whether everything can be staged before the first file
// is replaced.
func (w *work) checkSpace() error {
	var all int64
	var largest []int64
	for _, e := range w.todo {
		if w.keeps(e) {
			continue
		}
		n := w.estimate(e)
		all += n
		largest = append(largest, n)
	}
	slices.SortFunc(largest, func(a, b int64) int { return cmp.Compare(b, a) })
	few := int64(0)
	for i := 0; i < len(largest) && i < w.threads; i++ {
		few += largest[i]
	}
	space, err := w.deps.FS.Statfs(w.full.Dir)
	if err != nil {
		return fmt.Errorf("look for free space: %w", err)
	}
	const spare = 16 << 20 // lists, headers, directories
	w.deferred = space.Avail() >= all+spare || w.moved
	if space.Avail() < few+spare || w.moved && space.Avail() < all+spare {
		return usererr.New("Not enough free space in \"%s\" to merge: %d bytes are needed, %d are available", w.full.Dir, few+spare, space.Avail())
	}
	return nil
}

// estimate is at least about what a new file will take.
func (w *work) estimate(e *catalog.Entry) int64 {
	if w.mayPatch(e) { // what it grows by
		return int64(e.NBlocks-w.fullMember().find(e).NBlocks) * frameSize
	}
	sum := int64(0)
	for _, m := range w.members {
		if x := m.find(e); x != nil {
			sum += max(x.Size, 0)
		}
	}
	if e.IsDatafile && e.NBlocks > 0 {
		sum = min(sum, int64(e.NBlocks)*blockfile.MaxFrameSize)
	}
	return sum
}

// end is the time the merge is done: not before it began, nor before the start
// of the destination, whose ID is ahead of the clock when backups were taken
// within one second.
func (w *work) end() time.Time {
	end := w.deps.Now().Truncate(time.Second)
	for _, t := range []time.Time{w.began, w.dest.StartTime()} {
		if end.Before(t) {
			end = t
		}
	}
	return end
}

// outputAlgorithm is the destination's; row-compressed relations are never
// stored without one (spec/formats.md §5.3).
func (w *work) outputAlgorithm(e *catalog.Entry) compress.Algorithm {
	alg := algorithm(w.dest.CompressAlg)
	if alg == compress.None && e.Compressed != nil {
		return compress.PGLZ
	}
	return alg
}
