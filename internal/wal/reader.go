package wal

import (
	"context"
	"encoding/binary"

	"gsprobackup/internal/crc32c"
)

// ReaderOptions tell a Reader what log it reads.
type ReaderOptions struct {
	Format   Format
	Timeline Timeline
	SegSize  uint32 // bytes; 0: DefaultSegSize
	SystemID uint64 // 0: any, but the same in every segment
	KeepMain int    // bytes of main data kept of long records; 0: 64

	// Opened, if set, hears the name of each segment that was opened.
	Opened func(name string)
}

// Reader reads records in order. It checks page headers, the links between
// records, lengths and CRCs, and keeps at most some tens of KiB of a record.
// After an error the Reader must be positioned anew. It is not safe for
// concurrent use.
type Reader struct {
	pages pageReader
	pos   LSN // next record's start, or a page boundary before it
	prev  LSN // start of the record before pos, 0: not known
	err   error

	abandoned LSN // record whose end was overwritten, 0: none

	rec  Record
	head [32]byte // header of a record that crosses pages
	kept []byte   // body of such a record
	main []byte   // main data of a long one
}

// NewReader returns a Reader without position; call Seek or SeekNext.
func NewReader(src Source, o ReaderOptions) *Reader {
	if o.SegSize == 0 {
		o.SegSize = DefaultSegSize
	}
	if o.KeepMain <= 0 {
		o.KeepMain = 64
	}
	r := &Reader{pages: pageReader{src: src, o: o, systemID: o.SystemID}}
	r.rec.format = &r.pages.o.Format
	return r
}

// Close releases the open segment.
func (r *Reader) Close() error { return r.pages.close() }

// Seek positions the Reader at a record that starts exactly at lsn. A position
// at a page boundary stands for the first place after the page header, as in
// EndLSN of the record before. Nothing is read yet.
func (r *Reader) Seek(lsn LSN) {
	r.pos, r.prev, r.err, r.abandoned = lsn, 0, nil, 0
}

// SeekNext positions the Reader at the first record that starts at or after
// lsn, skipping the rest of a record that began earlier, and returns the place
// where that record should be; whether there is one tells Next.
func (r *Reader) SeekNext(ctx context.Context, lsn LSN) (LSN, error) {
	addr := lsn - lsn%PageSize
	pos, err := r.afterContinued(ctx, addr)
	if err != nil {
		return 0, err
	}
	r.Seek(pos)
	for pos < lsn {
		rec, err := r.Next(ctx)
		if err != nil {
			return 0, err
		}
		pos = rec.EndLSN
	}
	return r.skipHeader(pos), nil
}

// skipHeader turns a position at a page boundary into the first place a
// record can have on that page.
func (r *Reader) skipHeader(pos LSN) LSN {
	if pos%PageSize == 0 {
		pos += LSN(headerSizeAt(pos, r.pages.o.SegSize))
	}
	return pos
}

// afterContinued finds the first record start on the page at addr or later.
func (r *Reader) afterContinued(ctx context.Context, addr LSN) (LSN, error) {
	left := uint32(0)
	for first := true; ; first = false {
		if err := r.pages.load(ctx, addr); err != nil {
			return 0, err
		}
		h, room := &r.pages.head, uint32(PageSize-r.pages.headSize)
		if h.Info&pageContinued == 0 {
			// Either nothing is continued here, or what was will never come.
			if left != 0 && h.Info&pageOverwritten == 0 {
				return 0, r.pages.corrupt(addr, nil, "rest of a record of %d bytes is missing", left)
			}
			return addr + LSN(r.pages.headSize), nil
		}
		switch {
		case h.RemLen == 0 || h.RemLen > r.pages.o.Format.maxRecord:
			return 0, r.pages.corrupt(addr, nil, "page continues a record with %d bytes left", h.RemLen)
		case !first && h.RemLen != left:
			return 0, r.pages.corrupt(addr, nil, "page continues a record with %d bytes left, expected %d", h.RemLen, left)
		case h.RemLen < room && align8(h.RemLen) < room:
			return addr + LSN(r.pages.headSize) + LSN(align8(h.RemLen)), nil
		}
		left = h.RemLen - min(h.RemLen, room)
		addr += PageSize
		if left == 0 { // the record ends with its page
			return addr + LSN(headerSizeAt(addr, r.pages.o.SegSize)), nil
		}
	}
}

// Next returns the record at the current position and moves behind it. The
// Record is valid until the next call. Errors: *SegmentAbsentError,
// *CorruptionError (with ErrEndOfWAL inside where only zeros follow),
// input/output errors, the context's error.
func (r *Reader) Next(ctx context.Context) (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	for {
		again, err := r.next(ctx)
		if err != nil {
			r.err = err
			return nil, err
		}
		if !again {
			return &r.rec, nil
		}
	}
}

// next reads one record; again means that the record at the old position was
// abandoned by the server and reading goes on at its replacement.
func (r *Reader) next(ctx context.Context) (again bool, err error) {
	addr := r.pos - r.pos%PageSize
	if err := r.pages.load(ctx, addr); err != nil {
		return false, err
	}
	p := &r.pages
	off := int(r.pos - addr)
	if off == 0 {
		off = p.headSize
	}
	at := addr + LSN(off)
	switch {
	case off < p.headSize || off%8 != 0:
		return false, p.corrupt(r.pos, nil, "no record can start here")
	case off == p.headSize && p.head.Info&pageContinued != 0:
		return false, p.corrupt(at, nil, "a record should start here, but the page continues another one")
	}
	rest := p.page[off:]
	rec, size := &r.rec, p.o.Format.headerSize
	rec.LSN = at
	rec.TotalLen = binary.LittleEndian.Uint32(rest)
	if rec.TotalLen < uint32(size) || rec.TotalLen > p.o.Format.maxRecord {
		return false, r.badLength(at, rec.TotalLen)
	}
	if uint64(rec.TotalLen) > uint64(len(rest)) {
		if again, err = r.nextSpanning(ctx, rest); again || err != nil {
			return again, err
		}
	} else {
		p.o.Format.header(rest[:size], rec)
		if err := r.checkHeader(rec); err != nil {
			return false, err
		}
		body := rest[size:rec.TotalLen]
		if err := r.checkCRC(crc32c.Sum(body), rest[:size]); err != nil {
			return false, err
		}
		rec.body, rec.bodyLen, rec.large = body, uint32(len(body)), false
		rec.EndLSN = at + LSN(align8(rec.TotalLen))
	}
	return false, r.finish(rec)
}

// finish moves behind a good record.
func (r *Reader) finish(rec *Record) error {
	if r.abandoned != 0 {
		if err := r.checkReplacement(rec); err != nil {
			return err
		}
	}
	if rec.IsSwitch() {
		size := LSN(r.pages.o.SegSize)
		rec.EndLSN = (rec.EndLSN + size - 1) &^ (size - 1)
	}
	r.prev, r.pos = rec.LSN, rec.EndLSN
	return nil
}

func (r *Reader) badLength(at LSN, n uint32) error {
	if n == 0 {
		return r.pages.corrupt(at, ErrEndOfWAL, "no record here")
	}
	return r.pages.corrupt(at, nil, "record has an impossible length of %d bytes", n)
}

// checkHeader compares a record's link with what was read before. At a random
// position the link can only be required to point backwards.
func (r *Reader) checkHeader(rec *Record) error {
	if r.prev != 0 && rec.Prev != r.prev {
		return r.pages.corrupt(rec.LSN, nil, "record follows the one at %s, expected %s", rec.Prev, r.prev)
	}
	if rec.Prev >= rec.LSN {
		return r.pages.corrupt(rec.LSN, nil, "record follows a later one at %s", rec.Prev)
	}
	return nil
}

func (r *Reader) checkCRC(body uint32, header []byte) error {
	crc := crc32c.Update(body, header[:len(header)-4])
	if crc != r.rec.CRC {
		return r.pages.corrupt(r.rec.LSN, nil, "record has CRC %08X, computed %08X", r.rec.CRC, crc)
	}
	return nil
}

func align8(n uint32) uint32 { return (n + 7) &^ 7 }
