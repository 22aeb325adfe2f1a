package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
)

const readAhead = 256 << 10 // bytes per read, a multiple of PageSize

// pageReader delivers checked pages of consecutive segments. It reads in
// large steps and keeps one buffer.
type pageReader struct {
	src Source
	o   ReaderOptions

	seg     io.ReadCloser // nil: none open
	segno   uint64
	segName string
	segPos  uint32 // offset of the next byte from seg

	buf    []byte
	bufLSN LSN // position of buf[0]

	page     []byte // current page, nil: none
	pageLSN  LSN
	head     PageHeader
	headSize int
	lastTLI  Timeline // of the latest page read in sequence
	systemID uint64
}

// load makes the page at addr current. addr is a multiple of PageSize.
func (p *pageReader) load(ctx context.Context, addr LSN) error {
	if p.page != nil && p.pageLSN == addr {
		return nil
	}
	inSequence := p.page != nil && addr == p.pageLSN+PageSize
	p.page = nil
	if !inSequence {
		p.lastTLI = 0
	}
	if segno := SegmentNumber(addr, p.o.SegSize); p.seg == nil || segno != p.segno {
		if err := p.open(ctx, segno); err != nil {
			return err
		}
	}
	if addr < p.bufLSN || addr >= p.bufLSN+LSN(len(p.buf)) {
		if err := p.fill(ctx, addr); err != nil {
			return err
		}
	}
	b := p.buf[addr-p.bufLSN:]
	if len(b) < PageSize {
		return p.corrupt(addr, ErrCutSegment, "segment ends inside this page")
	}
	return p.accept(b[:PageSize:PageSize], addr)
}

// accept checks a page and makes it current.
func (p *pageReader) accept(b []byte, addr LSN) error {
	h, err := ParsePageHeader(b)
	if err != nil {
		return p.corrupt(addr, nil, "%v", err)
	}
	want := pageExpectation{
		format: &p.o.Format, addr: addr, segSize: p.o.SegSize, fileTLI: p.o.Timeline,
		minTLI: p.lastTLI, systemID: p.systemID,
	}
	if why := want.check(&h); why != "" {
		var cause error
		if h == (PageHeader{}) {
			cause = ErrEndOfWAL // nothing was written here yet
		}
		return p.corrupt(addr, cause, "%s", why)
	}
	if h.Info&pageLongHeader != 0 {
		p.systemID = h.SystemID
	}
	p.page, p.pageLSN, p.head, p.headSize, p.lastTLI = b, addr, h, h.Size(), h.Timeline
	return nil
}

// open opens a segment and, when reading will start in its middle, checks its
// first page, so that a file of another system is recognised.
func (p *pageReader) open(ctx context.Context, segno uint64) error {
	if err := p.close(); err != nil {
		return err
	}
	name := SegmentName(p.o.Timeline, segno, p.o.SegSize)
	seg, err := p.src.Open(name)
	if err != nil {
		return err
	}
	if p.o.Opened != nil {
		p.o.Opened(name)
	}
	p.seg, p.segno, p.segName, p.segPos = seg, segno, name, 0
	start := SegmentStart(segno, p.o.SegSize)
	if err := p.read(ctx, start, PageSize); err != nil {
		return err
	}
	if len(p.buf) < PageSize {
		return p.corrupt(start, ErrCutSegment, "segment ends inside its first page")
	}
	tli := p.lastTLI
	if err := p.accept(p.buf[:PageSize:PageSize], start); err != nil {
		return err
	}
	p.page, p.lastTLI = nil, max(tli, p.lastTLI)
	return nil
}

// fill reads ahead from addr, which lies in the open segment.
func (p *pageReader) fill(ctx context.Context, addr LSN) error {
	want := SegmentOffset(addr, p.o.SegSize)
	if want != p.segPos {
		if err := p.position(want); err != nil {
			return err
		}
	}
	return p.read(ctx, addr, int(min(readAhead, p.o.SegSize-want)))
}

// read takes up to n bytes from the segment; fewer only at its end.
func (p *pageReader) read(ctx context.Context, addr LSN, n int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if cap(p.buf) < n {
		p.buf = make([]byte, 0, readAhead)
	}
	p.bufLSN = addr
	got, err := io.ReadFull(p.seg, p.buf[:n])
	p.buf = p.buf[:got]
	p.segPos += uint32(got)
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return p.ioError(addr, err)
}

// position moves the open segment to offset want.
func (p *pageReader) position(want uint32) error {
	addr := SegmentStart(p.segno, p.o.SegSize) + LSN(want)
	if s, ok := p.seg.(io.Seeker); ok {
		if _, err := s.Seek(int64(want), io.SeekStart); err != nil {
			return p.ioError(addr, err)
		}
		p.segPos = want
		return nil
	}
	if want < p.segPos {
		if err := p.close(); err != nil {
			return err
		}
		seg, err := p.src.Open(p.segName)
		if err != nil {
			return err
		}
		p.seg, p.segPos = seg, 0
	}
	n, err := io.CopyN(io.Discard, p.seg, int64(want-p.segPos))
	p.segPos += uint32(n)
	if err != nil && !errors.Is(err, io.EOF) { // a short segment is noticed by the read that follows
		return p.ioError(addr, err)
	}
	return nil
}

func (p *pageReader) ioError(addr LSN, err error) error {
	var damaged *CorruptionError
	if errors.As(err, &damaged) { // the decompressor does not know positions
		return p.corrupt(addr, damaged.Err, "%s", damaged.Reason)
	}
	return fmt.Errorf("read WAL segment %q: %w", p.segName, err)
}

func (p *pageReader) corrupt(at LSN, cause error, format string, args ...any) error {
	return &CorruptionError{
		Segment: SegmentNameAt(p.o.Timeline, at, p.o.SegSize), LSN: at,
		Reason: fmt.Sprintf(format, args...), Err: cause,
	}
}

func (p *pageReader) close() error {
	seg := p.seg
	p.seg, p.buf, p.page = nil, p.buf[:0], nil
	if seg == nil {
		return nil
	}
	if err := seg.Close(); err != nil {
		return fmt.Errorf("close WAL segment: %w", err)
	}
	return nil
}
