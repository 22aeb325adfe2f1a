package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/remote"
)

// gatherer collects the frames of neighbouring blocks from all backups of a
// chain, so that a file is written once from its start to its end: blocks that
// increments have changed would else cut the older backups' into short runs,
// and come to the disk on their own.
type gatherer struct {
	run    blockfile.Run // what is written next, blocks ascending
	alg    compress.Algorithm
	used   []bool // by index in sources: it has frames in run
	next   []int  // by index in sources: its first frame not before the block
	other  blockfile.Run
	page   []byte
	codecs compress.Set
}

// maxGathered is about the largest number of blocks in a run, however small
// their frames are.
const maxGathered = 4 * remote.MaxRunPages

// writePiece writes one piece through a worker's page writer and returns the
// number of bytes written.
func (f *pageFile) writePiece(ctx context.Context, p pagePiece, out remote.Writer, g *gatherer) (written int64, err error) {
	g.start(f, p.lo)
	for block := p.lo; block < p.hi; {
		if block, err = g.fill(f, block, p.hi); err != nil {
			return written, err
		}
		if len(g.run.Headers) == 0 {
			break
		}
		if err := f.writeRun(ctx, g.origin(f), g.alg, out, &g.run); err != nil {
			return written, err
		}
		written += int64(len(g.run.Headers)) * blockfile.PageSize
	}
	return written, nil
}

// start turns to a piece of a file. Its runs have the algorithm of the source
// with most to give; pages of others are unpacked.
func (g *gatherer) start(f *pageFile, from uint32) {
	g.next, g.used = g.next[:0], g.used[:0]
	most := int64(-1)
	for i := range f.sources {
		s := &f.sources[i]
		g.next, g.used = append(g.next, s.frameAt(from)), append(g.used, false)
		if s.total > most {
			most, g.alg = s.total, s.alg
		}
	}
}

// fill reads the next run, of wanted blocks from block on and before end, and
// returns the block that follows.
func (g *gatherer) fill(f *pageFile, block, end uint32) (uint32, error) {
	g.run.Reset()
	clear(g.used)
	for block < end && len(g.run.Frames) < readRun && len(g.run.Headers) < maxGathered {
		i, at := f.ownerFrom(block, end)
		if i == noOwner {
			block = at
			continue
		}
		s := &f.sources[i]
		for g.next[i] < len(s.headers) && s.headers[g.next[i]].Block < at {
			g.next[i]++
		}
		lo := g.next[i]
		if lo == len(s.headers) || s.headers[lo].Block >= min(end, s.limit) {
			return end, nil // a source alone, without more
		}
		hi := g.stretch(f, i, lo, end)
		if err := g.append(s, lo, hi); err != nil {
			return block, err
		}
		g.used[i], g.next[i] = true, hi
		block = s.headers[hi-1].Block + 1
	}
	return block, nil
}

// ownerFrom is the source of the first block from block on that has one, and
// that block; noOwner and end without. A source alone owns whatever it has.
func (f *pageFile) ownerFrom(block, end uint32) (int, uint32) {
	if f.owner == nil {
		return 0, block
	}
	for ; block < end && int(block) < len(f.owner); block++ {
		if i := f.owner[block]; i != noOwner {
			return int(i), block
		}
	}
	return noOwner, end
}

// stretch is the end of the frames from lo on that can be read and written
// together: neighbours in the file, with nothing of another source between, and
// room in the run for all but the last of them.
func (g *gatherer) stretch(f *pageFile, source, lo int, end uint32) int {
	s := &f.sources[source]
	room := readRun - len(g.run.Frames)
	stop, most := int64(s.headers[lo].Pos)+int64(room), lo+remote.MaxRunPages
	if s.alg != g.alg {
		most = min(most, lo+1+room/blockfile.MaxFrameSize)
	}
	hi := lo + 1
	for ; hi < min(most, len(s.headers)) && blockfile.EndOf(s.headers, hi, s.total) <= stop; hi++ {
		h := s.headers[hi]
		if h.Block >= end || !f.wants(source, h.Block) || f.owner != nil && h.Block != s.headers[hi-1].Block+1 {
			break
		}
	}
	return hi
}

// append adds frames lo..hi-1 of a source to the run.
func (g *gatherer) append(s *pageSource, lo, hi int) error {
	if s.alg == g.alg {
		if err := blockfile.AppendFrames(s.file, s.headers, s.total, lo, hi, &g.run); err != nil {
			return fmt.Errorf("read backup file %s: %w", s.path, err)
		}
		return nil
	}
	if err := blockfile.ReadFrames(s.file, s.headers, s.total, lo, hi, &g.other); err != nil {
		return fmt.Errorf("read backup file %s: %w", s.path, err)
	}
	codec, err := g.codecs.Get(s.alg, 0)
	if err != nil {
		return err
	}
	if g.page == nil {
		g.page = make([]byte, blockfile.PageSize)
	}
	for i, h := range g.other.Headers {
		if err := blockfile.Decode(codec, g.page, g.other.Payload(i)); err != nil {
			return fmt.Errorf("read block %d of backup file %s: %w", h.Block, s.path, err)
		}
		h.Pos = int32(len(g.run.Frames))
		g.run.Headers = append(g.run.Headers, h)
		g.run.Frames = blockfile.AppendFrame(g.run.Frames, h.Block, g.page)
	}
	return nil
}

// origin names the stored files that frames of the run come from.
func (g *gatherer) origin(f *pageFile) string {
	var paths []string
	for i, used := range slices.Backward(g.used) {
		if used {
			paths = append(paths, f.sources[i].path)
		}
	}
	return strings.Join(paths, ", ")
}
