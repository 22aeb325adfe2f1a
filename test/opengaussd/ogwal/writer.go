package ogwal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"gsprobackup/internal/wal"
)

// Page header constants (formats.md §10.2).
const (
	pageMagic   = 0xD074
	pageCont    = 1
	pageLong    = 2
	pageRemove  = 4 // set on every page of a normal server
	shortHeader = 24
	longHeader  = 40
)

// SegSize is the segment size of every default build.
const SegSize = wal.DefaultSegSize

// Timeline is the only one an openGauss cluster has.
const Timeline wal.Timeline = 1

// Writer appends records to the segment files of a pg_xlog directory. All
// methods may be called from several goroutines.
type Writer struct {
	dir      string
	systemID uint64

	mu      sync.Mutex
	insert  wal.LSN // where the next byte goes
	prev    wal.LSN // start of the last record
	file    *os.File
	changed chan struct{} // closed and replaced when insert grows
	closed  bool
}

// New begins a log in dir at the start of the segment holding at.
func New(dir string, systemID uint64, at wal.LSN) (*Writer, error) {
	start := wal.SegmentStart(wal.SegmentNumber(at, SegSize), SegSize)
	w := &Writer{dir: dir, systemID: systemID, insert: start, changed: make(chan struct{})}
	// The record before the first one: its place only shows up in xl_prev.
	w.prev = start - 0x98
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

// Close closes the current segment's file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	return w.file.Close()
}

// path is the file of the segment holding lsn.
func (w *Writer) path(lsn wal.LSN) string {
	return filepath.Join(w.dir, wal.SegmentNameAt(Timeline, lsn, SegSize))
}

// open makes the segment file at the insert position, full-size and zero as
// the server's are.
func (w *Writer) open() error {
	f, err := os.OpenFile(w.path(w.insert), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create WAL segment: %w", err)
	}
	if err := f.Truncate(SegSize); err != nil {
		return errors.Join(fmt.Errorf("create WAL segment: %w", err), f.Close())
	}
	w.file = f
	return nil
}

// End is the position up to which the log is written.
func (w *Writer) End() wal.LSN {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.insert
}

// Next is where the next record will start: End, but behind a page header.
func (w *Writer) Next() wal.LSN {
	w.mu.Lock()
	defer w.mu.Unlock()
	return afterHeader(w.insert)
}

// Grown is closed when the log has grown beyond what End has told.
func (w *Writer) Grown() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Append writes one record; start is its position, end the first behind it,
// on a multiple of 8.
func (w *Writer) Append(r Record) (start, end wal.LSN, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.append(r)
}

func (w *Writer) append(r Record) (start, end wal.LSN, err error) {
	if w.closed {
		return 0, 0, errors.New("append WAL record: log is closed")
	}
	start = afterHeader(w.insert)
	data := r.encode(w.prev)
	rest := len(data)
	for rest > 0 {
		if err := w.header(rest, rest < len(data)); err != nil {
			return 0, 0, err
		}
		n := min(rest, int(wal.PageSize-uint64(w.insert)%wal.PageSize))
		if err := w.write(data[len(data)-rest:][:n]); err != nil {
			return 0, 0, err
		}
		rest -= n
	}
	if pad := -uint64(w.insert) % 8; pad != 0 {
		if err := w.write(make([]byte, pad)); err != nil {
			return 0, 0, err
		}
	}
	w.prev = start
	w.announce()
	return start, w.insert, nil
}

// Switch ends the segment: a switch record, then pages that have nothing but
// a header, as the recorded segment ends (13_raw_server_files, segment 5B
// behind 0/5B03D768). At the start of a segment it does nothing. start is the
// switch record's position.
func (w *Writer) Switch() (start wal.LSN, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if wal.SegmentOffset(w.insert, SegSize) == 0 {
		return w.insert, nil
	}
	start, _, err = w.append(switchRecord())
	if err != nil {
		return 0, err
	}
	end := wal.SegmentStart(wal.SegmentNumber(w.insert-1, SegSize)+1, SegSize)
	for w.insert < end {
		if err := w.header(0, false); err != nil {
			return 0, err
		}
		n := min(uint64(end-w.insert), wal.PageSize-uint64(w.insert)%wal.PageSize)
		w.insert += wal.LSN(n) // the file is zero already
	}
	w.announce()
	return start, nil
}

func (w *Writer) announce() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// header writes a page header if the insert position is at the start of a
// page; rest are the bytes of a record that goes on here.
func (w *Writer) header(rest int, continued bool) error {
	if uint64(w.insert)%wal.PageSize != 0 {
		return nil
	}
	size, info := shortHeader, uint16(pageRemove)
	if wal.SegmentOffset(w.insert, SegSize) == 0 {
		size, info = longHeader, info|pageLong
	}
	h := make([]byte, size)
	le := binary.LittleEndian
	if continued {
		info |= pageCont
		le.PutUint32(h[16:], uint32(rest))
	}
	le.PutUint16(h, pageMagic)
	le.PutUint16(h[2:], info)
	le.PutUint32(h[4:], uint32(Timeline))
	le.PutUint64(h[8:], uint64(w.insert))
	if size == longHeader {
		le.PutUint64(h[24:], w.systemID)
		le.PutUint32(h[32:], SegSize)
		le.PutUint32(h[36:], wal.PageSize)
	}
	return w.write(h)
}

// write puts bytes of one page at the insert position.
func (w *Writer) write(p []byte) error {
	off := wal.SegmentOffset(w.insert, SegSize)
	if off == 0 && w.file.Name() != w.path(w.insert) {
		if err := w.file.Close(); err != nil {
			return fmt.Errorf("close WAL segment: %w", err)
		}
		if err := w.open(); err != nil {
			return err
		}
	}
	if _, err := w.file.WriteAt(p, int64(off)); err != nil {
		return fmt.Errorf("write WAL: %w", err)
	}
	w.insert += wal.LSN(len(p))
	return nil
}

// afterHeader is the first place for a record at or behind lsn.
func afterHeader(lsn wal.LSN) wal.LSN {
	switch {
	case uint64(lsn)%wal.PageSize != 0:
		return lsn
	case wal.SegmentOffset(lsn, SegSize) == 0:
		return lsn + longHeader
	}
	return lsn + shortHeader
}

// ReadAt reads written WAL from its segment file; it does not cross a segment
// border. A missing segment gives an error around fs.ErrNotExist.
func (w *Writer) ReadAt(p []byte, lsn wal.LSN) (int, error) {
	off := wal.SegmentOffset(lsn, SegSize)
	n := min(uint64(len(p)), uint64(SegSize-off))
	if end := w.End(); lsn >= end {
		return 0, nil
	} else if uint64(end-lsn) < n {
		n = uint64(end - lsn)
	}
	f, err := os.Open(w.path(lsn))
	if err != nil {
		return 0, fmt.Errorf("read WAL segment: %w", err)
	}
	_, err = io.ReadFull(io.NewSectionReader(f, int64(off), int64(n)), p[:n])
	return int(n), errors.Join(err, f.Close())
}

// RemoveBefore deletes the segments before the one that holds lsn.
func (w *Writer) RemoveBefore(lsn wal.LSN) error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return fmt.Errorf("remove WAL: %w", err)
	}
	for _, e := range entries {
		_, no, err := wal.ParseSegmentName(e.Name(), SegSize)
		if err != nil || no >= wal.SegmentNumber(lsn, SegSize) {
			continue
		}
		if err := os.Remove(filepath.Join(w.dir, e.Name())); err != nil {
			return fmt.Errorf("remove WAL: %w", err)
		}
	}
	return nil
}
