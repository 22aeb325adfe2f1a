package remote

import (
	"context"
	"fmt"
	"os"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
)

func (h *local) NewWriter() (Writer, error) {
	return &localWriter{host: h, raw: make([]byte, 0, MaxRunPages*blockfile.PageSize)}, nil
}

// localWriter implements Writer.
type localWriter struct {
	host *local
	raw  []byte // unpacked pages waiting for their write
	next uint32 // block after the last one in raw
	// settle is that of the request.
	settle bool

	path string // of file
	file fsx.File

	codecs compress.Set
}

func (w *localWriter) Close() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file, w.path = nil, ""
	return err
}

func (w *localWriter) open(path string) error {
	if w.file != nil && w.path == path {
		return nil
	}
	if err := w.Close(); err != nil {
		return err
	}
	f, err := w.host.fs.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w.file, w.path = f, path
	return nil
}

func (w *localWriter) WriteRun(ctx context.Context, req *WriteRequest) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	codec, err := w.codecs.Get(req.Alg, 0) // the level matters to writers only
	if err != nil {
		return err
	}
	if err := w.open(req.Path); err != nil {
		return err
	}
	w.raw, w.settle = w.raw[:0], req.Settle
	for _, h := range req.Headers {
		payload, err := payloadOf(req.Frames, h)
		if err != nil {
			return fmt.Errorf("write %s: %w", req.Path, err)
		}
		if len(w.raw) == cap(w.raw) || len(w.raw) > 0 && h.Block != w.next {
			if err := w.flush(); err != nil {
				return err
			}
		}
		n := len(w.raw)
		w.raw = w.raw[:n+blockfile.PageSize]
		if err := blockfile.Decode(codec, w.raw[n:], payload); err != nil {
			return fmt.Errorf("write block %d of %s: %w", h.Block, req.Path, err)
		}
		w.next = h.Block + 1
	}
	return w.flush()
}

// flush writes the pages in raw, which are neighbours.
func (w *localWriter) flush() error {
	if len(w.raw) == 0 {
		return nil
	}
	first := int64(w.next) - int64(len(w.raw)/blockfile.PageSize)
	_, err := w.file.WriteAt(w.raw, first*blockfile.PageSize)
	if err == nil && w.settle {
		// The fsync tells of errors.
		_ = w.file.StartWriteback(first*blockfile.PageSize, int64(len(w.raw)))
	}
	w.raw = w.raw[:0]
	return err
}

// payloadOf finds the payload of a frame and does not trust its place.
func payloadOf(frames []byte, h blockfile.Header) ([]byte, error) {
	if h.Pos < 0 || int(h.Pos) > len(frames)-blockfile.FrameHeaderSize {
		return nil, fmt.Errorf("block %d is outside its run", h.Block)
	}
	rest := frames[h.Pos:]
	block, size := blockfile.FrameHeader(rest)
	rest = rest[blockfile.FrameHeaderSize:]
	if block != h.Block || size < 1 || size > blockfile.PageSize || int(size) > len(rest) {
		return nil, fmt.Errorf("frame {block %d, size %d} found for block %d", block, size, h.Block)
	}
	return rest[:size], nil
}
