package ogdata

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gsprobackup/internal/wal"
)

// Oids of the built-in tablespaces.
const (
	spcDefault = 1663
	spcGlobal  = 1664
)

// forkID names one fork as the changed block map does. Path is the fork's
// path without segment, and without `_compress` (server.md §2.3).
type forkID struct {
	spc, db, rel uint32
	fork         int
	path         string
}

type changeKind int

const (
	modified changeKind = iota
	truncated
	created
	dropped
)

type change struct {
	id    forkID
	kind  changeKind
	block uint32 // modified: the block; truncated: the new length
}

// batch is one tracked interval: all changes between two redo points
// (formats.md §11.2).
type batch struct {
	start, end wal.LSN
	changes    []change
}

// changeMap is what pg_cbm knows. Tracked is the redo point of the last
// checkpoint while tracking (server.md §2.3).
type changeMap struct {
	tracking bool
	started  bool // tracking has run at least once
	tracked  wal.LSN
	dir      string
	done     []batch
	open     []change
}

func (m *changeMap) note(ch change) { m.open = append(m.open, ch) }

// advance closes the batch at a checkpoint's redo point. While tracking is
// off the changes stay in the WAL and are found later, without a gap.
func (m *changeMap) advance(redo wal.LSN) error {
	if !m.tracking {
		return nil
	}
	b := batch{m.tracked, redo, m.open}
	m.done = append(m.done, b)
	m.open, m.tracked = nil, redo
	return writeBatch(m.dir, b, len(m.done) == 1)
}

// SetTracking is enable_cbm_tracking.
func (c *Cluster) SetTracking(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cbm.tracking = on
	c.cbm.started = c.cbm.started || on
}

// ForgetTracking makes the cluster one where tracking never ran: the tracked
// location is NULL until it is switched on, and starts there.
func (c *Cluster) ForgetTracking() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cbm = changeMap{dir: c.cbm.dir, tracked: c.control.redo()}
}

// Tracked is pg_cbm_tracked_location; false is NULL.
func (c *Cluster) Tracked() (wal.LSN, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cbm.tracked, c.cbm.started
}

// ChangedRow is a row of pg_cbm_get_changed_block.
type ChangedRow struct {
	MergedStart, MergedEnd      wal.LSN
	Tablespace, Database, Rel   uint32
	Fork                        int
	Path                        string
	Dropped, Created, Truncated bool
	TruncatedTo                 uint32 // when Truncated
	Blocks                      []uint32
}

// BlockList is the text of changed_block_list; NULL when there are none.
func (r ChangedRow) BlockList() (string, bool) {
	var b strings.Builder
	for i, n := range r.Blocks {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatUint(uint64(n), 10))
	}
	return b.String(), len(r.Blocks) > 0
}

func location(l wal.LSN) string { return fmt.Sprintf("%08X/%08X", uint32(l>>32), uint32(l)) }

// ChangedBlocks merges the batches between start and end. The error texts are
// the server's (golden 12_server_sql [015]).
func (c *Cluster) ChangedBlocks(start, end wal.LSN) ([]ChangedRow, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &c.cbm
	switch {
	case start > end:
		return nil, fmt.Errorf("start xlog location %s should be smaller than or equal to end xlog location %s", start, end)
	case end > m.tracked || !m.started:
		return nil, fmt.Errorf("end xlog location %s should be smaller than or equal to already tracked xlog location %s", end, m.tracked)
	case len(m.done) == 0 || end < m.done[0].start:
		return nil, fmt.Errorf("could not find valid CBM file between %s and %s, which may be caused by previous CBM switch-off, truncation, or corruption",
			location(start), location(end))
	case start < m.done[0].start:
		return nil, errors.New("could not find valid CBM file that contains the merging start point " + location(start))
	case start == end:
		return nil, nil
	}
	merge := merger{rows: map[forkID]*forkState{}}
	var first, last wal.LSN
	for _, b := range m.done {
		if b.end <= start || b.start >= end {
			continue
		}
		if first == 0 {
			first = b.start
		}
		last = b.end // rounded up to the end of a page
		for _, ch := range b.changes {
			merge.add(ch)
		}
	}
	return merge.result(first, last), nil
}

// forkState is the union of changes of one fork (formats.md §11.3).
type forkState struct {
	dropped, created, truncated bool
	length                      uint32
	blocks                      map[uint32]struct{}
}

type merger struct{ rows map[forkID]*forkState }

func (m *merger) add(ch change) {
	s := m.rows[ch.id]
	if s == nil {
		s = &forkState{blocks: map[uint32]struct{}{}}
		m.rows[ch.id] = s
	}
	switch ch.kind {
	case modified:
		s.blocks[ch.block] = struct{}{}
	case truncated:
		s.truncated, s.length = true, ch.block
		for b := range s.blocks {
			if b >= ch.block {
				delete(s.blocks, b)
			}
		}
	case created:
		s.created = true
	case dropped:
		m.drop(ch.id)
	}
}

// drop cancels what came before: of the relation, or of the whole database
// when the relation number is 0.
func (m *merger) drop(id forkID) {
	for k := range m.rows {
		sameDB := k.spc == id.spc && k.db == id.db
		if sameDB && (id.rel == 0 || k.rel == id.rel) && k != id {
			delete(m.rows, k)
		}
	}
	m.rows[id] = &forkState{dropped: true, blocks: map[uint32]struct{}{}}
}

// result lists the rows in an order of no meaning, as a server's hash table
// gives them: the client has to sort.
func (m *merger) result(start, end wal.LSN) []ChangedRow {
	var rows []ChangedRow
	for id, s := range m.rows {
		r := ChangedRow{
			MergedStart: start, MergedEnd: end, Tablespace: id.spc, Database: id.db, Rel: id.rel, Fork: id.fork, Path: id.path,
			Dropped: s.dropped, Created: s.created && !s.dropped, Truncated: s.truncated, TruncatedTo: s.length,
		}
		for b := range s.blocks {
			r.Blocks = append(r.Blocks, b)
		}
		slices.Sort(r.Blocks)
		rows = append(rows, r)
	}
	mix := func(r ChangedRow) uint32 { return (r.Rel*2654435761 + uint32(r.Fork)*40503) ^ r.Database<<7 }
	slices.SortFunc(rows, func(a, b ChangedRow) int {
		return cmp.Or(cmp.Compare(mix(a), mix(b)), cmp.Compare(a.Path, b.Path))
	})
	return rows
}
