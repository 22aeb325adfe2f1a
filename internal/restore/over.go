package restore

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// This file writes data files over those of an incremental restore.
//
// A page is left as it is when it must be the one of the backup: it is sound,
// and has the LSN and the checksum that the backup has noted. Where that is no
// proof, the contents are compared:
//
//   - The LSN is none of WAL: unlogged relations, pages that index builds or
//     wal_level=minimal left. Any number of contents share it.
//   - The backup has noted no checksum (release 1.1), or has no note at all.
//   - By LSN: the page, or the backup that holds it, is behind the shift LSN.
//   - Checksums were switched on or off in between: the checksum does not
//     cover the field that holds it.
//
// The checksum counts by LSN, too, although C looks at the LSN alone there:
// hint bits may be set without a new LSN, and a cluster that was restored and
// went on without a new timeline has other pages with the same positions.

// verdict is what is known of a page.
type verdict int

const (
	differs verdict = iota
	same
	doubtful
)

// over plans f as a file that is there already, and cuts what is too much.
func (k *worker) over(ctx context.Context, f *pageFile, here present) error {
	f.old = true
	f.cut()
	end := min(int64(f.blockCount()), here.size/blockSize) * blockSize // whole blocks that may stay
	if here.size == end {
		return k.fixMode(ctx, f.entry, here)
	}
	return k.create(ctx, f.entry, remote.CreateOptions{Keep: true}, func(out remote.FileWriter) error { return out.Truncate(end) })
}

// pageRules are those of the backup's pages.
func (r *run) pageRules() pgdata.PageRules {
	return pgdata.PageRules{Family: r.layout.Family, Checksums: r.dest.ChecksumVersion != 0}
}

// overPiece brings blocks from..to-1 of a file to what the backup has, and
// returns the number of bytes written.
func (k *worker) overPiece(ctx context.Context, f *pageFile, from, to uint32) (written int64, err error) {
	req := remote.SumRequest{Path: f.target, From: from, To: to, FirstBlock: k.firstBlock(f), Rules: k.pageRules()}
	if err := k.reader.PageSums(ctx, &req, &k.sums); err != nil {
		return 0, fmt.Errorf("restore file %s: %w", f.target, err)
	}
	here := k.sums.Pages
	missing := make([]bool, len(here)) // no backup has the block, but it is there
	for i := range here {
		missing[i] = here[i].Status != pgdata.PageZero
	}
	for i := range f.sources {
		s := &f.sources[i]
		var picked, doubts []int
		for n := s.frameAt(from); n < len(s.headers) && s.headers[n].Block < to; n++ {
			h := s.headers[n]
			if !f.wants(i, h.Block) {
				continue
			}
			v, at := differs, int(h.Block-from)
			if at < len(here) {
				missing[at] = false
				v = k.judge(s, h, here[at])
			}
			switch v {
			case differs:
				picked = append(picked, n)
			case doubtful:
				doubts = append(doubts, n)
			}
		}
		if len(doubts) > 0 {
			more, err := k.unlike(ctx, s, doubts, req)
			if err != nil {
				return written, err
			}
			picked = append(picked, more...)
			slices.Sort(picked)
		}
		n, err := k.writePicked(ctx, f, s, picked)
		written += n
		if err != nil {
			return written, err
		}
	}
	n, err := k.blank(ctx, f, from, missing)
	return written + n, err
}

// firstBlock is the number in its relation of a file's block 0.
func (k *worker) firstBlock(f *pageFile) uint32 {
	return k.layout.AbsoluteBlock(pgdata.FileClass{Kind: pgdata.KindData, Segno: uint32(f.entry.Segno)}, 0)
}

// judge compares a page with what the backup has noted of its own.
func (k *worker) judge(s *pageSource, h blockfile.Header, p remote.PageSum) verdict {
	switch {
	case !s.noted:
		return doubtful
	case p.Status == pgdata.PageZero:
		if h.LSN == 0 && h.Checksum == 0 {
			return same
		}
		return differs
	case p.Status != pgdata.PageValid, p.LSN != h.LSN, p.Checksum != h.Checksum:
		return differs
	case p.LSN < pgdata.FirstLSN,
		k.mode == IncrementalLSN && max(p.LSN, s.stop) > k.shift,
		k.old != nil && k.old.Checksums != s.checksums:
		return doubtful
	}
	return same
}

// frameAt is the index of the first frame of a block not before block.
func (s *pageSource) frameAt(block uint32) int {
	return sort.Search(len(s.headers), func(i int) bool { return s.headers[i].Block >= block })
}

// unlike returns those of the frames whose content is not that of the file.
func (k *worker) unlike(ctx context.Context, s *pageSource, frames []int, req remote.SumRequest) (list []int, err error) {
	req.Content = true
	var sums remote.PageSums
	if err := k.reader.PageSums(ctx, &req, &sums); err != nil {
		return nil, fmt.Errorf("restore file %s: %w", req.Path, err)
	}
	codec, err := k.codecs.Get(s.alg, 0)
	if err != nil {
		return nil, err
	}
	page := make([]byte, blockSize)
	for chunk := range slices.Chunk(frames, remote.MaxRunPages) {
		if err := s.readPicked(chunk, &k.run); err != nil {
			return nil, err
		}
		for i, h := range k.run.Headers {
			if err := blockfile.Decode(codec, page, k.run.Payload(i)); err != nil {
				return nil, fmt.Errorf("read block %d of backup file %s: %w", h.Block, s.path, err)
			}
			at := int(h.Block - req.From)
			if at >= len(sums.Pages) || sums.Pages[at].Content != remote.SumContent(page) {
				list = append(list, chunk[i])
			}
		}
	}
	return list, nil
}

func (s *pageSource) readPicked(frames []int, run *blockfile.Run) error {
	if err := blockfile.ReadPicked(s.file, s.headers, s.total, frames, run); err != nil {
		return fmt.Errorf("read backup file %s: %w", s.path, err)
	}
	return nil
}

// writePicked writes some frames of a source.
func (k *worker) writePicked(ctx context.Context, f *pageFile, s *pageSource, frames []int) (written int64, err error) {
	for chunk := range slices.Chunk(frames, remote.MaxRunPages) {
		if err := s.readPicked(chunk, &k.run); err != nil {
			return written, err
		}
		if err := f.writeRun(ctx, s.path, s.alg, k.pages, &k.run); err != nil {
			return written, err
		}
		written += int64(len(chunk)) * blockSize
	}
	return written, nil
}

// blank makes zero pages of blocks that are there and in no backup: a restore
// from nothing leaves holes.
func (k *worker) blank(ctx context.Context, f *pageFile, from uint32, missing []bool) (written int64, err error) {
	flush := func() error {
		if len(k.run.Headers) == 0 {
			return nil
		}
		written += int64(len(k.run.Headers)) * blockSize
		err := f.writeRun(ctx, "(zero pages)", compress.None, k.pages, &k.run)
		k.run.Reset()
		return err
	}
	k.run.Reset()
	for i, m := range missing {
		if !m {
			continue
		}
		block := from + uint32(i)
		k.run.Headers = append(k.run.Headers, blockfile.Header{Block: block, Pos: int32(len(k.run.Frames))})
		k.run.Frames = blockfile.AppendFrame(k.run.Frames, block, zeroBlock[:])
		if len(k.run.Headers) == remote.MaxRunPages {
			if err := flush(); err != nil {
				return written, err
			}
		}
	}
	return written, flush()
}
