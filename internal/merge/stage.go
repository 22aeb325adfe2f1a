package merge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/fsx"
)

// mapTempName is the C tool's.
const mapTempName = catalog.HeaderMapName + "_tmp"

// stage keeps what is done: the journal and the new header map. One goroutine
// writes both; for many files at a time it syncs, in this order, the names of
// the new files, the map, the journal, and then, unless that is deferred,
// gives the files their final names and patches those to be patched.
type stage struct {
	*work
	done    map[fileKey]*catalog.Entry
	pending []*catalog.Entry // new files that still have their old names
	patches []*catalog.Entry // files of the FULL that are to be patched

	journal fsx.File
	lines   *contentlist.Writer
	headers fsx.File
	base    int64 // length of the map when this run began
	arrays  *blockfile.MapWriter
	mapDone bool // the new map has its name already
	merged  int
	// kept are files that this run has checked in the FULL and left there,
	// but for patches, which are checked when they are made.
	kept map[fileKey]bool
}

// Limits of what is made durable at a time. Without room for all new files the
// old ones must go soon.
const (
	maxBatch       = 256 // files
	maxBatchBytes  = 64 << 20
	maxBatchTight  = 4 << 20
	maxBatchArrays = 32 << 20 // a file of 1 GiB has 3 MiB of headers before they are packed
)

func newStage(w *work) *stage {
	return &stage{work: w, done: map[fileKey]*catalog.Entry{}, kept: map[fileKey]bool{}}
}

func (s *stage) mapPath() string { return filepath.Join(s.full.Dir, mapTempName) }

// begin opens journal and map for appending. What an earlier run left behind
// the last noted array is cut off.
func (s *stage) begin() (err error) {
	if s.mapDone {
		return nil
	}
	for _, e := range s.done {
		s.base = max(s.base, e.HdrOff+int64(e.HdrSize))
	}
	if s.base == 0 {
		if err := fsx.RemoveIfThere(s.deps.FS, s.mapPath()); err != nil {
			return err
		}
	}
	if err := s.writeJournal(); err != nil {
		return err
	}
	fsys := s.deps.FS
	if s.headers, err = fsys.OpenFile(s.mapPath(), os.O_WRONLY|os.O_CREATE|fsx.NoFollow, 0o600); err != nil {
		return fmt.Errorf("create page header map: %w", err)
	}
	if err := s.headers.Truncate(s.base); err != nil {
		return fmt.Errorf("create page header map: %w", err)
	}
	if _, err := s.headers.Seek(s.base, io.SeekStart); err != nil {
		return fmt.Errorf("create page header map: %w", err)
	}
	s.arrays = blockfile.NewMapWriter(s.headers)
	if s.journal, err = fsys.OpenFile(s.journalPath(), os.O_WRONLY|os.O_APPEND|fsx.NoFollow, 0o600); err != nil {
		return fmt.Errorf("open merge journal: %w", err)
	}
	s.lines = contentlist.NewWriter(s.journal)
	return fsys.SyncDir(s.full.Dir)
}

// collect notes staged files until there are no more.
func (s *stage) collect(ctx context.Context, results <-chan staged) error {
	b := batch{limit: maxBatchBytes}
	if !s.deferred {
		b.limit = maxBatchTight
	}
	for r := range results {
		if b.add(r); b.full() {
			if err := s.note(ctx, b.files); err != nil {
				return err
			}
			b.clear()
		}
	}
	if len(b.files) == 0 {
		return nil
	}
	return s.note(ctx, b.files)
}

// batch is what is made durable at a time.
type batch struct {
	files  []staged
	limit  int64
	stored int64 // bytes of new files
	arrays int   // bytes of page headers in memory
}

func (b *batch) add(s staged) {
	b.files = append(b.files, s)
	if s.temp {
		b.stored += s.entry.Size
	}
	b.arrays += s.headers.Len()
}

func (b *batch) full() bool {
	return len(b.files) == maxBatch || b.stored >= b.limit || b.arrays >= maxBatchArrays
}

func (b *batch) clear() { b.files, b.stored, b.arrays = b.files[:0], 0, 0 }

// note makes a batch durable.
func (s *stage) note(ctx context.Context, batch []staged) error {
	dirs := map[string]bool{}
	for i := range batch {
		b := &batch[i]
		if b.temp {
			dirs[filepath.Dir(s.temp(&b.entry))] = true
		}
		if err := s.addHeaders(b); err != nil {
			return err
		}
	}
	if err := s.syncDirs(dirs); err != nil {
		return err
	}
	if err := s.headers.Sync(); err != nil {
		return fmt.Errorf("sync page header map: %w", err)
	}
	for i := range batch {
		if err := s.noteFile(s.journal, s.lines, &batch[i].entry, batch[i].patch); err != nil {
			return err
		}
	}
	if err := s.journal.Sync(); err != nil {
		return fmt.Errorf("sync merge journal: %w", err)
	}
	for i := range batch {
		e := new(catalog.Entry) // the batch is used again
		*e = batch[i].entry
		s.done[keyOf(e)] = e
		if !s.retry && !batch[i].temp { // in a retry the FULL was not checked
			s.kept[keyOf(e)] = true
		}
		if batch[i].temp {
			s.pending = append(s.pending, e)
		}
		if batch[i].patch {
			s.patches = append(s.patches, e)
		}
		s.merged++
		s.emit(FileMerged{Path: e.Path, Done: s.merged, Total: s.total})
	}
	if s.deferred {
		return nil
	}
	return s.replaceFiles(ctx)
}

// replaceFiles makes staged files and patches part of the FULL.
func (s *stage) replaceFiles(ctx context.Context) error {
	if err := s.clearWay(ctx); err != nil {
		return err
	}
	if err := s.giveNames(); err != nil {
		return err
	}
	return s.makePatches(ctx)
}

func (s *stage) addHeaders(b *staged) error {
	if b.headers.Len() == 0 {
		return nil
	}
	ref, err := s.arrays.Store(b.headers)
	b.headers = blockfile.PackedHeaders{}
	b.entry.NHeaders, b.entry.HdrCRC, b.entry.HdrOff, b.entry.HdrSize = ref.N, ref.CRC, s.base+ref.Off, int(ref.Size)
	return err
}

// giveNames puts staged files in their places.
func (s *stage) giveNames() error {
	dirs := map[string]bool{}
	for _, e := range s.pending {
		if err := s.deps.FS.Rename(s.temp(e), s.final(e)); err != nil {
			return fmt.Errorf("merge file %s: %w", e.Path, err)
		}
		dirs[filepath.Dir(s.final(e))] = true
	}
	s.pending = nil
	return s.syncDirs(dirs)
}

func (s *stage) syncDirs(dirs map[string]bool) error {
	for dir := range dirs {
		if err := s.deps.FS.SyncDir(dir); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	return nil
}

// commit gives the files and the map their names. With the map in its place,
// all files are.
func (s *stage) commit(ctx context.Context) error {
	if s.mapDone {
		return nil
	}
	if err := s.replaceFiles(ctx); err != nil {
		return err
	}
	headers := s.headers
	s.headers = nil
	if err := errors.Join(headers.Sync(), headers.Close()); err != nil {
		return fmt.Errorf("sync page header map: %w", err)
	}
	if err := s.deps.FS.Rename(s.mapPath(), s.full.HeaderMapPath()); err != nil {
		return fmt.Errorf("name page header map: %w", err)
	}
	return s.deps.FS.SyncDir(s.full.Dir)
}

func (s *stage) close() error {
	var errs []error
	for _, f := range []*fsx.File{&s.journal, &s.headers} {
		if *f != nil {
			errs = append(errs, (*f).Close())
			*f = nil
		}
	}
	return errors.Join(errs...)
}

// untouched tells which files need no second check.
func (s *stage) untouched(e *catalog.Entry) bool { return s.kept[keyOf(e)] }

func keyOf(e *catalog.Entry) fileKey { return fileKey{e.ExternalDir, e.Path} }

// exists looks for a regular file.
func exists(fsys fsx.FS, name string) (size int64, ok bool, err error) {
	fi, err := fsys.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return fi.Size(), fi.Mode().IsRegular(), nil
}
