package catalog

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/fsx"
)

// Entry is one line of a content list.
type Entry = contentlist.Entry

// CompressedInfo describes a row-compressed relation in an Entry.
type CompressedInfo = contentlist.CompressedInfo

// ContentCRCError tells that a content list is not the one its control file
// was written for. C tool: WARNING `Invalid CRC of backup control file '%s':
// %u. Expected: %u`, then `Failed to get file list for backup %s`.
type ContentCRCError struct {
	Path      string
	Got, Want uint32
}

func (e *ContentCRCError) Error() string {
	return fmt.Sprintf("Invalid CRC of backup control file '%s': %d. Expected: %d", e.Path, e.Got, e.Want)
}

// SaveContent replaces b's content list with entries, durably, and puts its
// CRC into b.ContentCRC; the caller writes the control file afterwards. With
// noSync, as for the progress copies during a backup, the list is not durable
// and b.ContentCRC stays.
func SaveContent(fsys fsx.FS, b *Backup, noSync bool, entries iter.Seq[*Entry]) error {
	var crc uint32
	opts := fsx.WriteOptions{Perm: 0o600, NoSync: noSync}
	err := fsx.WriteFile(fsys, b.ContentPath(), opts, func(dst io.Writer) error {
		w := contentlist.NewWriter(dst)
		for e := range entries {
			if err := w.Write(e); err != nil {
				return err
			}
		}
		crc = w.CRC()
		return nil
	})
	if err != nil {
		return fmt.Errorf("write content list of backup %s: %w", b.ID, err)
	}
	if !noSync {
		b.ContentCRC = crc
	}
	return nil
}

// ScanContent calls visit for every entry of b's list in order. Only when it
// returns nil the whole list was read and matches b.ContentCRC; before that
// nothing irreversible may be done. The entry is visit's to keep.
func ScanContent(fsys fsx.FS, b *Backup, visit func(*Entry) error) error {
	f, err := fsys.Open(b.ContentPath())
	if err != nil {
		return fmt.Errorf("read content list of backup %s: %w", b.ID, err)
	}
	defer f.Close() // read only: nothing can be lost
	r := contentlist.NewReader(f)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read content list of backup %s: %w", b.ID, err)
		}
		if err := visit(&e); err != nil {
			return err
		}
	}
	if b.ContentCRC != 0 && r.CRC() != b.ContentCRC {
		return &ContentCRCError{Path: b.ContentPath(), Got: r.CRC(), Want: b.ContentCRC}
	}
	return nil
}

// LoadContent reads b's whole list and checks its CRC. The error is a
// *ContentCRCError, or it has contentlist.ErrFormat or a file error inside.
func LoadContent(fsys fsx.FS, b *Backup) ([]Entry, error) {
	size := int64(0)
	if fi, err := fsys.Stat(b.ContentPath()); err == nil {
		size = fi.Size() // a hint only
	}
	f, err := fsys.Open(b.ContentPath())
	if err != nil {
		return nil, fmt.Errorf("read content list of backup %s: %w", b.ID, err)
	}
	defer f.Close() // read only: nothing can be lost
	entries, crc, err := contentlist.ReadAll(f, size)
	if err != nil {
		return nil, fmt.Errorf("read content list of backup %s: %w", b.ID, err)
	}
	if b.ContentCRC != 0 && crc != b.ContentCRC {
		return nil, &ContentCRCError{Path: b.ContentPath(), Got: crc, Want: b.ContentCRC}
	}
	return entries, nil
}

// SameContent returns the first of some entries of an older backup that e, an
// unchanged file (size -1), can stand for: one with the same CRC. Candidates may
// be nil; nil is returned for none.
func SameContent(e *Entry, candidates ...*Entry) *Entry {
	for _, c := range candidates {
		if c != nil && c.CRC == e.CRC {
			return c
		}
	}
	return nil
}
