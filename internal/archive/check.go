package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// checkSource refuses files that are not what their name says, before they get
// into the archive: of another cluster, of another place in the log, or not
// whole. It returns the size.
func (p *pusher) checkSource(src fsx.File, name string, k kind) (int64, error) {
	fi, err := src.Stat()
	if err != nil {
		return 0, fmt.Errorf("inspect WAL file to archive: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return 0, usererr.New("WAL file \"%s\" is not a regular file", src.Name())
	}
	if !k.isWAL() {
		return fi.Size(), nil
	}
	h, err := firstHeader(src)
	if err == nil {
		err = headerFits(h, name, fi.Size())
	}
	if err != nil {
		return 0, usererr.Wrap(err, "Refuse to push WAL segment %s into archive: %v", name, err)
	}
	if p.SystemID != 0 && h.SystemID != p.SystemID {
		return 0, usererr.New("Refuse to push WAL segment %s into archive. Instance parameters mismatch. Instance '%s' should have SYSTEM_ID = %d instead of %d",
			name, p.Instance.Name(), p.SystemID, h.SystemID)
	}
	return fi.Size(), nil
}

func firstHeader(r io.ReaderAt) (wal.PageHeader, error) {
	page := make([]byte, wal.PageSize)
	if n, err := r.ReadAt(page, 0); n < len(page) {
		if errors.Is(err, io.EOF) {
			return wal.PageHeader{}, fmt.Errorf("it has only %d bytes", n)
		}
		return wal.PageHeader{}, err
	}
	return wal.ParsePageHeader(page)
}

// headerFits tells whether the first page of a segment belongs to its name and
// the file has the length it announces.
func headerFits(h wal.PageHeader, name string, size int64) error {
	if _, known := wal.FormatOf(h.Magic); !known || h.SegSize == 0 || !wal.ValidSegSize(h.SegSize) {
		return fmt.Errorf("it does not begin with a page of WAL")
	}
	tli, segno, err := wal.ParseSegmentName(name[:24], h.SegSize)
	switch {
	case err != nil:
		return err
	case h.Addr != wal.SegmentStart(segno, h.SegSize) || h.Timeline > tli:
		return fmt.Errorf("it holds WAL of timeline %d at %s", h.Timeline, h.Addr)
	case size != int64(h.SegSize):
		return fmt.Errorf("it has %d bytes instead of %d", size, h.SegSize)
	}
	return nil
}

// checkSegment reads a whole segment at path as the server will: pages, links
// and CRCs of all records. follows tells whether the archive goes on behind it;
// if not, the log may end anywhere in the segment. What lies behind the offset
// until, if it is not 0, is not looked at.
func checkSegment(ctx context.Context, fsys fsx.FS, path, name string, follows bool, until uint32) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	h, err := firstHeader(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	format, _ := wal.FormatOf(h.Magic)
	tli, segno, err := wal.ParseSegmentName(name, h.SegSize)
	if err != nil {
		return err
	}
	src := oneSegment{fs: fsys, path: path, name: name}
	o := wal.ReaderOptions{Format: format, Timeline: tli, SegSize: h.SegSize}
	begin := wal.SegmentStart(segno, h.SegSize)
	end := begin + wal.LSN(h.SegSize)
	if until != 0 {
		end = min(end, begin+wal.LSN(until))
	}
	r := wal.NewReader(src, o)
	at := begin
	start, err := r.SeekNext(ctx, begin)
	if err == nil {
		at = start
	}
	for err == nil && at < end {
		var rec *wal.Record
		if rec, err = r.Next(ctx); err == nil {
			at = rec.EndLSN
		}
	}
	var next *wal.SegmentAbsentError
	var corrupt *wal.CorruptionError
	err = errors.Join(err, r.Close())
	switch {
	case err == nil, errors.As(err, &next): // goes on in the next segment
		return nil
	case !errors.As(err, &corrupt) || follows:
		return err
	case wal.GoesOn(ctx, src, o, at):
		return err
	}
	return nil
}

// oneSegment is a log of which there is one segment.
type oneSegment struct {
	fs         fsx.FS
	path, name string
}

func (s oneSegment) Open(name string) (io.ReadCloser, error) {
	if name != s.name {
		return nil, &wal.SegmentAbsentError{Name: name}
	}
	return s.fs.Open(filepath.Clean(s.path))
}
