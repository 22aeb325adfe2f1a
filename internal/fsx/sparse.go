package fsx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// Walker is called with the content of a file from its start to its end,
// without gaps.
type Walker struct {
	// Data receives bytes at an offset. It must not keep p.
	Data func(off int64, p []byte) error
	// Hole receives a run of n > 0 zero bytes that take no space on disk.
	Hole func(off, n int64) error
}

// WalkSparse reads src from offset 0 to its end and hands everything to w, in
// order; it returns the number of bytes handed over. Holes are not read, they
// are only reported. buf is the read buffer (its length is the largest
// piece); an
// empty one is an error.
//
// The file may change meanwhile: w sees each offset once, as it was when read,
// and the walk ends where the file ended when the walk came there.
func WalkSparse(ctx context.Context, src File, buf []byte, w Walker) (int64, error) {
	if len(buf) == 0 {
		return 0, errors.New("walk file: no buffer")
	}
	fi, err := src.Stat()
	if err != nil {
		return 0, err
	}
	if !mayHaveHoles(fi) {
		// Dense files are the rule: no seeks, and no trust needed in the
		// file system's account of its holes.
		return walkData(ctx, src, buf, 0, -1, w)
	}
	for off := int64(0); ; {
		start, end, err := src.NextData(off)
		if errors.Is(err, io.EOF) {
			return walkTail(src, off, w)
		}
		if err != nil {
			return off, err
		}
		if start > off {
			if err := w.Hole(off, start-off); err != nil {
				return off, err
			}
		}
		off, err = walkData(ctx, src, buf, start, end, w)
		if err != nil {
			return off, err
		}
		if off < end { // truncated while reading
			return off, nil
		}
	}
}

// walkData hands over [off, end), or up to the end of the file when end < 0,
// and returns the offset it came to.
func walkData(ctx context.Context, src File, buf []byte, off, end int64, w Walker) (int64, error) {
	for end < 0 || off < end {
		if ctx.Err() != nil {
			return off, context.Cause(ctx)
		}
		p := buf
		if end >= 0 && end-off < int64(len(p)) {
			p = p[:end-off]
		}
		n, err := src.ReadAt(p, off)
		if n > 0 {
			if err := w.Data(off, p[:n]); err != nil {
				return off, err
			}
			off += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return off, nil
		}
		if err != nil {
			return off, err
		}
	}
	return off, nil
}

// walkTail reports the hole from off to the end of the file, if any.
func walkTail(src File, off int64, w Walker) (int64, error) {
	fi, err := src.Stat()
	if err != nil {
		return off, err
	}
	if n := fi.Size() - off; n > 0 {
		if err := w.Hole(off, n); err != nil {
			return off, err
		}
		off += n
	}
	return off, nil
}

// mayHaveHoles is false only when the file occupies its whole size.
func mayHaveHoles(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || st.Blocks*512 < st.Size
}

// CopySparse copies src to dst, which must be empty, keeping the holes, and
// returns the size. Each piece is handed to the functions of observe after it
// was written (nil ones are left out), so a checksum of exactly what was
// stored can be kept; crc32c.Zeros sums a hole without reading it. dst is
// neither synced nor closed.
func CopySparse(ctx context.Context, dst, src File, buf []byte, observe Walker) (int64, error) {
	fi, err := dst.Stat()
	if err != nil {
		return 0, err
	}
	if fi.Size() != 0 {
		return 0, fmt.Errorf("copy to %s: target is not empty", dst.Name())
	}
	written := int64(0) // end of the last data
	size, err := WalkSparse(ctx, src, buf, Walker{
		Data: func(off int64, p []byte) error {
			if _, err := dst.WriteAt(p, off); err != nil {
				return err
			}
			written = off + int64(len(p))
			if observe.Data == nil {
				return nil
			}
			return observe.Data(off, p)
		},
		Hole: func(off, n int64) error {
			if observe.Hole == nil {
				return nil
			}
			return observe.Hole(off, n)
		},
	})
	if err != nil {
		return size, err
	}
	if size > written {
		return size, dst.Truncate(size)
	}
	return size, nil
}

// HolePuncher is implemented by files that can give back disk space.
type HolePuncher interface {
	PunchHole(off, length int64) error
}

// PunchHole frees the disk blocks of a range of f, which then reads as zeros;
// the size stays. errors.ErrUnsupported tells that the file system cannot; the
// content is then unchanged.
func PunchHole(f File, off, length int64) error {
	if p, ok := f.(HolePuncher); ok {
		return p.PunchHole(off, length)
	}
	return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: errors.ErrUnsupported}
}
