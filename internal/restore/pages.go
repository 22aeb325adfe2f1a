package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// pageFile is a data file being restored: from which backup each of its
// blocks comes.
type pageFile struct {
	entry   *contentlist.Entry // of the backup that is restored
	target  string
	sources []pageSource
	// owner has the index in sources for each block, noOwner for none; nil
	// when one source has everything.
	owner  []uint16
	pieces []pagePiece
	// old is set when the file is there already; see over.
	old bool
	// settle is remote.WriteRequest's: the disk is kept busy from the start,
	// not from the first fsync on.
	settle bool
}

const noOwner = 0xFFFF

// pageSource is the stored file of one backup.
type pageSource struct {
	file    fsx.File
	path    string
	alg     compress.Algorithm
	headers []blockfile.Header
	total   int64
	limit   uint32 // blocks from here on are not used

	// noted tells that headers have LSN and checksum of each page, stop and
	// checksums are the backup's: where it ends, whether pages have
	// checksums.
	noted     bool
	stop      wal.LSN
	checksums bool
}

// pagePiece is a range of blocks for one worker to write.
type pagePiece struct{ lo, hi uint32 }

// pieceBlocks is the number of blocks a worker takes at a time.
const pieceBlocks = 2048

// readRun is the size of one read of a stored file, in bytes.
const readRun = 1 << 20

// planPages finds the sources of a data file, newest first, and who owns which
// block: the newest backup that has it (spec/formats.md §5.7). Blocks at or
// behind the file's recorded length are left out, that of the backup restored
// and that of every newer backup than the one with the block: the file was cut
// in between, and what came after the cut is another block. C looks at the
// backup restored only and may bring such a block back when it was a zero page
// since.
func (w *writeOut) planPages(e *contentlist.Entry, target string) (*pageFile, error) {
	f := &pageFile{entry: e, target: target}
	oldest, limit := e, uint32(noLimit)
	for i := len(w.members) - 1; i >= 0 && limit > 0; i-- {
		m := w.members[i]
		se := e
		if i < len(w.members)-1 {
			if se = m.find(e); se == nil || se.IsDatafile != e.IsDatafile {
				break // what older backups have by this name is another file
			}
		}
		oldest = se
		if se.Size > 0 {
			src, err := openSource(m, se)
			if err != nil {
				return nil, errors.Join(err, f.close())
			}
			src.limit = min(limit, blocksOf(se))
			f.sources = append(f.sources, src)
		}
		limit = min(limit, blocksOf(se))
	}
	if oldest.Size < 0 && limit > 0 {
		return nil, errors.Join(usererr.New("Failed to locate a full copy of file \"%s\"", e.Path), f.close())
	}
	if len(f.sources) > noOwner {
		return nil, errors.Join(fmt.Errorf("restore %s: chain of %d backups is too long", e.Path, len(f.sources)), f.close())
	}
	f.own()
	return f, nil
}

// noLimit is the length of a file whose list does not tell it.
const noLimit = 1<<32 - 1

// blocksOf is the recorded length of a data file in blocks. Lists have no
// n_blocks for an empty file; and a C tool may have left it out of a list from
// before it knew it, but then with what is stored.
func blocksOf(e *contentlist.Entry) uint32 {
	if e.NBlocks > 0 || e.Size <= 0 {
		return uint32(e.NBlocks)
	}
	return noLimit
}

func openSource(m *member, e *contentlist.Entry) (pageSource, error) {
	s := pageSource{
		path: m.stored(e), alg: e.CompressAlg, total: e.Size,
		stop: m.backup.StopLSN, checksums: m.backup.ChecksumVersion != 0,
	}
	var err error
	if s.headers, err = m.headers(e); err != nil {
		return s, err
	}
	if s.file, err = m.fs.Open(s.path); err != nil {
		return s, fmt.Errorf("open backup file: %w", err)
	}
	s.noted = slices.ContainsFunc(s.headers, func(h blockfile.Header) bool { return h.Checksum != 0 })
	if s.headers == nil {
		if s.headers, s.total, err = scanHeaders(io.NewSectionReader(s.file, 0, e.Size)); err != nil {
			return s, errors.Join(fmt.Errorf("read backup file %s: %w", s.path, err), s.file.Close())
		}
	}
	return s, nil
}

// own gives each block to the first source that has it.
func (f *pageFile) own() {
	if len(f.sources) < 2 {
		return
	}
	size := uint32(0)
	for _, s := range f.sources {
		if n := len(s.headers); n > 0 {
			size = max(size, min(s.headers[n-1].Block+1, s.limit))
		}
	}
	f.owner = make([]uint16, size)
	for i := range f.owner {
		f.owner[i] = noOwner
	}
	for i, s := range f.sources {
		for _, h := range s.headers {
			if h.Block < min(size, s.limit) && f.owner[h.Block] == noOwner {
				f.owner[h.Block] = uint16(i)
			}
		}
	}
}

// wants tells whether a frame of a source is to be written.
func (f *pageFile) wants(source int, block uint32) bool {
	if f.owner == nil {
		return block < f.sources[source].limit
	}
	return int(block) < len(f.owner) && f.owner[block] == uint16(source)
}

// cut divides the blocks into pieces.
func (f *pageFile) cut() {
	blocks := f.blockCount()
	for lo := uint32(0); lo < blocks; lo += pieceBlocks {
		f.pieces = append(f.pieces, pagePiece{lo, min(lo+pieceBlocks, blocks)})
	}
}

func (f *pageFile) close() error {
	var errs []error
	for _, s := range f.sources {
		if s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}

// writeRun writes frames packed with alg; from tells where they are stored.
func (f *pageFile) writeRun(ctx context.Context, from string, alg compress.Algorithm, out remote.Writer, run *blockfile.Run) error {
	req := remote.WriteRequest{Path: f.target, Frames: run.Frames, Headers: run.Headers, Alg: alg, Settle: f.settle}
	if err := out.WriteRun(ctx, &req); err != nil {
		return fmt.Errorf("restore file %s from %s: %w", f.target, from, err)
	}
	return nil
}
