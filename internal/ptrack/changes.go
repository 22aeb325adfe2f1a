package ptrack

import (
	"math/bits"
	"strings"
)

// Changes are the blocks that changed in a range of WAL, by relation.
type Changes struct {
	rels map[string]*relation
	// anew are relations, databases and tablespaces that were made or
	// dropped in the range.
	anew map[string]struct{}
	keep func(path string) bool
}

// relation is what changed in one fork of a relation. Its key is the path of
// the first file, relative to the data directory, without the suffix of a
// row-compressed one.
type relation struct {
	// cut is the shortest length the relation is known to have been cut to,
	// in blocks.
	cut    uint64
	chunks map[uint32]*chunk
	// unsure says that an earlier cut may have been deeper.
	unsure bool
}

const (
	notCut      = 1 << 32
	chunkBlocks = 1024
)

// chunk has the blocks of one piece of a relation.
type chunk [chunkBlocks / 64]uint64

func newChanges(keep func(path string) bool) *Changes {
	if keep == nil {
		keep = func(string) bool { return true }
	}
	return &Changes{rels: map[string]*relation{}, anew: map[string]struct{}{}, keep: keep}
}

func (c *Changes) relation(path string) *relation {
	r := c.rels[path]
	if r == nil {
		r = &relation{cut: notCut}
		c.rels[path] = r
	}
	return r
}

func (r *relation) add(block uint32) {
	if r.chunks == nil {
		r.chunks = map[uint32]*chunk{}
	}
	k := r.chunks[block/chunkBlocks]
	if k == nil {
		k = new(chunk)
		r.chunks[block/chunkBlocks] = k
	}
	k[block%chunkBlocks/64] |= 1 << (block % 64)
}

func (r *relation) cutTo(length uint32) { r.cut = min(r.cut, uint64(length)) }

func (c *Changes) setAnew(path string) { c.anew[path] = struct{}{} }

// isAnew tells whether a relation or a directory above it was made or dropped.
func (c *Changes) isAnew(path string) bool {
	if len(c.anew) == 0 {
		return false
	}
	for {
		if _, ok := c.anew[path]; ok {
			return true
		}
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			return false
		}
		path = path[:slash]
	}
}

// File is a data file that the parent backup has, too.
type File struct {
	// Relation is the path of the relation's first file, without the suffix
	// of a row-compressed one: base/16384/16402 for base/16384/16402.3.
	Relation string
	// First is the number of the file's first block in the relation.
	First uint32
	// Blocks is the length of the file now, Known in the parent backup.
	Blocks, Known uint32
}

// Map has the blocks of a file that are not as in the parent, nil for all.
func (c *Changes) Map(f File) *PageMap {
	if c.isAnew(f.Relation) {
		return nil
	}
	m := NewPageMap(f.Blocks)
	from := min(f.Known, f.Blocks)
	if r := c.rels[f.Relation]; r != nil {
		if r.cut <= uint64(f.First) {
			return nil
		}
		if cut := r.cut - uint64(f.First); cut < uint64(from) {
			from = uint32(cut)
		}
		r.copyTo(m, f.First, from)
	}
	m.addFrom(from, f.Blocks)
	return m
}

// Unsure tells whether the map of a relation's file may lack blocks that an
// earlier cut took off and that came back without WAL. Such a block has no LSN
// of real WAL.
func (c *Changes) Unsure(relation string) bool {
	r := c.rels[relation]
	return r != nil && r.unsure
}

// Cut is the shortest length a relation is known to have been cut to, in
// blocks; that of one which was not cut is beyond any.
func (c *Changes) Cut(relation string) uint64 {
	if r := c.rels[relation]; r != nil {
		return r.cut
	}
	return notCut
}

// Settle says that no cut of a relation went below a length. What is behind it
// counts as changed.
func (c *Changes) Settle(relation string, length uint32) {
	r := c.relation(relation)
	r.cutTo(length)
	r.unsure = false
}

// copyTo marks the changed ones of n blocks from first on.
func (r *relation) copyTo(m *PageMap, first, n uint32) {
	if n == 0 || len(r.chunks) == 0 {
		return
	}
	last := uint64(first) + uint64(n) - 1
	for i := uint64(first) / chunkBlocks; i <= last/chunkBlocks; i++ {
		k := r.chunks[uint32(i)]
		if k == nil {
			continue
		}
		for w, word := range k {
			for ; word != 0; word &= word - 1 {
				block := i*chunkBlocks + uint64(w)*64 + uint64(bits.TrailingZeros64(word))
				if block >= uint64(first) && block <= last {
					m.Add(uint32(block - uint64(first)))
				}
			}
		}
	}
}
