package remote

import (
	"context"
	"errors"
	"fmt"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
)

func (h *local) NewReader() (Reader, error) {
	return &localReader{host: h, raw: make([]byte, MaxRunPages*blockfile.PageSize)}, nil
}

// localReader implements Reader.
type localReader struct {
	host *local
	raw  []byte // pages as read

	path string // of file
	file fsx.File

	codecs compress.Set
	image  imageJob
	pair   pair
}

func (r *localReader) Close() error {
	err := r.pair.close()
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
		r.file, r.path = nil, ""
	}
	return err
}

// open makes path the current file. Workers read many runs of one file in a
// row, so it stays open until another one is asked for.
func (r *localReader) open(path string) error {
	if r.file != nil && r.path == path {
		return nil
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("close source file: %w", err)
	}
	f, err := r.host.fs.Open(path)
	if err != nil {
		return vanished(err)
	}
	r.file, r.path = f, path
	return nil
}

func (r *localReader) CopyFile(ctx context.Context, req CopyRequest, sink FileSink) (FileInfo, error) {
	if err := r.Close(); err != nil {
		return FileInfo{}, fmt.Errorf("close source file: %w", err)
	}
	f, err := r.host.fs.Open(req.Path)
	if err != nil {
		return FileInfo{}, vanished(err)
	}
	defer f.Close() // read only: nothing can be lost
	fi, err := f.Stat()
	if err != nil {
		return FileInfo{}, err
	}
	m := mender{host: r.host, file: f, req: req, budget: tornBudget}
	_, err = fsx.WalkSparse(ctx, f, r.raw, fsx.Walker{
		Data: func(off int64, p []byte) error {
			if err := m.mend(ctx, off, p); err != nil {
				return err
			}
			return sink.Data(p)
		},
		Hole: func(_, n int64) error { return sink.Hole(n) },
	})
	if err != nil {
		return FileInfo{}, err
	}
	return fileInfo("", fi), nil
}

func (r *localReader) Checksum(ctx context.Context, path string) (crc uint32, size int64, err error) {
	var sum summer
	if _, err := r.CopyFile(ctx, CopyRequest{Path: path}, &sum); err != nil {
		return 0, 0, err
	}
	return sum.crc, sum.size, nil
}

// summer is a FileSink that only sums.
type summer struct {
	crc  uint32
	size int64
}

func (s *summer) Data(p []byte) error {
	s.crc, s.size = crc32c.Update(s.crc, p), s.size+int64(len(p))
	return nil
}

func (s *summer) Hole(n int64) error {
	s.crc, s.size = crc32c.Zeros(s.crc, n), s.size+n
	return nil
}
