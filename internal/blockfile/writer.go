package blockfile

import (
	"fmt"
	"io"
	"math"

	"gsprobackup/internal/crc32c"
)

// Run is a piece of a stored file: complete frames in ascending block order.
type Run struct {
	Frames  []byte   // the frames, back to back
	Headers []Header // one per frame; Pos counts from the start of Frames
	CRC     uint32   // CRC32C of Frames
}

// Reset empties the run and keeps its memory.
func (r *Run) Reset() {
	r.Frames, r.Headers, r.CRC = r.Frames[:0], r.Headers[:0], 0
}

// Frame is frame i with its header.
func (r *Run) Frame(i int) []byte {
	return r.Frames[r.Headers[i].Pos:EndOf(r.Headers, i, int64(len(r.Frames)))]
}

// Payload is the stored page in frame i.
func (r *Run) Payload(i int) []byte { return r.Frame(i)[FrameHeaderSize:] }

// Writer puts runs, in ascending block order, into one stored file, keeps its
// CRC and collects its headers (24 bytes per page). It never looks into the
// frames: whoever made the run, maybe on another host, has made its headers
// and its CRC, so the work per run does not grow with its bytes.
//
// A Writer is not safe for concurrent use, but the expensive half of storing a
// run may be taken out of the order: Reserve gives the place of the run, and
// the caller writes it there itself.
type Writer struct {
	size    int64
	crc     uint32
	headers []Header
}

// NewWriter starts an empty stored file. pages is the number of pages to
// expect, 0 if unknown; it sizes memory only.
func NewWriter(pages int) *Writer {
	return &Writer{headers: make([]Header, 0, max(pages, 0))}
}

// Reset starts another stored file and keeps the memory of the headers.
func (w *Writer) Reset() { *w = Writer{headers: w.headers[:0]} }

// Reserve accounts for the next run and returns the offset at which its
// frames belong. It rejects runs whose headers do not tile their frames or
// that do not ascend, which would be a bug or a broken peer, not bad data.
func (w *Writer) Reserve(r *Run) (off int64, err error) {
	if len(r.Headers) == 0 {
		if len(r.Frames) != 0 {
			return 0, fmt.Errorf("store pages: %d bytes without headers", len(r.Frames))
		}
		return w.size, nil
	}
	if err := checkHeaders(r.Headers, int64(len(r.Frames))); err != nil {
		return 0, fmt.Errorf("store pages: %w", err)
	}
	if n := len(w.headers); n > 0 && r.Headers[0].Block <= w.headers[n-1].Block {
		return 0, fmt.Errorf("store pages: block %d after block %d", r.Headers[0].Block, w.headers[n-1].Block)
	}
	if w.size+int64(len(r.Frames)) > math.MaxInt32 {
		return 0, fmt.Errorf("store pages: stored file would exceed %d bytes", math.MaxInt32)
	}
	off = w.size
	w.crc = crc32c.Combine(w.crc, r.CRC, int64(len(r.Frames)))
	w.size += int64(len(r.Frames))
	for _, h := range r.Headers {
		h.Pos += int32(off)
		w.headers = append(w.headers, h)
	}
	return off, nil
}

// Append reserves the place of a run and writes it there.
func (w *Writer) Append(dst io.WriterAt, r *Run) error {
	off, err := w.Reserve(r)
	if err != nil || len(r.Frames) == 0 {
		return err
	}
	if _, err := dst.WriteAt(r.Frames, off); err != nil {
		return fmt.Errorf("store pages: %w", err)
	}
	return nil
}

// Size is the length of the stored file so far.
func (w *Writer) Size() int64 { return w.size }

// CRC is the CRC32C of the stored file so far.
func (w *Writer) CRC() uint32 { return w.crc }

// Headers are the headers of all stored pages; Pos counts from the start of
// the file. The slice stays the Writer's.
func (w *Writer) Headers() []Header { return w.headers }
