package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/pgdata"
)

// CompressedFile tells how to read a row-compressed relation file; block
// numbers are logical ones then, and pages are stored images
// (spec/formats.md §7.8). With pgdata.PairOf3 the path is that of the main file,
// and the two files beside it are read.
type CompressedFile struct {
	Layout pgdata.ExtentLayout
	// Rel and Segno are the numbers in the file's name.
	Rel, Segno uint32
	// MoveDir is the directory where the server takes notes about extents
	// whose chunks it is putting in order.
	MoveDir string
}

// CompressedInfo is what a listing tells of a row-compressed relation file.
// All is 0 for an empty file.
type CompressedInfo struct {
	Layout    pgdata.ExtentLayout
	Blocks    uint32 // logical
	ChunkSize uint16
	Algorithm uint8
}

func (h *local) CompressedInfo(ctx context.Context, path string) (info CompressedInfo, err error) {
	for attempt := 1; attempt <= readAttempts; attempt++ {
		if err := h.pause(ctx, attempt); err != nil {
			return info, err
		}
		// A file that is just growing or shrinking may not look right.
		if info, err = h.compressedInfo(path); err == nil || errors.Is(err, ErrVanished) {
			return info, err
		}
	}
	return info, fmt.Errorf("read compressed relation file %s: %w", path, err)
}

func (h *local) compressedInfo(path string) (CompressedInfo, error) {
	f, err := h.fs.Open(path)
	if err != nil {
		return CompressedInfo{}, vanished(err)
	}
	defer f.Close() // read only
	switch {
	case strings.HasSuffix(path, AddressSuffix):
		return pairInfo(f)
	case isSegmentStorage(path):
		return mixedInfo(f, path)
	}
	fi, err := f.Stat()
	if err != nil {
		return CompressedInfo{}, err
	}
	c, err := pgdata.OpenCompressed(f, fi.Size())
	if err != nil {
		return CompressedInfo{}, err
	}
	info := CompressedInfo{Layout: c.Layout(), Blocks: c.Blocks()}
	header, err := c.Header()
	if header != nil {
		info.ChunkSize, info.Algorithm = header.ChunkSize, header.Algorithm
	}
	return info, err
}

// imageJob reads blocks of a row-compressed file. The server may change any
// of it at any time: chunks, then the header that says where they are. It
// takes a new chunk for a block that grew, and now and then puts the chunks of
// an extent in order, which moves all its blocks. A compressed block does not
// say which block it is, so a sound image is not enough: the header must say
// the same before and after its chunks were read.
type imageJob struct {
	*runJob
	pending []uint32 // blocks to read, ascending
	images  []byte   // of the blocks from..; BlockSize each
	from    uint32
	checks  []pgdata.ImageCheck
	headers [2][]byte // page memory
}

// spanImages is span for row-compressed files.
func (j *runJob) spanImages(lo, hi uint32) error {
	if j.run.Pages+int(hi-lo) > MaxRunPages {
		return fmt.Errorf("read %s: more than %d pages in a run", j.req.Path, MaxRunPages)
	}
	per := j.req.Compressed.Layout.Blocks()
	for lo < hi && !j.run.EOF {
		end := min(hi, (lo/per+1)*per)
		if err := j.extent(lo/per, lo, end); err != nil {
			return err
		}
		lo = end
	}
	return nil
}

// extent reads blocks lo..hi-1, which lie in extent n, again and again until
// each has been seen in a sound state.
func (j *runJob) extent(n, lo, hi uint32) error {
	x := j.imageJob(lo, hi)
	var problem error
	for attempt := 1; len(x.pending) > 0; attempt++ {
		if attempt > readAttempts {
			return x.damage(problem)
		}
		if err := j.pause(attempt); err != nil {
			return err
		}
		if attempt > 1 {
			j.run.Rereads++
		}
		if problem = x.try(n); problem != nil && !torn(problem) {
			return fmt.Errorf("read block %d: %w", x.pending[0], problem)
		}
	}
	end := hi
	if j.run.EOF {
		end = min(end, max(j.run.End, lo))
	}
	for blk := lo; blk < end; blk++ {
		i := int(blk - lo)
		page := x.images[i*blockfile.PageSize : (i+1)*blockfile.PageSize]
		if err := j.keep(blk, page, x.checks[i].Page); err != nil {
			return err
		}
	}
	return nil
}

func (j *runJob) imageJob(lo, hi uint32) *imageJob {
	x := &j.localReader.image
	x.runJob, x.from = j, lo
	x.images = j.raw[:int(hi-lo)*blockfile.PageSize]
	x.pending, x.checks = x.pending[:0], x.checks[:0]
	for blk := lo; blk < hi; blk++ {
		x.pending = append(x.pending, blk)
		x.checks = append(x.checks, pgdata.ImageCheck{})
	}
	for i := range x.headers {
		if x.headers[i] == nil {
			x.headers[i] = make([]byte, pgdata.BlockSize)
		}
	}
	return x
}

// try reads the pending blocks once and takes those off that are sound.
func (x *imageJob) try(n uint32) error {
	layout := x.req.Compressed.Layout
	header, exists, err := x.header(n)
	if err != nil {
		return err
	}
	x.cut(n*layout.Blocks() + exists)
	if len(x.pending) == 0 {
		return nil
	}
	for _, blk := range x.pending {
		page := x.image(blk)
		if err := header.ReadImage(x.file, n, int(blk%layout.Blocks()), page); err != nil {
			clear(page) // left for the next attempt
			x.checks[blk-x.from] = pgdata.ImageCheck{Page: pgdata.PageCheck{Reason: err.Error()}}
			if !torn(err) {
				return err
			}
			continue
		}
		x.checks[blk-x.from] = pgdata.CheckImage(page, x.req.FirstBlock+blk)
	}
	if !header.RecycleInOrder {
		if moving, err := x.moving(n); moving || err != nil {
			return errors.Join(errMoving, err)
		}
	}
	after, err := layout.ReadHeader(x.file, n, x.headers[1])
	if err != nil {
		return err
	}
	if after.RecycleInOrder != header.RecycleInOrder {
		return errMoving
	}
	left := x.pending[:0]
	for _, blk := range x.pending {
		slot := blk % layout.Blocks()
		if !x.checks[blk-x.from].OK() || header.Slots[slot] != after.Slots[slot] {
			left = append(left, blk)
		}
	}
	x.pending = left
	return nil
}

// header reads the header of extent n and tells how many blocks the extent
// has: all of them, unless it is the last.
func (x *imageJob) header(n uint32) (h *pgdata.ExtentHeader, exists uint32, err error) {
	layout := x.req.Compressed.Layout
	fi, err := x.file.Stat()
	if err != nil {
		return nil, 0, err
	}
	extents := fi.Size() / layout.Size()
	if int64(n) >= extents {
		return nil, 0, nil
	}
	if h, err = layout.ReadHeader(x.file, n, x.headers[0]); err != nil {
		return nil, 0, err
	}
	if int64(n) == extents-1 {
		return h, h.Blocks, nil
	}
	return h, layout.Blocks(), nil
}

// cut ends the run at the first block the file does not have.
func (x *imageJob) cut(end uint32) {
	last := x.from + uint32(len(x.checks))
	if x.run.EOF {
		last = min(last, x.run.End)
	}
	if end >= last {
		return
	}
	x.run.EOF, x.run.End = true, max(end, x.from)
	kept := x.pending[:0]
	for _, blk := range x.pending {
		if blk < end {
			kept = append(kept, blk)
		}
	}
	x.pending = kept
}

func (x *imageJob) image(blk uint32) []byte {
	at := int(blk-x.from) * blockfile.PageSize
	return x.images[at : at+blockfile.PageSize]
}

// errMoving is the state of an extent whose chunks are being put in order.
var errMoving = errors.New("the chunks of the extent are being put in order")

// torn tells the errors that a change under our eyes may cause.
func torn(err error) bool {
	var ce *pgdata.CorruptionError
	return errors.Is(err, errMoving) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &ce)
}

// moving tells whether the server may be writing extent n in its new order.
// From before that one large write until after it, a file in MoveDir says so:
// 130 pages in the layout of the extent, whose last begins with (cfs.h)
//
//	 0  16  relation     20  u32  extent in the relation
//	16  u32 fork         24  u32  1: the write is under way
//
// The header, at the end of the write, then still tells the old order while
// chunks have the new one.
func (x *imageJob) moving(n uint32) (bool, error) {
	c := x.req.Compressed
	if c.MoveDir == "" {
		return false, nil
	}
	global := c.Segno*(pgdata.CompressedSegBlocks/c.Layout.Blocks()) + n
	name := fmt.Sprintf("%d_assist_tmp", c.Rel)
	if c.Layout == pgdata.Extents128 { // 7.0 has one for each extent, too
		if moving, err := x.movingIn(fmt.Sprintf("%d_%d_assist_tmp", c.Rel, global), global); moving || err != nil {
			return moving, err
		}
	}
	return x.movingIn(name, global)
}

func (x *imageJob) movingIn(name string, extent uint32) (bool, error) {
	c := x.req.Compressed
	f, err := x.host.fs.Open(filepath.Join(c.MoveDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() // read only
	var note [28]byte
	_, err = f.ReadAt(note[:], c.Layout.Size())
	if errors.Is(err, io.EOF) {
		return false, nil // made and not used yet
	}
	le := binary.LittleEndian
	return err == nil && le.Uint32(note[20:]) == extent && le.Uint32(note[24:]) != 0, err
}

// damage is the error for the first block that never was sound.
func (x *imageJob) damage(problem error) error {
	blk := x.pending[0]
	check := x.checks[blk-x.from].Page
	switch {
	case problem != nil:
		check.Reason = problem.Error()
	case check.Reason == "":
		check.Reason = errMoving.Error()
	}
	return corruption(x.req.Path, blk, check)
}

// imageSum is the checksum the header map keeps of a stored image: that of an
// ordinary page at this place, although the server never computes it
// (spec/formats.md §5.2).
func (r *RunRequest) imageSum(block uint32, page []byte) uint16 {
	return pgdata.PageChecksum(page, r.Compressed.Segno*pgdata.DefaultRelSegBlocks+block, pgdata.OpenGauss)
}
