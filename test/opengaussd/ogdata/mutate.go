package ogdata

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// life is what the scripted changes work on. The relations are those of the
// golden cluster (cluster_setup.txt) by kind.
type life struct {
	heap, index, toast, ustore, unlogged *relation
	visibility, space                    *relation // _vm and _fsm of heap
	shrinking, rewritten, doomed, global *relation
	border                               *relation // over the segment border
	storage                              []*relation
	inTablespace                         []*relation
	packed, largePacked                  *compressedRel
	column                               *relation // column 1 of a column-store table
	database                             uint32    // the last one created
}

const testDB = "base/16384"

// populate makes the relations of the cluster.
func (c *Cluster) populate() error {
	l := &c.life
	rel := func(oid uint32, v layout) *relation {
		return &relation{spc: spcDefault, db: 16384, rel: oid, dir: testDB, version: v}
	}
	fork := func(oid uint32, suffix string, n int, v layout) *relation {
		r := rel(oid, v)
		r.suffix, r.fork = suffix, n
		return r
	}
	l.heap, l.index, l.toast, l.ustore = rel(16387, heap), rel(16394, common), rel(16400, heap), rel(16479, uheap)
	l.space, l.visibility = fork(16387, "_fsm", 1, common), fork(16387, "_vm", 2, common)
	l.shrinking, l.rewritten, l.doomed = rel(16505, heap), rel(16517, heap), rel(16522, heap)
	l.unlogged = rel(16499, heap)
	l.unlogged.unlogged = true
	l.global = &relation{spc: spcGlobal, rel: 14900, dir: "global", version: heap}
	type make struct {
		r *relation
		n uint32
	}
	todo := []make{
		{l.heap, 120}, {l.space, 3}, {l.visibility, 1}, {l.index, 40}, {l.toast, 30}, {l.ustore, 12}, {l.unlogged, 8}, {l.shrinking, 25},
		{l.rewritten, 10}, {l.doomed, 6}, {l.global, 2}, {rel(16519, heap), 0},
	}
	init := fork(16499, "_init", 4, heap)
	todo = append(todo, make{init, 0}, make{fork(16387, "_bcm", 3, common), 1})
	// Segment-page storage: files 1 (one-block extents) to 5 and forks.
	for i := range uint32(5) {
		r := rel(i+1, segMeta)
		r.storage = true
		l.storage = append(l.storage, r)
		todo = append(todo, make{r, 20})
	}
	fsm := fork(2, "_fsm", 1, segMeta)
	fsm.storage = true
	todo = append(todo, make{fsm, 4})
	for _, ts := range c.tablespaces {
		r := &relation{spc: ts.OID, db: 16384, rel: 16487 + ts.OID%2*6, dir: fmt.Sprintf("pg_tblspc/%d/%s/16384", ts.OID, versionDir), version: heap}
		l.inTablespace = append(l.inTablespace, r)
		todo = append(todo, make{r, 15})
	}
	for _, m := range todo {
		if err := errors.Join(c.create(m.r), c.extend(m.r, m.n)); err != nil {
			return err
		}
	}
	if !c.opts.NoRowCompressed {
		if err := c.makePacked(rel(16450, heap)); err != nil {
			return err
		}
	}
	if c.opts.BigRelation {
		if err := c.makeBorder(rel(16600, heap)); err != nil {
			return err
		}
	}
	if c.opts.BigRowCompressed {
		if err := c.makeLargePacked(rel(16610, heap)); err != nil {
			return err
		}
	}
	// A column-store table: an empty main file, data in 8 kB units.
	main := rel(16463, common)
	l.column = fork(16463, "_C1", 5, common)
	if err := errors.Join(c.create(main), c.appendColumn(4)); err != nil {
		return err
	}
	return nil
}

// makePacked makes a row-compressed relation of two extents.
func (c *Cluster) makePacked(r *relation) error {
	p := &compressedRel{relation: *r, chunk: 1024}
	c.life.packed = p
	return errors.Join(c.createCompressed(p), c.writeCompressed(p, false, span(0, 140)...), c.writeCompressed(p, true, 3, 130))
}

// makeBorder makes a relation of one and a half segments, mostly pages of
// zeros that take no space.
func (c *Cluster) makeBorder(r *relation) error {
	c.life.border = r
	if err := c.create(r); err != nil {
		return err
	}
	seg := c.opts.RelSegBlocks
	if err := os.Truncate(c.full(r.path()), int64(seg)*blockSize); err != nil {
		return fmt.Errorf("make relation: %w", err)
	}
	r.blocks = seg + seg/2 - 1
	if err := c.extendZero(r, 1); err != nil {
		return err
	}
	if err := c.update(r, 0, 1, seg/2, seg-1, seg); err != nil {
		return err
	}
	return c.extend(r, 9)
}

func span(from, to uint32) []uint32 {
	var list []uint32
	for b := from; b < to; b++ {
		list = append(list, b)
	}
	return list
}

// Mutate changes the cluster. Step says which changes, and the result depends
// on nothing else but the steps before.
func (c *Cluster) Mutate(step int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rng = rand.New(rand.NewPCG(uint64(step), 77))
	l := &c.life
	n := func(max uint32) uint32 { return uint32(c.rng.IntN(int(max))) }
	steps := []func() error{
		// heap, with growth that is logged and growth that is not
		func() error { return c.update(l.heap, n(l.heap.blocks), n(l.heap.blocks), n(l.heap.blocks), 0) },
		func() error { return c.extend(l.heap, 2) },
		func() error { return c.extendZero(l.heap, 1) },
		func() error { return c.update(l.index, 0, n(l.index.blocks)) },
		func() error { return c.update(l.ustore, n(l.ustore.blocks)) },
		func() error { return c.update(l.global, 0) },
		func() error { return c.update(l.visibility, 0) },
		// the free-space map changes without WAL
		func() error { return c.silently(l.space, 1) },
		func() error { return c.silently(l.unlogged, n(l.unlogged.blocks)) },
		c.vacuum,
		func() error { return c.rewrite(l.rewritten, 4+n(6)) },
		c.replace,
		c.comeAndGo,
		c.segmentPages,
		c.rowCompressed,
		c.largePacked,
		func() error { return c.appendColumn(1 + n(2)) },
		c.undo,
		c.tablespaceRelations,
		c.borderChanges,
		func() error { return c.databaseChange(step) },
		func() error { return c.otherFiles(step) },
	}
	for _, f := range steps {
		if err := f(); err != nil {
			return fmt.Errorf("mutate, step %d: %w", step, err)
		}
	}
	return nil
}

// silently changes a page without telling the map, as servers do with
// free-space maps and unlogged relations.
func (c *Cluster) silently(r *relation, block uint32) error {
	quiet := *r
	quiet.unlogged = true
	return c.update(&quiet, block)
}

// vacuum updates, shortens and partly refills a relation: blocks behind the
// cut that came back hold new content, or zeros that no log tells of. Of two
// cuts the map knows the length after the last one only, here the longer.
func (c *Cluster) vacuum() error {
	r := c.life.shrinking
	if r.blocks < 12 {
		return c.extend(r, 20)
	}
	n := r.blocks
	return errors.Join(c.update(r, n-1, n-8), c.truncate(r, n-9), c.extend(r, 3), c.extendZero(r, 4), c.cut(r, n-4))
}

// replace drops one relation and creates another.
func (c *Cluster) replace() error {
	if err := c.drop(c.life.doomed); err != nil {
		return err
	}
	r := *c.life.doomed
	r.rel, r.blocks = c.newOID(), 0
	c.life.doomed = &r
	return errors.Join(c.create(&r), c.extend(&r, 5))
}

// comeAndGo is a relation that no backup sees.
func (c *Cluster) comeAndGo() error {
	r := *c.life.doomed
	r.rel, r.blocks = c.newOID(), 0
	return errors.Join(c.create(&r), c.extend(&r, 2), c.drop(&r))
}

// ShrinkSegments plays gs_space_shrink: pages move to the front of a
// segment-page file, with log records that name no blocks (XLOG_SEG_NEW_PAGE),
// and the file is cut (XLOG_SEG_SPACE_SHRINK). The map has neither.
func (c *Cluster) ShrinkSegments() error {
	r := c.life.storage[1]
	if err := errors.Join(c.silently(r, 5), c.silently(r, 7)); err != nil {
		return err
	}
	quiet := *r
	quiet.unlogged = true
	err := c.cut(&quiet, r.blocks-1)
	r.blocks = quiet.blocks
	return err
}

func (c *Cluster) segmentPages() error {
	for _, r := range c.life.storage[:2] {
		if err := c.update(r, 2, uint32(c.rng.IntN(int(r.blocks)))); err != nil {
			return err
		}
	}
	return nil
}

// rowCompressed turns blocks raw and back, changes some and adds some, over
// the border of an extent.
func (c *Cluster) rowCompressed() error {
	r := c.life.packed
	if r == nil {
		return nil
	}
	n := uint32(len(r.pages))
	return errors.Join(
		c.writeCompressed(r, false, 3, uint32(c.rng.IntN(int(n))), n, n+1),
		c.writeCompressed(r, true, 5, 127, 128, n+2))
}

func (c *Cluster) tablespaceRelations() error {
	for _, r := range c.life.inTablespace {
		if err := errors.Join(c.update(r, 1, uint32(c.rng.IntN(int(r.blocks)))), c.extend(r, 1)); err != nil {
			return err
		}
	}
	return nil
}

// borderChanges touches both sides of the segment border, and shortens the
// relation a little and back.
func (c *Cluster) borderChanges() error {
	r := c.life.border
	if r == nil {
		return nil
	}
	seg := c.opts.RelSegBlocks
	if err := c.update(r, seg-1, seg, seg+3, 1); err != nil {
		return err
	}
	return errors.Join(c.truncate(r, r.blocks-4), c.extend(r, 6))
}

// largePacked touches both files of a row-compressed relation.
func (c *Cluster) largePacked() error {
	r := c.life.largePacked
	if r == nil {
		return nil
	}
	n := uint32(len(r.pages))
	return errors.Join(
		c.writeCompressed(r, false, 1, 500, compressedBlocks-1, compressedBlocks+uint32(c.rng.IntN(200)), n),
		c.writeCompressed(r, true, compressedBlocks-2, compressedBlocks+7, n+1))
}

// appendColumn adds units to a column: bytes of no page format.
func (c *Cluster) appendColumn(units uint32) error {
	r := c.life.column
	if _, err := c.commit(40); err != nil {
		return err
	}
	f, err := os.OpenFile(c.full(r.path())+".0", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("append to column: %w", err)
	}
	for range units {
		unit := make([]byte, blockSize)
		fillTuple(unit, c.rng, true)
		if _, werr := f.Write(unit); werr != nil {
			err = errors.Join(err, werr)
		}
		c.note(r, modified, r.blocks)
		r.blocks++
	}
	return errors.Join(err, f.Close())
}

// undo changes a block of the real undo segment and of its meta file
// (golden 12_server_sql [013] for the rows).
func (c *Cluster) undo() error {
	if _, err := c.commit(40); err != nil {
		return err
	}
	for _, u := range []struct {
		db    uint32
		path  string
		block int64
	}{{9, "undo/permanent/00000", int64(c.rng.IntN(60))}, {10, "undo/permanent/00000.meta", 0}} {
		if err := c.scribble(u.path+".0000000", u.block*blockSize+4000, 8); err != nil {
			return err
		}
		c.cbm.note(change{forkID{spcDefault, u.db, 0, 0, u.path}, modified, uint32(u.block)})
	}
	return nil
}

// scribble writes random bytes into a file.
func (c *Cluster) scribble(path string, off int64, n int) error {
	b := make([]byte, n)
	fillTuple(b, c.rng, true)
	f, err := os.OpenFile(c.full(path), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("change file: %w", err)
	}
	_, err = f.WriteAt(b, off)
	return errors.Join(err, f.Close())
}

// databaseChange creates a database by copying base/1 in odd steps: one row
// for the directory, none for the files. In even steps the last one goes.
func (c *Cluster) databaseChange(step int) error {
	if _, err := c.commit(30); err != nil {
		return err
	}
	event := func(oid uint32, kind changeKind) {
		c.cbm.note(change{forkID{spcDefault, oid, 0, 0, fmt.Sprintf("base/%d", oid)}, kind, 0})
	}
	if step%2 == 0 {
		if oid := c.life.database; oid != 0 {
			event(oid, dropped)
			c.databases = c.databases[:len(c.databases)-1]
			c.life.database = 0
			return os.RemoveAll(c.full(fmt.Sprintf("base/%d", oid)))
		}
		return nil
	}
	oid := c.newOID()
	event(oid, created)
	c.life.database = oid
	c.databases = append(c.databases, Database{oid, fmt.Sprintf("db%d", step)})
	return copyDatabase(c.full("base/1"), c.full(fmt.Sprintf("base/%d", oid)))
}

func copyDatabase(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	for i, e := range entries {
		if i%4 != 0 && !strings.HasPrefix(e.Name(), "P") { // a quarter is enough
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return fmt.Errorf("create database: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o600); err != nil {
			return fmt.Errorf("create database: %w", err)
		}
	}
	return nil
}

// otherFiles changes what is not a relation. The double-write file gets pages
// that nobody needs back (server.md §3.4).
func (c *Cluster) otherFiles(step int) error {
	var state bytes.Buffer
	b, err := os.ReadFile(c.full("gaussdb.state"))
	if err != nil {
		return err
	}
	state.Write(b)
	state.Bytes()[40] = byte(step)
	extra := fmt.Sprintf("gs_secure_files/step%d", step)
	err = errors.Join(
		os.WriteFile(c.full("gaussdb.state"), state.Bytes(), 0o600),
		os.WriteFile(c.full(extra), []byte(extra), 0o600),
		c.scribble("pg_clog/000000000000", int64(step)*16, 16),
		c.scribble("pg_csnlog/000000000000", int64(step)*512, 100),
		c.scribble("pg_notify/000000000000", 0, 4),
		c.scribble("base/16384/16700_b12", int64(step)*8, 8),
	)
	if step > 1 {
		err = errors.Join(err, ignoreMissing(os.Remove(c.full(fmt.Sprintf("gs_secure_files/step%d", step-1)))))
	}
	if !c.opts.NoDoubleWrite {
		// an extent being put in order
		note := fmt.Sprintf("global/pg_dw_ext_chunk/%d_assist_tmp", 16384+step)
		err = errors.Join(err, os.MkdirAll(c.full("global/pg_dw_ext_chunk"), 0o700), os.WriteFile(c.full(note), make([]byte, 130*blockSize), 0o600))
		err = errors.Join(err, c.scribble("global/pg_dw_0", int64(1+step%100)*blockSize, 5*blockSize))
	}
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
