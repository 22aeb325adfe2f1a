package merge

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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
// gives the files their final names.
type stage struct {
	*work
	done    map[fileKey]*catalog.Entry
	pending []*catalog.Entry // new files that still have their old names

	journal fsx.File
	lines   *contentlist.Writer
	headers fsx.File
	base    int64 // length of the map when this run began
	arrays  *blockfile.MapWriter
	mapDone bool // the new map has its name already
	merged  int
}

// maxBatch is how many files are made durable at a time.
const maxBatch = 256

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
		if err := removeIfThere(s.deps.FS, s.mapPath()); err != nil {
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
func (s *stage) collect(results <-chan staged) error {
	for first := range results {
		batch := []staged{first}
	more:
		for len(batch) < maxBatch {
			select {
			case next, ok := <-results:
				if !ok {
					break more
				}
				batch = append(batch, next)
			default:
				break more
			}
		}
		if err := s.note(batch); err != nil {
			return err
		}
	}
	return nil
}

// note makes a batch durable.
func (s *stage) note(batch []staged) error {
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
		if err := s.lines.Write(&batch[i].entry); err != nil {
			return fmt.Errorf("write merge journal: %w", err)
		}
	}
	if err := s.journal.Sync(); err != nil {
		return fmt.Errorf("sync merge journal: %w", err)
	}
	for i := range batch {
		e := &batch[i].entry
		s.done[keyOf(e)] = e
		if batch[i].temp {
			s.pending = append(s.pending, e)
		}
		s.merged++
		s.emit(FileMerged{Path: e.Path, Done: s.merged, Total: s.total})
	}
	if s.deferred {
		return nil
	}
	return s.giveNames()
}

func (s *stage) addHeaders(b *staged) error {
	var ref blockfile.MapRef
	var err error
	switch {
	case b.raw != nil:
		ref, err = s.arrays.AppendRaw(b.raw)
	case len(b.headers) > 0:
		ref, err = s.arrays.Append(b.headers, b.entry.Size)
	default:
		return nil
	}
	b.raw, b.headers = nil, nil
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

// commit gives the files and the map their names.
func (s *stage) commit() error {
	if err := s.giveNames(); err != nil {
		return err
	}
	if s.mapDone {
		return nil
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

func keyOf(e *catalog.Entry) fileKey { return fileKey{e.ExternalDir, e.Path} }

func exists(fsys fsx.FS, name string) (size int64, ok bool, err error) {
	fi, err := fsys.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return fi.Size(), true, nil
}
