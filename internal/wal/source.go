package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/klauspost/compress/gzip"

	"gsprobackup/internal/fsx"
)

// Source gives access to segments by bare name. Open returns a
// *SegmentAbsentError when there is no such segment; otherwise a reader that
// starts at the segment's first byte. A reader that is also an io.Seeker is
// positioned by seeking, any other by reading. Open must be safe for
// concurrent use.
type Source interface {
	Open(name string) (io.ReadCloser, error)
}

// Dir is a directory with WAL segments: a backup's own pg_xlog or pg_wal, or
// an instance's archive (formats.md §10.5).
type Dir struct {
	FS   fsx.FS
	Path string
}

// Open looks for the segment itself, then for name.gz, then for name.partial.
// (The C tool takes a .partial before a .gz; a server that is promoted leaves
// one beside the complete segment of the timeline it comes from.)
func (d Dir) Open(name string) (io.ReadCloser, error) {
	// The name is tried again at the end: a receiver may have renamed the
	// .partial between the two look-ups.
	for _, suffix := range []string{"", ".gz", PartialSuffix, ""} {
		f, err := d.FS.Open(filepath.Join(d.Path, name+suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open WAL segment: %w", err)
		}
		if suffix != ".gz" {
			return f, nil
		}
		return &gzipSegment{name: name, file: f}, nil
	}
	return nil, &SegmentAbsentError{Name: name}
}

// gzipSegment decompresses while reading. Damage of the compressed stream is
// corruption of the segment, not an input/output error.
type gzipSegment struct {
	name string
	file fsx.File
	zr   *gzip.Reader
	pos  int64
}

func (g *gzipSegment) Read(p []byte) (int, error) {
	if g.zr == nil {
		zr, err := gzip.NewReader(g.file)
		if err != nil {
			return 0, g.fault(err)
		}
		g.zr = zr
	}
	n, err := g.zr.Read(p)
	g.pos += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = g.fault(err)
	}
	return n, err
}

func (g *gzipSegment) fault(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return err
	}
	return &CorruptionError{Segment: g.name, Reason: fmt.Sprintf("decompress after byte %d: %v", g.pos, err), Err: err}
}

func (g *gzipSegment) Close() error { return g.file.Close() }
