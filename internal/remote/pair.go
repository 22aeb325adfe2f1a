package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
)

// Suffixes of the two files beside the empty main file of a row-compressed
// relation of openGauss 3.0.
const (
	AddressSuffix = "_pca"
	ChunkSuffix   = "_pcd"
)

// pairInfo describes the relation whose `_pca` file is f. A file without a
// header is that of a relation just being made: ChunkSize is 0 then.
func pairInfo(f fsx.File) (CompressedInfo, error) {
	info := CompressedInfo{Layout: pgdata.PairOf3}
	head := make([]byte, pgdata.PCAHeaderSize)
	_, err := f.ReadAt(head, 0)
	if errors.Is(err, io.EOF) || err == nil && pgdata.IsZero(head) {
		return info, nil
	}
	if err != nil {
		return info, err
	}
	h, err := pgdata.ParsePCAHeader(head)
	if err == nil {
		info.Blocks, info.ChunkSize, info.Algorithm = h.Blocks, h.ChunkSize, h.Algorithm
	}
	return info, err
}

// pair are the files of such a relation.
type pair struct {
	path     string // of the main file
	pca, pcd fsx.File
	rec      [2][]byte
}

func (p *pair) open(fs fsx.FS, path string) (err error) {
	if p.pca != nil && p.path == path {
		return nil
	}
	if err := p.close(); err != nil {
		return fmt.Errorf("close source file: %w", err)
	}
	if p.pca, err = fs.Open(path + AddressSuffix); err != nil {
		return vanished(err)
	}
	if p.pcd, err = fs.Open(path + ChunkSuffix); err != nil {
		return errors.Join(vanished(err), p.close())
	}
	p.path = path
	return nil
}

func (p *pair) close() error {
	var errs []error
	for _, f := range []fsx.File{p.pca, p.pcd} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	p.pca, p.pcd, p.path = nil, nil, ""
	return errors.Join(errs...)
}

// spanPair is span for relations of openGauss 3.0. The server gives a block
// more chunks when it grows and never moves others, so one block at a time is
// read until its address is the same before and after its chunks.
func (j *runJob) spanPair(lo, hi uint32) error {
	if j.run.Pages+int(hi-lo) > MaxRunPages {
		return fmt.Errorf("read %s: more than %d pages in a run", j.req.Path, MaxRunPages)
	}
	if err := j.pair.open(j.host.fs, j.req.Path); err != nil {
		return err
	}
	page := j.raw[:blockfile.PageSize]
	for blk := lo; blk < hi; blk++ {
		check, exists, err := j.pairBlock(blk, page)
		if err != nil {
			return err
		}
		if !exists {
			j.run.EOF, j.run.End = true, blk
			return nil
		}
		if err := j.keep(blk, page, check); err != nil {
			return err
		}
	}
	return nil
}

// pairBlock reads a block into page; exists is false behind the last one.
func (j *runJob) pairBlock(blk uint32, page []byte) (check pgdata.PageCheck, exists bool, err error) {
	for attempt := 1; attempt <= readAttempts; attempt++ {
		if err := j.pause(attempt); err != nil {
			return check, false, err
		}
		if attempt > 1 {
			j.run.Rereads++
		}
		exists, err = j.pair.read(blk, page)
		switch {
		case err == nil && !exists:
			return check, false, nil
		case err == nil:
			if check = pgdata.ImagesOf3.Check(page, j.req.FirstBlock+blk).Page; check.OK() {
				return check, true, nil
			}
		case torn(err):
			check.Reason = err.Error()
		default:
			return check, false, fmt.Errorf("read block %d: %w", blk, err)
		}
	}
	return check, false, corruption(j.req.Path, blk, check)
}

// errAddress is the state of a block that got other chunks while it was read.
var errAddress = fmt.Errorf("%w: the address of the block changed", errMoving)

// read reads the chunks of a block once.
func (p *pair) read(blk uint32, page []byte) (exists bool, err error) {
	head := make([]byte, pgdata.PCAHeaderSize)
	if _, err := p.pca.ReadAt(head, 0); err != nil {
		return false, unexpected(err)
	}
	h, err := pgdata.ParsePCAHeader(head)
	if err != nil || blk >= h.Blocks {
		return false, err
	}
	off, size := h.AddressOffset(blk)
	for i := range p.rec {
		if len(p.rec[i]) != size {
			p.rec[i] = make([]byte, size)
		}
	}
	if _, err := p.pca.ReadAt(p.rec[0], off); err != nil {
		return false, unexpected(err)
	}
	chunks, err := h.Address(p.rec[0])
	if err != nil {
		return false, err
	}
	clear(page)
	chunk := int64(h.ChunkSize)
	for i, n := range chunks {
		if _, err := p.pcd.ReadAt(page[int64(i)*chunk:][:chunk], int64(n-1)*chunk); err != nil {
			return false, unexpected(err)
		}
	}
	if _, err := p.pca.ReadAt(p.rec[1], off); err != nil {
		return false, unexpected(err)
	}
	if !bytes.Equal(p.rec[0], p.rec[1]) {
		return false, errAddress
	}
	return true, nil
}

// unexpected keeps the end of a file that must go on for a torn state.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
