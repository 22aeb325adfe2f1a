package validate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/pieces"
)

// fileCheck checks the stored files of one backup.
type fileCheck struct {
	FS      fsx.FS
	Sink    event.Sink
	Backup  *catalog.Backup
	Pages   pageSettings
	Threads int
	Thrifty bool                          // see Options
	Known   func(*contentlist.Entry) bool // see Options; nil for none

	headerMap fsx.File
	mapPath   string
	files     []*contentlist.Entry
	queue     *pieces.Queue[*dataFile]
	bad       atomic.Bool
	done      atomic.Int64
	total     int
}

// run checks every listed file that has stored bytes and reports whether all
// are good. The error is for failures of the check itself, such as a
// cancelled context.
func (c *fileCheck) run(ctx context.Context, entries []contentlist.Entry) (bool, error) {
	files := c.stored(entries)
	c.total = len(files)
	c.mapPath = c.Backup.HeaderMapPath()
	if f, err := c.FS.Open(c.mapPath); err == nil {
		c.headerMap = f
		defer f.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		c.Sink.Emit(FileUnreadable{Path: c.mapPath, Err: err})
		c.bad.Store(true)
	}
	var bytes int64
	for _, e := range files {
		bytes += e.Size
	}
	c.Sink.Emit(FilesStarted{Total: c.total, Bytes: bytes})
	defer func() { c.Sink.Emit(FilesFinished{}) }()

	c.files = files
	c.queue = pieces.New[*dataFile](len(files))
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, c.queue.Stop)
	defer stop()
	for range max(c.Threads, 1) {
		g.Go(func() error { return c.worker(ctx) })
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	return !c.bad.Load(), nil
}

// stored selects the regular files with bytes in the backup, largest first,
// and reports entries that cannot be.
func (c *fileCheck) stored(entries []contentlist.Entry) []*contentlist.Entry {
	var files []*contentlist.Entry
	for i := range entries {
		e := &entries[i]
		if !e.IsRegular() {
			continue
		}
		if e.Size < 0 && c.Backup.Mode == catalog.ModeFull {
			c.Sink.Emit(FileMetadata{Path: c.path(e)})
			c.bad.Store(true)
		}
		if e.Size > 0 {
			files = append(files, e)
		}
	}
	slices.SortStableFunc(files, func(a, b *contentlist.Entry) int { return cmp.Compare(b.Size, a.Size) })
	return files
}

// path is where an entry's bytes are stored.
func (c *fileCheck) path(e *contentlist.Entry) string {
	return filepath.Join(c.Backup.EntryDir(e.ExternalDir), e.Path)
}

func (c *fileCheck) worker(ctx context.Context) error {
	pages := newPageChecker(c.Sink)
	buf := make([]byte, readRun)
	for {
		j, ok := c.queue.Take()
		if !ok {
			return context.Cause(ctx)
		}
		if j.Open == nil {
			d, err := c.start(ctx, c.files[j.Item], buf)
			if d == nil {
				c.queue.Opened(nil, 0)
			} else {
				c.queue.Opened(d, len(d.pieces))
			}
			if err != nil {
				return err
			}
			continue
		}
		d := j.Open.File
		good, err := pages.checkPiece(d, &d.pieces[j.Piece], c.Pages)
		if err != nil {
			return err
		}
		if !good {
			d.bad.Store(true)
		}
		if c.queue.Done(j.Open) {
			if err := c.finish(d, pages); err != nil {
				return err
			}
		}
	}
}

// start opens an entry's file. A plain file is checked at once; a data file
// is returned to be shared between workers.
func (c *fileCheck) start(ctx context.Context, e *contentlist.Entry, buf []byte) (*dataFile, error) {
	path := c.path(e)
	f, err := c.FS.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			c.Sink.Emit(FileMissing{Path: path})
		} else {
			c.Sink.Emit(FileUnreadable{Path: path, Err: err})
		}
		c.checked(path, e, false)
		return nil, nil
	}
	fi, err := f.Stat()
	if err != nil || fi.Size() != e.Size {
		if err != nil {
			c.Sink.Emit(FileUnreadable{Path: path, Err: err})
		} else {
			c.Sink.Emit(FileSize{Path: path, Found: fi.Size(), Expected: e.Size})
		}
		c.checked(path, e, false)
		return nil, f.Close()
	}
	if e.IsDatafile && !e.IsCFS {
		d := openDataFile(path, e, c.mapPath, readerAt(c.headerMap), f, c.Sink)
		if d == nil {
			c.checked(path, e, false)
			return nil, f.Close()
		}
		if c.Thrifty {
			c.future(d)
		}
		if c.Known == nil || !c.Known(e) {
			return d, nil
		}
		c.checked(path, e, true)
		return nil, f.Close()
	}
	defer f.Close() // read only
	if c.Known != nil && c.Known(e) {
		c.checked(path, e, true)
		return nil, nil
	}
	good, err := c.plainFile(ctx, path, e, f, buf)
	if err != nil {
		return nil, err
	}
	c.checked(path, e, good)
	return nil, nil
}

// finish compares a data file's CRC once all its pieces are checked, also when
// a bad page was found: C tells both.
func (c *fileCheck) finish(f *dataFile, pages *pageChecker) error {
	good := !f.bad.Load()
	if !f.unread.Load() {
		if found := f.crc(); found != f.entry.CRC {
			if err := c.nameDamage(f, pages); err != nil {
				return err
			}
			c.Sink.Emit(FileCRC{Path: f.path, Found: found, Expected: f.entry.CRC, Paged: true})
			good = false
		}
	}
	if err := f.src.Close(); err != nil {
		c.Sink.Emit(FileUnreadable{Path: f.path, Err: err})
		good = false
	}
	c.checked(f.path, f.entry, good)
	return nil
}

// future reports pages that are younger than the backup, by their headers.
func (c *fileCheck) future(d *dataFile) {
	if c.Pages.StopLSN == 0 {
		return
	}
	for _, h := range d.headers {
		if h.LSN > c.Pages.StopLSN {
			c.Sink.Emit(PageFuture{
				Path: d.path, File: d.entry.Path, Block: h.Block,
				ChecksumKnown: c.Pages.Rules.Checksums, PageLSN: h.LSN, Stop: c.Pages.StopLSN,
			})
		}
	}
}

// nameDamage looks at the pages that a thrifty check has passed over.
func (c *fileCheck) nameDamage(f *dataFile, pages *pageChecker) error {
	if !c.Thrifty {
		return nil
	}
	s := c.Pages
	s.CRCOnly, s.StopLSN = false, 0 // see future
	for _, p := range f.pieces {
		if _, err := pages.checkPiece(f, &p, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *fileCheck) checked(path string, e *contentlist.Entry, good bool) {
	if !good {
		c.bad.Store(true)
	}
	c.Sink.Emit(FileChecked{Path: path, Size: e.Size, Done: int(c.done.Add(1)), Total: c.total})
}

// plainFile compares the CRC of a file that was copied as it is. pg_control is
// known by the CRC inside it (spec/formats.md §9.2).
func (c *fileCheck) plainFile(ctx context.Context, path string, e *contentlist.Entry, f fsx.File, buf []byte) (bool, error) {
	if e.Path == pgdata.ControlPath && e.ExternalDir == 0 {
		return c.controlFile(path, e, f), nil
	}
	crc := uint32(0)
	_, err := fsx.WalkSparse(ctx, f, buf, fsx.Walker{
		Data: func(_ int64, p []byte) error { crc = crc32c.Update(crc, p); return nil },
		Hole: func(_, n int64) error { crc = crc32c.Zeros(crc, n); return nil },
	})
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil:
		c.Sink.Emit(FileUnreadable{Path: path, Err: err})
		return false, nil //nolint:nilerr // damage is reported, not an error
	case crc != e.CRC:
		c.Sink.Emit(FileCRC{Path: path, Found: crc, Expected: e.CRC})
		return false, nil
	}
	return true, nil
}

func (c *fileCheck) controlFile(path string, e *contentlist.Entry, f fsx.File) bool {
	buf, err := io.ReadAll(io.LimitReader(f, e.Size))
	if err != nil {
		c.Sink.Emit(FileUnreadable{Path: path, Err: err})
		return false
	}
	control, err := pgdata.ParseControl(buf)
	if err != nil {
		c.Sink.Emit(FileUnreadable{Path: path, Err: fmt.Errorf("read control data: %w", err)})
		return false
	}
	if control.CRC != e.CRC {
		c.Sink.Emit(FileCRC{Path: path, Found: control.CRC, Expected: e.CRC})
		return false
	}
	// What follows the control data is garbage in backups of openGauss by
	// the C tool, but zero in every PostgreSQL one.
	if control.Family == pgdata.PostgreSQL && !pgdata.IsZero(buf[control.StructSize:]) {
		c.Sink.Emit(FileCRC{Path: path, Found: crc32c.Sum(buf), Expected: e.CRC})
		return false
	}
	return true
}

// readerAt avoids a non-nil interface around a nil file.
func readerAt(f fsx.File) io.ReaderAt {
	if f == nil {
		return nil
	}
	return f
}
