package merge

import (
	"context"
	"errors"
	"fmt"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/pgdata"
)

// readRun is the size of one read.
const readRun = 1 << 20

const (
	noOwner = 0xFFFF
	noLimit = 1<<32 - 1
)

// pageMerge makes one stored file of the newest page of each block
// (spec/formats.md §5.7, §5.8).
type pageMerge struct {
	entry   *catalog.Entry
	sources []*source // newest first
	owner   []uint16  // by block; noOwner if nobody has it

	alg    compress.Algorithm
	level  int
	codecs *compress.Set
	rules  pgdata.PageRules
	first  uint32 // absolute number of block 0
	border uint32 // no run reaches over it

	w       *blockfile.Writer
	run, re blockfile.Run
	page    []byte
	packed  []byte // buffer of pack
	out     []byte // buffer of output
}

func (p *pageMerge) close() error {
	var errs []error
	for _, s := range p.sources {
		if s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	p.sources = nil
	return errors.Join(errs...)
}

// own gives each block to the newest backup that has it. Blocks at or behind
// the recorded length are left out, as on restore: also that of backups newer
// than the one with the block.
func (p *pageMerge) own() error {
	if len(p.sources) >= noOwner {
		return fmt.Errorf("chain of %d backups is too long", len(p.sources))
	}
	limit := uint32(noLimit)
	if p.entry.NBlocks > 0 {
		limit = uint32(p.entry.NBlocks)
	}
	size := uint32(0)
	for _, s := range p.sources {
		for i := len(s.headers) - 1; i >= 0; i-- {
			if b := s.headers[i].Block; b < min(limit, s.limit) {
				size = max(size, b+1)
				break
			}
		}
	}
	p.owner = make([]uint16, size)
	for i := range p.owner {
		p.owner[i] = noOwner
	}
	for i, s := range p.sources {
		for _, h := range s.headers {
			if h.Block < min(size, s.limit) && p.owner[h.Block] == noOwner {
				p.owner[h.Block] = uint16(i)
			}
		}
	}
	return nil
}

// nobody is the index of no source.
const nobody = -1

// each gives all blocks in order to store, a source's neighbours in one run,
// but for those of the source skip.
func (p *pageMerge) each(ctx context.Context, skip int, store func(*blockfile.Run) error) error {
	next := make([]int, len(p.sources)) // first unread frame
	for block := 0; block < len(p.owner); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		i := int(p.owner[block])
		if i == skip {
			block++
			continue
		}
		if i == noOwner {
			if err := p.gap(uint32(block), store); err != nil {
				return err
			}
			block++
			continue
		}
		s := p.sources[i]
		lo := next[i]
		for s.headers[lo].Block != uint32(block) {
			lo++
		}
		hi := lo + 1
		end := int64(s.headers[lo].Pos) + readRun
		for hi < len(s.headers) && s.headers[hi].Block == s.headers[hi-1].Block+1 && s.headers[hi].Block != p.border && int(s.headers[hi].Block) < len(p.owner) &&
			int(p.owner[s.headers[hi].Block]) == i && blockfile.EndOf(s.headers, hi, s.total) <= end {
			hi++
		}
		next[i] = hi
		run, err := p.read(s, lo, hi)
		if err != nil {
			return fmt.Errorf("read backup file %s: %w", s.path, err)
		}
		if err := store(run); err != nil {
			return err
		}
		block += hi - lo
	}
	return nil
}

// read gives frames lo to hi-1 of a source, as they are if that is possible.
func (p *pageMerge) read(s *source, lo, hi int) (*blockfile.Run, error) {
	if err := blockfile.ReadFrames(s.file, s.headers, s.total, lo, hi, &p.run); err != nil {
		return nil, err
	}
	run := &p.run
	if s.alg != p.alg || s.bare {
		if err := p.repack(s); err != nil {
			return nil, err
		}
		run = &p.re
	}
	run.CRC = crc32c.Sum(run.Frames)
	return run, nil
}

// repack turns run into re, with the destination's algorithm.
func (p *pageMerge) repack(s *source) error {
	from, err := p.codecs.Get(s.alg, 1)
	if err != nil {
		return err
	}
	p.re.Reset()
	for i, h := range p.run.Headers {
		frame := p.run.Frame(i)
		if err := blockfile.Decode(from, p.page, frame[blockfile.FrameHeaderSize:]); err != nil {
			return fmt.Errorf("block %d: %w", h.Block, err)
		}
		if s.bare {
			if err := p.describe(&h); err != nil {
				return err
			}
		}
		h.Pos = int32(len(p.re.Frames))
		p.re.Headers = append(p.re.Headers, h)
		if s.alg == p.alg {
			p.re.Frames = append(p.re.Frames, frame...)
			continue
		}
		if p.re.Frames, err = p.pack(p.re.Frames, h.Block); err != nil {
			return err
		}
	}
	return nil
}

// describe fills in what a header array has of a page.
func (p *pageMerge) describe(h *blockfile.Header) error {
	var c pgdata.PageCheck
	if p.entry.Compressed != nil {
		c = pgdata.ImageFormatOf(p.entry.Path).Check(p.page, p.first+h.Block).Page
	} else {
		c = pgdata.CheckPage(p.page, p.first+h.Block, p.rules)
	}
	if !c.OK() {
		return fmt.Errorf("block %d is damaged: %s", h.Block, c.Reason)
	}
	h.LSN, h.Checksum = c.LSN, c.Computed
	return nil
}

// pack appends the frame of the page.
func (p *pageMerge) pack(dst []byte, block uint32) ([]byte, error) {
	codec, err := p.codecs.Get(p.alg, p.level)
	if err != nil {
		return dst, err
	}
	if codec == nil {
		return blockfile.AppendFrame(dst, block, p.page), nil
	}
	packed, ok, err := codec.Compress(p.packed[:0], p.page)
	if err != nil {
		return dst, err
	}
	p.packed = packed[:0]
	if !ok {
		packed = p.page
	}
	return blockfile.AppendFrame(dst, block, packed), nil
}

// gap writes a page of zeros for a block that no backup has, as a restore
// makes one (spec/formats.md §5.7). What is missing of a row-compressed
// relation is not made up.
func (p *pageMerge) gap(block uint32, store func(*blockfile.Run) error) error {
	if p.entry.Compressed != nil {
		return nil
	}
	clear(p.page)
	p.re.Reset()
	var err error
	if p.re.Frames, err = p.pack(p.re.Frames, block); err != nil {
		return err
	}
	p.re.Headers = append(p.re.Headers, blockfile.Header{Block: block})
	p.re.CRC = crc32c.Sum(p.re.Frames)
	return store(&p.re)
}
