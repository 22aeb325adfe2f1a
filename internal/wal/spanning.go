package wal

import (
	"context"
	"encoding/binary"

	"gsprobackup/internal/crc32c"
)

// nextSpanning reads a record that is continued on further pages, rest being
// its part on the current page. The body is summed up while it streams by and
// kept up to maxItemBytes; of longer bodies the first bytes of the main data
// are kept besides.
func (r *Reader) nextSpanning(ctx context.Context, rest []byte) (again bool, err error) {
	p, rec := &r.pages, &r.rec
	at, total, size := rec.LSN, rec.TotalLen, p.o.Format.headerSize
	a := bodyAssembler{r: r, size: size}
	a.start(total - uint32(size))
	got, addr := uint32(0), p.pageLSN
	for {
		n := min(uint32(len(rest)), total-got)
		if err := a.add(rest[:n]); err != nil {
			return false, err
		}
		if got += n; got == total {
			rec.EndLSN = addr + LSN(PageSize-len(rest)) + LSN(align8(n))
			break
		}
		addr += PageSize
		if err := p.load(ctx, addr); err != nil {
			return false, err
		}
		if p.head.Info&pageOverwritten != 0 && p.head.Info&pageContinued == 0 {
			// A crashed PostgreSQL server could not finish this record and
			// went on with a new one here, linked to the one before it.
			r.pos, r.abandoned = addr, at
			return true, nil
		}
		if p.head.Info&pageContinued == 0 {
			return false, p.corrupt(at, nil, "record of %d bytes is not continued at %s", total, addr)
		}
		if p.head.RemLen != total-got {
			return false, p.corrupt(at, nil, "page %s continues a record with %d bytes left, expected %d", addr, p.head.RemLen, total-got)
		}
		rest = p.page[p.headSize:]
	}
	return false, a.finish()
}

// bodyAssembler takes a record in pieces.
type bodyAssembler struct {
	r       *Reader
	size    int    // of the record header
	headLen int    // header bytes so far
	bodyLen uint32 // announced
	seen    uint32 // body bytes so far
	crc     uint32
	located bool // main data of a long body is located
}

func (a *bodyAssembler) start(bodyLen uint32) {
	rec := &a.r.rec
	a.bodyLen = bodyLen
	a.r.kept, a.r.main = a.r.kept[:0], a.r.main[:0]
	rec.bodyLen, rec.large = bodyLen, bodyLen > maxItemBytes
	rec.mainPos, rec.mainErr = mainDataPos{}, nil
}

func (a *bodyAssembler) add(b []byte) error {
	r := a.r
	if a.headLen < a.size {
		n := copy(r.head[a.headLen:a.size], b)
		if a.headLen += n; a.headLen < a.size {
			return nil
		}
		b = b[n:]
		r.pages.o.Format.header(r.head[:a.size], &r.rec)
		if err := r.checkHeader(&r.rec); err != nil {
			return err
		}
	}
	a.crc = crc32c.Update(a.crc, b)
	if room := maxItemBytes - len(r.kept); room > 0 {
		r.kept = append(r.kept, b[:min(room, len(b))]...)
	}
	a.keepMain(b)
	a.seen += uint32(len(b))
	return nil
}

// keepMain collects the first bytes of the main data of a long body, whose
// place is known as soon as the header items are complete.
func (a *bodyAssembler) keepMain(b []byte) {
	r, rec := a.r, &a.r.rec
	if !rec.large || len(r.kept) < maxItemBytes || rec.mainErr != nil {
		return
	}
	if !a.located {
		a.located = true
		if rec.mainPos, rec.mainErr = rec.format.mainData(r.kept, rec.bodyLen); rec.mainErr != nil {
			return
		}
		if rec.mainPos.off < maxItemBytes {
			r.main = append(r.main, r.kept[rec.mainPos.off:]...)
		}
		// Of b only what lies behind the kept head is new.
		skip := maxItemBytes - a.seen
		a.takeMain(b[skip:], maxItemBytes)
		return
	}
	a.takeMain(b, a.seen)
}

// takeMain adds the part of b, found at body offset at, that is main data.
func (a *bodyAssembler) takeMain(b []byte, at uint32) {
	r, off := a.r, a.r.rec.mainPos.off
	if at < off {
		if off-at >= uint32(len(b)) {
			return
		}
		b = b[off-at:]
	}
	if room := r.pages.o.KeepMain - len(r.main); room > 0 {
		r.main = append(r.main, b[:min(room, len(b))]...)
	}
}

func (a *bodyAssembler) finish() error {
	r := a.r
	if err := r.checkCRC(a.crc, r.head[:a.size]); err != nil {
		return err
	}
	r.rec.body, r.rec.mainHead = r.kept, r.main
	if len(r.main) > r.pages.o.KeepMain {
		r.rec.mainHead = r.main[:r.pages.o.KeepMain]
	}
	return nil
}

// checkReplacement makes sure that the record found in place of an abandoned
// one says so and names it.
func (r *Reader) checkReplacement(rec *Record) error {
	abandoned := r.abandoned
	r.abandoned = 0
	if rec.Rmid != rmgrXLOG || rec.Info&infoOpMask != xlogOverwrite {
		return r.pages.corrupt(rec.LSN, nil, "record at %s was abandoned, but nothing replaces it here", abandoned)
	}
	data, err := rec.MainData()
	if err != nil || len(data) < 8 || LSN(binary.LittleEndian.Uint64(data)) != abandoned {
		return r.pages.corrupt(rec.LSN, nil, "record does not name the abandoned one at %s", abandoned)
	}
	return nil
}
