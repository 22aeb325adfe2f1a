package archive

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

// defaultPrefetch is pg_probackup's name for the directory.
const defaultPrefetch = "pbk_prefetch"

// throughPrefetch hands over the segment from the prefetch directory if it
// waits there, else fetches it together with those behind it. Prefetched files
// were checked on their way in; they are the server's own after that.
func (g *getter) throughPrefetch(ctx context.Context) error {
	dir := g.PrefetchDir
	if dir == "" {
		dir = filepath.Join(filepath.Dir(g.Target), defaultPrefetch)
	}
	waiting := filepath.Join(dir, g.Name)
	if fi, err := g.FS.Lstat(waiting); err == nil {
		// Not synced when it was written: it may have suffered since.
		if g.check(ctx, waiting, g.Name, g.Name, fi.Size()) == nil && g.FS.Rename(waiting, g.Target) == nil {
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := g.clear(dir); err != nil {
		return err
	}
	if err := g.fetch(ctx, g.Name, g.Target, true); err != nil {
		return err
	}
	return g.prefetch(ctx, dir)
}

// clear empties the directory of what earlier calls have left: segments of
// another timeline or that the server did not come for.
func (g *getter) clear(dir string) error {
	entries, err := g.FS.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if len(name) < 24 || !wal.IsSegmentName(name[:24]) {
			continue // not ours
		}
		if err := ignoreMissing(g.FS.Remove(filepath.Join(dir, name))); err != nil {
			return err
		}
	}
	return nil
}

// prefetch gets the segments behind Name that are complete in the archive. One
// that cannot be had is left to the call that asks for it.
func (g *getter) prefetch(ctx context.Context, dir string) error {
	f, err := g.FS.Open(g.Target)
	if err != nil {
		return err
	}
	h, err := firstHeader(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	tli, segno, err := wal.ParseSegmentName(g.Name, h.SegSize)
	if err != nil {
		return err
	}
	if err := fsx.MkdirAll(g.FS, dir, 0o700); err != nil {
		return err
	}
	group := errgroup.Group{}
	group.SetLimit(max(g.Threads, 1))
	for i := 1; i < g.Batch; i++ {
		name := wal.SegmentName(tli, segno+uint64(i), h.SegSize)
		group.Go(func() error {
			err := g.fetch(ctx, name, filepath.Join(dir, name), false)
			if err != nil && !errors.Is(err, ErrNotArchived) {
				g.Sink.Emit(PrefetchFailed{Name: name, Err: err})
			}
			return nil
		})
	}
	return group.Wait()
}
