package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"

	"gsprobackup/internal/fsx"
)

// stored is an archived file being read: its content, unpacked.
type stored struct {
	io.Reader
	file fsx.File
	sum  string // recorded CRC-32C, "" if there is none
}

// openStored opens an archived file under exactly this name. A missing one is
// fs.ErrNotExist; content that cannot be unpacked is an error of Read.
func openStored(fsys fsx.FS, path string, compressed bool) (*stored, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	s := &stored{Reader: f, file: f}
	sum, err := fsx.GetXattr(f, sumAttr)
	if err != nil && !errors.Is(err, fsx.ErrNoXattr) {
		return nil, errors.Join(err, f.Close())
	}
	s.sum = string(sum)
	if compressed {
		s.Reader = &lazyGzip{file: f}
	}
	return s, nil
}

func (s *stored) Close() error { return s.file.Close() }

// errUnpack is inside the error of reading a .gz file that is damaged.
var errUnpack = errors.New("compressed file is damaged")

// lazyGzip makes a damaged head an error of Read, like any other damage.
type lazyGzip struct {
	file fsx.File
	zr   *gzip.Reader
}

func (g *lazyGzip) Read(p []byte) (int, error) {
	if g.zr == nil {
		zr, err := gzip.NewReader(g.file)
		if err != nil {
			return 0, unpackError(err)
		}
		g.zr = zr
	}
	n, err := g.zr.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unpackError(err)
	}
	return n, err
}

// unpackError keeps errors of the system apart from damage. A file that ends
// too early is damage, too.
func unpackError(err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnpack, err)
}

// compare looks for an archived file of that name, plain or compressed, and
// tells whether its content is that of src.
func (p *pusher) compare(ctx context.Context, src fsx.File, name string) (have string, same bool, err error) {
	for _, suffix := range []string{"", gzSuffix} {
		s, err := openStored(p.FS, p.Instance.WALDir()+"/"+name+suffix, suffix != "")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", false, err
		}
		have = name + suffix
		same, err = sameContent(ctx, src, s)
		if err = errors.Join(err, s.Close()); err != nil || same {
			return have, same, err
		}
	}
	return have, false, nil
}

// sameContent compares byte by byte; what cannot be unpacked differs.
func sameContent(ctx context.Context, src fsx.File, s *stored) (bool, error) {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	a, b := make([]byte, copyBuffer), make([]byte, copyBuffer)
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		n, errA := io.ReadFull(src, a)
		m, errB := io.ReadFull(s, b)
		switch {
		case errors.Is(errB, errUnpack):
			return false, nil
		case !ended(errA) && errA != nil:
			return false, errA
		case !ended(errB) && errB != nil:
			return false, errB
		case !bytes.Equal(a[:n], b[:m]):
			return false, nil
		case errA != nil || errB != nil: // both end here: the lengths are equal
			return true, nil //nolint:nilerr // io.EOF
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
