package merge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
)

// A data file that is stored without compression has its blocks at fixed
// places. When increments have few of them, the FULL's file is patched instead
// of written anew: its frames are overwritten and frames are appended, none is
// moved or cut off, so the old list and the old headers fit it all the time.
//
// What the file will be is worked out beforehand and noted in the journal,
// with a sum that needs no more of the file than the frames that go. Patches
// are made when the chain says MERGING. They can be made again: all they need
// is in the increments, which stay until the result has been checked. A page
// torn by a power failure is overwritten by the rerun, and has no reader until
// then: every backup of the chain says MERGING, and what C reads of it when it
// takes the merge over is covered by the increments.

// frameSize is the length of each frame of such a file.
const frameSize = blockfile.MaxFrameSize

// mayPatch tells, by what the lists say, whether patching is possible and
// pays.
func (w *work) mayPatch(e *catalog.Entry) bool {
	if !w.inPlace || e.ExternalDir > 0 || !e.IsDatafile || e.IsCFS || e.Compressed != nil || e.NBlocks <= 0 {
		return false
	}
	full := w.fullMember()
	f := full.find(e)
	if f == nil || full.foreign || !f.IsDatafile || f.Compressed != nil || f.Mode != e.Mode ||
		f.NHeaders <= 0 || f.NBlocks != f.NHeaders || f.NBlocks > e.NBlocks || f.Size != int64(f.NHeaders)*frameSize ||
		algorithm(f.CompressAlg) != compress.None || w.outputAlgorithm(e) != compress.None {
		return false
	}
	changed := 0
	for _, m := range w.members[1:] {
		x := m.find(e)
		if x == nil || !x.IsDatafile || x.NBlocks < f.NBlocks || x.Size > 0 && x.NHeaders <= 0 {
			return false
		}
		changed += max(x.NHeaders, 0)
	}
	return 2*changed <= f.NHeaders && w.onlyName(e)
}

// onlyName tells whether the FULL's stored file has one name. Who keeps
// copies of a catalog as hard links must not find them changed.
func (w *work) onlyName(e *catalog.Entry) bool {
	fi, err := w.deps.FS.Lstat(w.final(e))
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || st.Nlink == 1 // test doubles have no links
}

// planPatch works out what the patched file will be. ok is false when it has
// to be written anew after all.
func (w *work) planPatch(ctx context.Context, e *catalog.Entry, p *pageMerge) (s staged, ok bool, err error) {
	s = staged{entry: blank(e), patch: true}
	w.aim(e, p)
	defer func() { err = errors.Join(err, p.close()) }()
	if err := w.gather(e, p, (*member).open); err != nil {
		return s, false, err
	}
	full := len(p.sources) - 1
	f := w.fullMember().find(e)
	blocks := uint32(f.NHeaders)
	if full < 0 || p.sources[full].path != w.final(e) || len(p.owner) < f.NHeaders || p.sources[full].headers[blocks-1].Block != blocks-1 {
		return s, false, nil
	}
	file, crc := p.sources[full].file, f.CRC
	headers := make([]blockfile.Header, len(p.owner))
	copy(headers, p.sources[full].headers)
	var old []byte
	p.border = blocks
	err = p.each(ctx, full, func(r *blockfile.Run) error {
		off, n, err := frames(r)
		if err != nil {
			return err
		}
		for _, h := range r.Headers {
			h.Pos = int32(h.Block) * frameSize
			headers[h.Block] = h
		}
		if off >= f.Size {
			crc = crc32c.Combine(crc, r.CRC, n)
			return nil
		}
		if int64(len(old)) < n {
			old = make([]byte, n)
		}
		if _, err := file.ReadAt(old[:n], off); err != nil {
			return fmt.Errorf("read backup file %s: %w", w.final(e), err)
		}
		crc = crc32c.Replace(crc, crc32c.Sum(old[:n]), r.CRC, f.Size-off-n)
		return nil
	})
	if err != nil {
		return s, false, err
	}
	s.entry.Size, s.entry.CRC, s.entry.CompressAlg = int64(len(headers))*frameSize, crc, compress.None
	s.entry.NBlocks = len(headers)
	s.headers, err = w.pack(headers, s.entry.Size)
	return s, true, err
}

// frames tells where the neighbouring frames of a run belong.
func frames(r *blockfile.Run) (off, n int64, err error) {
	n = int64(len(r.Frames))
	if n != int64(len(r.Headers))*frameSize {
		return 0, 0, fmt.Errorf("block %d: %d frames in %d bytes cannot be patched in", r.Headers[0].Block, len(r.Headers), n)
	}
	return int64(r.Headers[0].Block) * frameSize, n, nil
}

// patchesAtOnce is how many files are patched at a time, by thread: most of it
// is waiting for the disk.
const patchesAtOnce = 4

// makePatches makes all patches that were worked out.
func (s *stage) makePatches(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(patchesAtOnce * s.threads)
	for _, e := range s.patches {
		g.Go(func() error {
			if err := s.makePatch(ctx, e); err != nil {
				return fmt.Errorf("merge file %s: %w", e.Path, err)
			}
			return nil
		})
	}
	s.patches = nil
	return g.Wait()
}

// makePatch writes what is not the FULL's own, also when that was begun
// before.
func (s *stage) makePatch(ctx context.Context, e *catalog.Entry) (err error) {
	p := s.newPageMerge()
	s.aim(s.destMember().find(e), p)
	defer func() { err = errors.Join(err, p.close()) }()
	full := nobody
	err = s.gather(p.entry, p, func(m *member, x *catalog.Entry) (*source, error) {
		if m != s.fullMember() {
			return m.open(x)
		}
		full = len(p.sources)
		return fixedSource(s.final(e), x.NHeaders), nil
	})
	if err != nil {
		return err
	}
	if full == nobody || len(p.owner) != e.NBlocks {
		return fmt.Errorf("%d blocks are not those of the merge journal", len(p.owner))
	}
	f, err := s.deps.FS.OpenFile(s.final(e), os.O_RDWR|fsx.NoFollow, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var written []extent
	err = p.each(ctx, full, func(r *blockfile.Run) error {
		off, n, err := frames(r)
		if err != nil {
			return err
		}
		written = append(written, extent{off, n, r.CRC})
		_, err = f.WriteAt(r.Frames, off)
		return err
	})
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return readBack(f, written)
}

// extent is a part of a file and its sum.
type extent struct {
	off, n int64
	crc    uint32
}

// readBack looks at what was written. The rest of the file was checked before.
func readBack(f fsx.File, written []extent) error {
	var buf []byte
	for _, x := range written {
		if int64(len(buf)) < x.n {
			buf = make([]byte, x.n)
		}
		if _, err := f.ReadAt(buf[:x.n], x.off); err != nil {
			return err
		}
		if crc32c.Sum(buf[:x.n]) != x.crc {
			return fmt.Errorf("bytes %d to %d are not those that were written", x.off, x.off+x.n)
		}
	}
	return nil
}

// fixedSource is the FULL's file as it was, which is not read.
func fixedSource(name string, blocks int) *source {
	s := &source{path: name, alg: compress.None, total: int64(blocks) * frameSize, headers: make([]blockfile.Header, blocks)}
	for i := range s.headers {
		s.headers[i] = blockfile.Header{Block: uint32(i), Pos: int32(i) * frameSize}
	}
	return s
}
