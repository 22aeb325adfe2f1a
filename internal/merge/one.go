package merge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
)

// staged is a file of the result. Its headers are not in the map yet.
type staged struct {
	entry   catalog.Entry
	headers blockfile.PackedHeaders
	temp    bool // there is a new file
	patch   bool // the FULL's file is to be patched
}

// worker merges files one by one.
func (w *work) worker(ctx context.Context, items <-chan *catalog.Entry, results chan<- staged) error {
	p := w.newPageMerge()
	buf := make([]byte, readRun)
	for e := range items {
		s, err := w.one(ctx, e, p, buf)
		if err != nil {
			return fmt.Errorf("merge file %s: %w", e.Path, err)
		}
		results <- s
	}
	return nil
}

func (w *work) newPageMerge() *pageMerge {
	return &pageMerge{
		rules: w.rules, level: w.dest.CompressLevel,
		codecs: new(compress.Set), page: make([]byte, blockfile.PageSize),
	}
}

func (w *work) one(ctx context.Context, e *catalog.Entry, p *pageMerge, buf []byte) (staged, error) {
	switch {
	case e.Size == 0:
		return staged{entry: blank(e)}, nil
	case !e.IsDatafile || e.IsCFS:
		return w.plain(ctx, e, buf)
	case w.keeps(e):
		return w.keep(e)
	case w.mayPatch(e):
		if s, ok, err := w.planPatch(ctx, e, p); ok || err != nil {
			return s, err
		}
	}
	return w.pages(ctx, e, p)
}

// blank is a line of the destination without what tells of stored bytes.
func blank(e *catalog.Entry) catalog.Entry {
	n := *e
	n.Size, n.CRC, n.CompressAlg = 0, 0, compress.None
	n.NHeaders, n.HdrCRC, n.HdrOff, n.HdrSize = 0, 0, 0, 0
	return n
}

// keeps tells whether the FULL's stored data file is that of the result: it
// has the right algorithm and length, and no increment has anything of it
// (spec/formats.md §5.8).
func (w *work) keeps(e *catalog.Entry) bool {
	if e.ExternalDir > 0 && w.moved {
		return false
	}
	full := w.fullMember()
	f := full.find(e)
	if f == nil || full.foreign || f.Size <= 0 || f.IsDatafile != e.IsDatafile || f.Mode != e.Mode {
		return false
	}
	for _, m := range w.members[1:] {
		x := m.find(e)
		if x == nil || x.Size != -1 || x.NBlocks != f.NBlocks {
			return false
		}
	}
	if !e.IsDatafile {
		return true
	}
	return w.inPlace && f.NHeaders > 0 && algorithm(f.CompressAlg) == w.outputAlgorithm(e)
}

// keep takes the FULL's file over.
func (w *work) keep(e *catalog.Entry) (staged, error) {
	full := w.fullMember()
	f := full.find(e)
	headers, err := full.packedHeaders(f)
	if err != nil {
		return staged{}, err
	}
	s := staged{entry: blank(e), headers: headers}
	s.entry.Size, s.entry.CRC, s.entry.CompressAlg, s.entry.NBlocks = f.Size, f.CRC, f.CompressAlg, f.NBlocks
	return s, nil
}

// aim prepares p for a data file of the destination.
func (w *work) aim(e *catalog.Entry, p *pageMerge) {
	p.entry, p.alg, p.border = e, w.outputAlgorithm(e), noLimit
	seg := w.segment
	if e.Compressed != nil {
		seg = pgdata.ImageFormatOf(e.Path).SegBlocks()
	}
	p.first = uint32(e.Segno) * seg
}

// gather collects the sources of a data file, newest first, and gives each
// block to one of them.
func (w *work) gather(e *catalog.Entry, p *pageMerge, open func(*member, *catalog.Entry) (*source, error)) error {
	limit, oldest := uint32(noLimit), e
	for i := len(w.members) - 1; i >= 0 && limit > 0; i-- {
		m := w.members[i]
		x := m.find(e)
		if x == nil || x.IsDatafile != e.IsDatafile {
			break // what older backups have by this name is another file
		}
		oldest = x
		if x.Size > 0 {
			src, err := open(m, x)
			if err != nil {
				return err
			}
			src.limit = limit
			p.sources = append(p.sources, src)
		}
		if x.NBlocks > 0 || x.Size <= 0 {
			limit = min(limit, uint32(x.NBlocks))
		}
	}
	if oldest.Size < 0 && limit > 0 {
		return usererr.New("Failed to locate a full copy of file \"%s\"", e.Path)
	}
	return p.own()
}

// pages merges a data file into a new one.
func (w *work) pages(ctx context.Context, e *catalog.Entry, p *pageMerge) (s staged, err error) {
	s.entry = blank(e)
	w.aim(e, p)
	defer func() { err = errors.Join(err, p.close()) }()
	if err := w.gather(e, p, (*member).open); err != nil {
		return s, err
	}
	if len(p.owner) == 0 {
		s.entry.NBlocks = 0
		return s, nil
	}
	p.w = blockfile.NewWriter(len(p.owner))
	err = w.create(e, func(f fsx.File) error {
		out := &output{File: f, buf: p.out[:0]}
		err := p.each(ctx, nobody, func(r *blockfile.Run) error { return p.w.Append(out, r) })
		if err == nil {
			err = out.flush()
		}
		p.out = out.buf
		return err
	})
	if err != nil {
		return s, err
	}
	s.temp = true
	s.entry.Size, s.entry.CRC, s.entry.CompressAlg = p.w.Size(), p.w.CRC(), p.alg
	if e.Compressed == nil {
		s.entry.NBlocks = len(p.owner)
	}
	s.headers, err = w.pack(p.w.Headers(), s.entry.Size)
	return s, err
}

// pack makes the header array of a new file, none of an empty one. It takes
// its time, so the workers do it.
func (w *work) pack(headers []blockfile.Header, size int64) (packed blockfile.PackedHeaders, err error) {
	if len(headers) > 0 {
		packed, err = w.stage.arrays.Pack(headers, size)
	}
	return packed, err
}

// plain takes a file that is stored as it is from the newest backup that has
// its content. The FULL's own stays in its place.
func (w *work) plain(ctx context.Context, e *catalog.Entry, buf []byte) (staged, error) {
	s := staged{entry: blank(e)}
	s.entry.NBlocks = e.NBlocks
	m, x, err := w.fullCopy(e)
	if err != nil {
		return s, err
	}
	s.entry.Size, s.entry.CRC = x.Size, x.CRC
	if x.Size == 0 || m == w.fullMember() && x == m.find(e) && w.keeps(e) {
		return s, nil
	}
	in, err := w.deps.FS.Open(m.stored(x))
	if err != nil {
		return s, fmt.Errorf("open backup file: %w", err)
	}
	defer in.Close() // read only
	s.temp = true
	return s, w.create(e, func(out fsx.File) error {
		crc := uint32(0)
		n, err := fsx.CopySparse(ctx, out, in, buf, fsx.Walker{
			Data: func(_ int64, p []byte) error { crc = crc32c.Update(crc, p); return nil },
			Hole: func(_, n int64) error { crc = crc32c.Zeros(crc, n); return nil },
		})
		switch {
		case err != nil:
			return err
		case n != x.Size:
			return usererr.New("Invalid size of backup file \"%s\" : %d. Expected %d", m.stored(x), n, x.Size)
		case crc != x.CRC && (e.Path != pgdata.ControlPath || e.ExternalDir != 0):
			return usererr.New("Invalid CRC of backup file \"%s\" : %X. Expected %X", m.stored(x), crc, x.CRC)
		}
		return nil
	})
}

// fullCopy finds the newest backup of the chain with the content of a file.
func (w *work) fullCopy(e *catalog.Entry) (*member, *catalog.Entry, error) {
	x := e
	for i := len(w.members) - 1; i >= 0; i-- {
		m := w.members[i]
		if i < len(w.members)-1 {
			if x = m.unchanged(e); x == nil {
				return nil, nil, usererr.New("Failed to locate nonedata file \"%s\" in backup %s", e.Path, m.backup.ID)
			}
		}
		if x.Size >= 0 {
			return m, x, nil
		}
	}
	return nil, nil, usererr.New("Failed to locate a full copy of nonedata file \"%s\"", e.Path)
}

// create makes the new file of an entry beside the old one and syncs it.
func (w *work) create(e *catalog.Entry, fill func(fsx.File) error) (err error) {
	name := w.temp(e)
	if err := fsx.RemoveIfThere(w.deps.FS, name); err != nil {
		return err
	}
	perm := fs.FileMode(e.Mode & 0o777)
	f, err := w.deps.FS.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|fsx.NoFollow, perm)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil { // room for a second attempt; best effort
			err = errors.Join(err, fsx.RemoveIfThere(w.deps.FS, name))
		}
	}()
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := fill(f); err != nil {
		return err
	}
	return f.Sync()
}
