package walstream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

// segmentWriter puts WAL into .partial files. Complete files leave it through
// done, still open and not synced.
type segmentWriter struct {
	fs      fsx.FS
	dir     string
	tli     wal.Timeline
	segSize uint32
	done    func(finishedSegment)

	pos  wal.LSN  // where the next byte belongs
	file fsx.File // nil between segments
}

// finishedSegment is a file that gets no more WAL.
type finishedSegment struct {
	file  fsx.File
	path  string // final path, without .partial
	end   wal.LSN
	whole bool

	rename bool // takes its final path
}

// write stores data that must start at pos, up to the end of its segment, and
// returns what is left.
func (w *segmentWriter) write(data []byte) ([]byte, error) {
	if w.file == nil {
		if err := w.open(); err != nil {
			return nil, err
		}
	}
	off := wal.SegmentOffset(w.pos, w.segSize)
	n := min(len(data), int(w.segSize-off))
	if _, err := w.file.WriteAt(data[:n], int64(off)); err != nil {
		return nil, fmt.Errorf("write WAL segment: %w", err)
	}
	w.pos += wal.LSN(n)
	if wal.SegmentOffset(w.pos, w.segSize) == 0 {
		w.release(true)
	}
	return data[n:], nil
}

// release hands the open file over.
func (w *segmentWriter) release(rename bool) {
	f := w.file
	w.file = nil
	whole := wal.SegmentOffset(w.pos, w.segSize) == 0
	w.done(finishedSegment{file: f, path: w.path(w.pos - 1), end: w.pos, whole: whole, rename: rename})
}

func (w *segmentWriter) path(lsn wal.LSN) string {
	return filepath.Join(w.dir, wal.SegmentNameAt(w.tli, lsn, w.segSize))
}

// open creates the .partial file of the segment at pos in its full size, so
// that it is a valid segment at any time; the unwritten part reads as zeros. A
// file left by an earlier run is emptied first: its bytes are not ours.
func (w *segmentWriter) open() error {
	path := w.path(w.pos)
	if _, err := w.fs.Lstat(path); err == nil {
		return fmt.Errorf("create WAL segment: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrExist})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create WAL segment: %w", err)
	}
	f, err := w.fs.OpenFile(path+wal.PartialSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("create WAL segment: %w", err)
	}
	if err := w.extend(f); err != nil {
		// The first error tells more than one of closing an unused file.
		_ = f.Close()
		return err
	}
	w.file = f
	return nil
}

func (w *segmentWriter) extend(f fsx.File) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("create WAL segment: %w", err)
	}
	if st.Size() != 0 && st.Size() != int64(w.segSize) {
		return &SegmentSizeError{Path: f.Name(), Size: st.Size(), Want: int64(w.segSize)}
	}
	if st.Size() != 0 {
		if err := f.Truncate(0); err != nil {
			return fmt.Errorf("empty WAL segment: %w", err)
		}
	}
	if err := f.Truncate(int64(w.segSize)); err != nil {
		return fmt.Errorf("extend WAL segment: %w", err)
	}
	return nil
}

// finish makes a segment durable: sync, close, name, sync of the directory.
func (s finishedSegment) finish(fsys fsx.FS) error {
	err := s.file.Sync()
	if cerr := s.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync WAL segment: %w", err)
	}
	if s.rename {
		if err := fsys.Rename(s.path+wal.PartialSuffix, s.path); err != nil {
			return fmt.Errorf("rename WAL segment: %w", err)
		}
	}
	if err := fsys.SyncDir(filepath.Dir(s.path)); err != nil {
		return fmt.Errorf("sync WAL directory: %w", err)
	}
	return nil
}
