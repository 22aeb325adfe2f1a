package restore

import (
	"context"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// differ is a FileSink that writes only those 8 KiB blocks of a file that are
// not there yet, by their content. It serves files of which the backup has
// one sum or none: other files and row-compressed relations.
type differ struct {
	ctx    context.Context
	reader remote.Reader
	out    remote.FileWriter // opened with Keep
	path   string
	have   uint32 // blocks that the file has, a part of one included

	sums    remote.PageSums // of the blocks from..
	from    uint32
	at      uint32 // the block being collected
	block   []byte // what there is of it
	written int64
}

// blockSize is the unit of comparison.
const blockSize = pgdata.BlockSize

var zeroBlock [blockSize]byte

func newDiffer(ctx context.Context, reader remote.Reader, out remote.FileWriter, name string, size int64) *differ {
	return &differ{ctx: ctx, reader: reader, out: out, path: name, have: uint32((size + blockSize - 1) / blockSize), block: make([]byte, 0, blockSize)}
}

func (d *differ) Data(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), blockSize-len(d.block))
		if len(d.block) == 0 && n == blockSize {
			if err := d.put(p[:n]); err != nil {
				return err
			}
		} else if d.block = append(d.block, p[:n]...); len(d.block) == blockSize {
			if err := d.put(d.block); err != nil {
				return err
			}
			d.block = d.block[:0]
		}
		p = p[n:]
	}
	return nil
}

func (d *differ) Hole(n int64) error {
	for n > 0 {
		if d.at >= d.have && len(d.block) == 0 { // behind the old end
			whole := n / blockSize
			d.at += uint32(whole)
			if err := d.out.Hole(whole * blockSize); err != nil {
				return err
			}
			n -= whole * blockSize
		}
		part := min(n, int64(blockSize-len(d.block)))
		if err := d.Data(zeroBlock[:part]); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// put writes the current block unless it is there.
func (d *differ) put(block []byte) error {
	same, err := d.same(block)
	if err != nil {
		return err
	}
	d.at++
	if same {
		return d.out.Hole(blockSize)
	}
	d.written += blockSize
	return d.out.Data(block)
}

func (d *differ) same(block []byte) (bool, error) {
	if d.at >= d.have {
		return false, nil
	}
	for d.at >= d.from+uint32(len(d.sums.Pages)) {
		d.from += uint32(len(d.sums.Pages))
		req := remote.SumRequest{Path: d.path, From: d.from, To: min(d.from+remote.MaxSumPages, d.have), Content: true}
		if err := d.reader.PageSums(d.ctx, &req, &d.sums); err != nil {
			return false, err
		}
		if len(d.sums.Pages) == 0 {
			d.have = d.from // behind the last whole block
			return false, nil
		}
	}
	return d.sums.Pages[d.at-d.from].Content == remote.SumContent(block), nil
}

// finish writes the rest and cuts the file there.
func (d *differ) finish() error {
	if len(d.block) > 0 {
		d.written += int64(len(d.block))
		if err := d.out.Data(d.block); err != nil {
			return err
		}
	}
	return d.out.Truncate(int64(d.at)*blockSize + int64(len(d.block)))
}
