package restore

import (
	"context"
	"errors"
	"fmt"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// writeCompressed rebuilds a row-compressed relation file extent by extent
// from the images in the backup (spec/formats.md §7.8). Raw blocks, on which
// the C tool's restore crashes, are told apart by their content.
func (f *pageFile) writeCompressed(ctx context.Context, layout pgdata.ExtentLayout, out remote.FileSink) (written int64, err error) {
	info := f.entry.Compressed
	if info.ChunkSize <= 0 || info.ChunkSize > 4096 || info.Algorithm < 0 || info.Algorithm > 0x7F {
		return 0, usererr.New("restore file %s: impossible chunk size %d or algorithm %d", f.target, info.ChunkSize, info.Algorithm)
	}
	x := &extentBuilder{pageFile: f, dst: make([]byte, layout.Size())}
	blocks := f.blockCount()
	for first := uint32(0); first < blocks; first += layout.Blocks() {
		if ctx.Err() != nil {
			return written, context.Cause(ctx)
		}
		if err := x.load(first, min(layout.Blocks(), blocks-first)); err != nil {
			return written, err
		}
		abs := uint32(f.entry.Segno)*pgdata.CompressedSegBlocks + first
		used, err := layout.Build(x.dst, uint16(info.ChunkSize), uint8(info.Algorithm), abs, x.images)
		if err != nil {
			return written, fmt.Errorf("restore file %s: %w", f.target, err)
		}
		tail := len(x.dst) - pgdata.BlockSize
		err = errors.Join(sparse(out, x.dst[:used]), hole(out, tail-used), out.Data(x.dst[tail:]))
		if err != nil {
			return written, fmt.Errorf("restore file %s: %w", f.target, err)
		}
		written += int64(used + pgdata.BlockSize)
	}
	return written, nil
}

// sparse writes b with holes for its pages of zeros: blocks that were never
// written have whole chunks in the rebuilt file, and took no space in the
// original.
func sparse(out remote.FileSink, b []byte) error {
	for len(b) > 0 {
		first := b[:min(pgdata.BlockSize, len(b))]
		zero, n := pgdata.IsZero(first), len(first)
		for n < len(b) {
			next := b[n:min(n+pgdata.BlockSize, len(b))]
			if pgdata.IsZero(next) != zero {
				break
			}
			n += len(next)
		}
		write := func() error { return out.Data(b[:n]) }
		if zero {
			write = func() error { return out.Hole(int64(n)) }
		}
		if err := write(); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func hole(out remote.FileSink, n int) error {
	if n == 0 {
		return nil
	}
	return out.Hole(int64(n))
}

// blockCount is the number of logical blocks to write: up to the last one that
// any backup of the chain has, as in a plain data file. One behind it that no
// backup has (spec/formats.md §14 row 2) is not made up.
func (f *pageFile) blockCount() uint32 {
	n := uint32(0)
	for _, s := range f.sources {
		at := s.frameAt(s.limit)
		if at > 0 {
			n = max(n, s.headers[at-1].Block+1)
		}
	}
	return n
}

// extentBuilder collects the images of one extent from the sources.
type extentBuilder struct {
	*pageFile
	codecs compress.Set
	images [][]byte
	dst    []byte
	run    blockfile.Run
}

// load fills images with blocks first..first+n-1; a block no backup has is
// zero.
func (x *extentBuilder) load(first, n uint32) error {
	for len(x.images) < int(n) {
		x.images = append(x.images, make([]byte, pgdata.BlockSize))
	}
	x.images = x.images[:n]
	for _, img := range x.images {
		clear(img)
	}
	for i := range x.sources {
		if err := x.loadFrom(i, first, n); err != nil {
			return err
		}
	}
	return nil
}

func (x *extentBuilder) loadFrom(source int, first, n uint32) error {
	s := &x.sources[source]
	lo, hi := s.frameAt(first), s.frameAt(first+n)
	if lo == hi {
		return nil
	}
	if err := blockfile.ReadFrames(s.file, s.headers, s.total, lo, hi, &x.run); err != nil {
		return fmt.Errorf("read backup file %s: %w", s.path, err)
	}
	codec, err := x.codecs.Get(s.alg, 0)
	if err != nil {
		return err
	}
	for i, h := range x.run.Headers {
		if !x.wants(source, h.Block) {
			continue
		}
		if err := blockfile.Decode(codec, x.images[h.Block-first], x.run.Payload(i)); err != nil {
			return fmt.Errorf("read block %d of backup file %s: %w", h.Block, s.path, err)
		}
	}
	return nil
}
