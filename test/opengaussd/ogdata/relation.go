package ogdata

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gsprobackup/internal/wal"
)

// relation is one fork of a relation with ordinary pages. Its files are
// path(), path().1 and so on below PGDATA.
type relation struct {
	spc, db, rel uint32
	dir          string // as the server prints it: base/16384
	suffix       string // _fsm, _vm, _init …
	fork         int
	version      layout
	blocks       uint32
	unlogged     bool // changes write no WAL and are in no map
	storage      bool // a segment-page file, base/<db>/1 … 5
}

func (r *relation) path() string { return fmt.Sprintf("%s/%d%s", r.dir, r.rel, r.suffix) }

func (r *relation) id() forkID { return forkID{r.spc, r.db, r.rel, r.fork, r.path()} }

// extension is how many blocks segment-page files grow by: 128 MiB. The map
// marks the last block of each extension that is touched (server.md §2.3).
const extension = 16384

// note tells the changed block map.
func (c *Cluster) note(r *relation, kind changeKind, block uint32) {
	if r.unlogged {
		return
	}
	c.cbm.note(change{r.id(), kind, block})
	if r.storage && kind == modified {
		c.cbm.note(change{r.id(), modified, block/extension*extension + extension - 1})
	}
}

func (c *Cluster) full(path string) string { return filepath.Join(c.opts.Dir, path) }

// file is the segment file that holds a block, and the block's place in it.
func (c *Cluster) file(r *relation, block uint32) (name string, off int64) {
	name = c.full(r.path())
	if seg := block / c.opts.RelSegBlocks; seg > 0 {
		name = fmt.Sprintf("%s.%d", name, seg)
	}
	return name, int64(block%c.opts.RelSegBlocks) * blockSize
}

// create makes an empty relation.
func (c *Cluster) create(r *relation) error {
	f, err := os.OpenFile(c.full(r.path()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create relation: %w", err)
	}
	c.note(r, created, 0)
	return f.Close()
}

// extend adds n filled pages.
func (c *Cluster) extend(r *relation, n uint32) error {
	lsn, err := c.commit(100)
	if err != nil {
		return err
	}
	for range n {
		p := newPage(r.version, c.rng, false)
		r.blocks++
		if err := c.put(r, r.blocks-1, p, lsn); err != nil {
			return err
		}
		c.note(r, modified, r.blocks-1)
	}
	return nil
}

// extendZero adds n pages of zeros, which is written to no log: a server that
// extends a relation ahead does so.
func (c *Cluster) extendZero(r *relation, n uint32) error {
	for range n {
		r.blocks++
		name, off := c.file(r, r.blocks-1)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("extend relation: %w", err)
		}
		if err := errors.Join(f.Truncate(off+blockSize), f.Close()); err != nil {
			return fmt.Errorf("extend relation: %w", err)
		}
	}
	return nil
}

// update changes pages that exist.
func (c *Cluster) update(r *relation, blocks ...uint32) error {
	lsn, err := c.commit(64 * len(blocks))
	if err != nil {
		return err
	}
	for _, b := range blocks {
		p, err := c.get(r, b)
		if err != nil {
			return err
		}
		if p[18] == 0 && p[19] == 0 { // never written
			p = newPage(r.version, c.rng, false)
		}
		alter(p, c.rng)
		if err := c.put(r, b, p, lsn); err != nil {
			return err
		}
		c.note(r, modified, b)
	}
	return nil
}

func (c *Cluster) get(r *relation, block uint32) ([]byte, error) {
	name, off := c.file(r, block)
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read block %d: %w", block, err)
	}
	p := make([]byte, blockSize)
	_, err = io.ReadFull(io.NewSectionReader(f, off, blockSize), p)
	return p, errors.Join(err, f.Close())
}

func (c *Cluster) put(r *relation, block uint32, p []byte, lsn wal.LSN) error {
	seal(p, lsn, block)
	name, off := c.file(r, block)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write block %d: %w", block, err)
	}
	_, err = f.WriteAt(p, off)
	return errors.Join(err, f.Close())
}

// truncate shortens a relation as VACUUM does. Segments behind the new end
// stay as empty files.
func (c *Cluster) truncate(r *relation, n uint32) error {
	if _, err := c.commit(16); err != nil {
		return err
	}
	return c.cut(r, n)
}

// cut is truncate in a transaction that has written something else.
func (c *Cluster) cut(r *relation, n uint32) error {
	c.note(r, truncated, n)
	last := (max(r.blocks, 1) - 1) / c.opts.RelSegBlocks
	for seg := n / c.opts.RelSegBlocks; seg <= last; seg++ {
		name, off := c.file(r, max(n, seg*c.opts.RelSegBlocks))
		if err := os.Truncate(name, off); err != nil {
			return fmt.Errorf("truncate relation: %w", err)
		}
	}
	r.blocks = n
	return nil
}

// drop removes a relation and its files.
func (c *Cluster) drop(r *relation) error {
	if _, err := c.commit(16); err != nil {
		return err
	}
	c.note(r, dropped, 0)
	names, err := filepath.Glob(c.full(r.path()) + ".*")
	if err != nil {
		return err
	}
	for _, name := range append(names, c.full(r.path())) {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("drop relation: %w", err)
		}
	}
	return nil
}

// rewrite gives a relation a new file, as VACUUM FULL and TRUNCATE do.
func (c *Cluster) rewrite(r *relation, blocks uint32) error {
	if err := c.drop(r); err != nil {
		return err
	}
	r.rel, r.blocks = c.newOID(), 0
	if err := c.create(r); err != nil {
		return err
	}
	return c.extend(r, blocks)
}

func (c *Cluster) newOID() uint32 {
	c.nextOID++
	return c.nextOID
}
