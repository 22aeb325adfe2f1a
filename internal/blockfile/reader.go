package blockfile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"gsprobackup/internal/crc32c"
)

// readBuffer is what a Reader asks the source for at once: large enough to be
// a sequential read for the disk, small enough to stay in the CPU's cache.
const readBuffer = 1 << 20

// Reader walks a stored file from its start. With the file's header array it
// takes position and length of each page from there and requires the frame
// headers to agree; without one the frames speak for themselves (§5.2). All
// damage is a *CorruptError with the offset in the stored file.
type Reader struct {
	src     io.Reader
	headers []Header // nil: by frame headers
	total   int64    // with headers: where the last frame must end

	buf     []byte
	lo, hi  int   // unread window of buf
	pos     int64 // file offset of buf[lo]
	crc     uint32
	srcDone bool

	next int   // index of the next page
	last int64 // block of the previous page
	run  Run   // for NextRun
}

// NewReader reads by frame headers.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, last: -1, buf: make([]byte, readBuffer)}
}

// NewMappedReader reads by the header array that ReadHeaders returned together
// with total.
func NewMappedReader(src io.Reader, headers []Header, total int64) *Reader {
	r := NewReader(src)
	r.headers, r.total = headers, total
	if r.headers == nil {
		r.headers = []Header{}
	}
	return r
}

// Reset starts on another file and keeps the buffer. headers nil means by
// frame headers.
func (r *Reader) Reset(src io.Reader, headers []Header, total int64) {
	*r = Reader{src: src, headers: headers, total: total, last: -1, buf: r.buf, run: r.run}
}

// Next returns the next page's header and payload (see Decode); io.EOF after
// the last one. Without a header array LSN and Checksum are 0. The payload is
// valid until the next call.
func (r *Reader) Next() (Header, []byte, error) {
	if err := r.fill(MaxFrameSize); err != nil {
		return Header{}, nil, err
	}
	h, frame, err := r.frame()
	if err != nil {
		return Header{}, nil, err
	}
	return h, frame[FrameHeaderSize:], nil
}

// NextRun returns as many of the next frames as fit into limit bytes, at least
// one; io.EOF after the last one. The run is valid until the next call and
// its CRC is not set.
func (r *Reader) NextRun(limit int) (*Run, error) {
	r.run.Reset()
	limit = min(max(limit, MaxFrameSize), len(r.buf)-MaxFrameSize)
	if err := r.fill(limit); err != nil {
		return nil, err
	}
	start := r.lo
	for {
		// After the first one only frames that are wholly in the window
		// join the run: a refill would move those before.
		if size, ok := r.peek(); len(r.run.Headers) > 0 && (!ok || r.lo+size > r.hi || r.lo+size-start > limit) {
			break
		}
		h, frame, err := r.frame()
		if err != nil {
			return nil, err
		}
		h.Pos = int32(r.lo - len(frame) - start)
		r.run.Headers = append(r.run.Headers, h)
	}
	r.run.Frames = r.buf[start:r.lo]
	return &r.run, nil
}

// CRC is the CRC32C of what was read, of the whole file after io.EOF.
func (r *Reader) CRC() uint32 { return crc32c.Update(r.crc, r.buf[:r.lo]) }

// Size is the number of bytes walked, the file's length after io.EOF.
func (r *Reader) Size() int64 { return r.pos }

// peek tells the length of the next frame as far as the window shows it.
func (r *Reader) peek() (size int, ok bool) {
	if r.hi-r.lo < FrameHeaderSize {
		return 0, false
	}
	_, n := FrameHeader(r.buf[r.lo:])
	if n < 1 || n > PageSize {
		return 0, false
	}
	return FrameHeaderSize + int(n), true
}

// frame checks and consumes the next frame of the window.
func (r *Reader) frame() (Header, []byte, error) {
	if r.headers != nil && r.next == len(r.headers) {
		if r.lo < r.hi {
			return Header{}, nil, corruptf(r.pos, "data after the last page")
		}
		return Header{}, nil, io.EOF
	}
	if r.lo == r.hi {
		if r.headers != nil {
			return Header{}, nil, corruptf(r.pos, "file ends before block %d", r.headers[r.next].Block)
		}
		return Header{}, nil, io.EOF
	}
	h, size, err := r.header()
	if err != nil {
		return Header{}, nil, err
	}
	frame := r.buf[r.lo : r.lo+size]
	r.lo += size
	r.pos += int64(size)
	r.last = int64(h.Block)
	r.next++
	return h, frame, nil
}

// header checks the frame at the window's start and returns its length.
func (r *Reader) header() (Header, int, error) {
	have := r.hi - r.lo
	if have < FrameHeaderSize {
		return Header{}, 0, corruptf(r.pos, "file ends inside a page header")
	}
	block, n := FrameHeader(r.buf[r.lo:])
	h := Header{Block: block, Pos: int32(r.pos)}
	if r.headers != nil {
		h = r.headers[r.next]
		want := EndOf(r.headers, r.next, r.total) - int64(h.Pos) - FrameHeaderSize
		if int64(h.Pos) != r.pos || h.Block != block || want != int64(n) {
			return Header{}, 0, corruptf(r.pos, "page header {block %d, size %d} differs from header map {block %d, position %d, size %d}",
				block, n, h.Block, h.Pos, want)
		}
	}
	if n < 1 || n > PageSize {
		return Header{}, 0, corruptf(r.pos, "block %d has a payload of %d bytes", block, n)
	}
	if int64(block) <= r.last || block > math.MaxInt32 || r.pos > math.MaxInt32 {
		return Header{}, 0, corruptf(r.pos, "block %d after block %d", block, r.last)
	}
	size := FrameHeaderSize + int(n)
	if have < size {
		return Header{}, 0, corruptf(r.pos, "file ends inside block %d", block)
	}
	return h, size, nil
}

// fill makes want bytes visible unless the source ends before.
func (r *Reader) fill(want int) error {
	if r.hi-r.lo >= want || r.srcDone {
		return nil
	}
	r.crc = crc32c.Update(r.crc, r.buf[:r.lo])
	r.hi = copy(r.buf, r.buf[r.lo:r.hi])
	r.lo = 0
	for empty := 0; r.hi < len(r.buf); {
		n, err := r.src.Read(r.buf[r.hi:])
		r.hi += n
		if errors.Is(err, io.EOF) {
			r.srcDone = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stored pages: %w", err)
		}
		if n == 0 {
			if empty++; empty == 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// ReadFrames reads frames lo..hi-1 of a stored file with one read, for callers
// that need only part of it. headers and total are the file's whole array; the
// memory of run is reused when large enough. Every frame header must agree with
// the array. Headers of the result count from the start of Frames; CRC is not
// set.
func ReadFrames(src io.ReaderAt, headers []Header, total int64, lo, hi int, run *Run) error {
	run.Reset()
	return AppendFrames(src, headers, total, lo, hi, run)
}

// ReadPicked is ReadFrames for the frames with the given ascending indexes;
// neighbours are read together.
func ReadPicked(src io.ReaderAt, headers []Header, total int64, picked []int, run *Run) error {
	run.Reset()
	for i := 0; i < len(picked); {
		n := 1
		for i+n < len(picked) && picked[i+n] == picked[i]+n {
			n++
		}
		if err := AppendFrames(src, headers, total, picked[i], picked[i]+n, run); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// AppendFrames is ReadFrames that adds to what is in run.
func AppendFrames(src io.ReaderAt, headers []Header, total int64, lo, hi int, run *Run) error {
	if lo < 0 || hi > len(headers) || lo >= hi {
		return fmt.Errorf("read stored pages: range %d..%d of %d", lo, hi, len(headers))
	}
	start := int64(headers[lo].Pos)
	size := int(EndOf(headers, hi-1, total) - start)
	at := len(run.Frames)
	run.Frames = slices.Grow(run.Frames, size)[:at+size]
	frames := run.Frames[at:]
	if n, err := src.ReadAt(frames, start); n < size {
		if err == nil || errors.Is(err, io.EOF) {
			return corruptf(start+int64(n), "file ends before block %d is complete", headers[hi-1].Block)
		}
		return fmt.Errorf("read stored pages: %w", err)
	}
	for i := lo; i < hi; i++ {
		h := headers[i]
		want := EndOf(headers, i, total) - int64(h.Pos) - FrameHeaderSize
		block, n := FrameHeader(frames[int64(h.Pos)-start:])
		if block != h.Block || int64(n) != want {
			return corruptf(int64(h.Pos), "page header {block %d, size %d} differs from header map {block %d, size %d}",
				block, n, h.Block, want)
		}
		h.Pos += int32(at) - int32(start)
		run.Headers = append(run.Headers, h)
	}
	return nil
}
