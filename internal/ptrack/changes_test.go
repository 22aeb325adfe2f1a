package ptrack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gsprobackup/internal/wal"
)

// marked lists the blocks of a map of n; all of them for nil.
func marked(m *PageMap, n uint32) []uint32 {
	list := []uint32{}
	for b := range n {
		if m.Has(b) {
			list = append(list, b)
		}
	}
	return list
}

func TestPageMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(1, 300).Draw(t, "n")
		m := NewPageMap(rapid.Uint32Range(0, 300).Draw(t, "room"))
		want := map[uint32]bool{}
		for _, b := range rapid.SliceOf(rapid.Uint32Range(0, n-1)).Draw(t, "blocks") {
			m.Add(b)
			want[b] = true
		}
		if len(m.bits) >= int(n+7)/8 {
			from := rapid.Uint32Range(0, n).Draw(t, "from")
			m.addFrom(from, n)
			for b := from; b < n; b++ {
				want[b] = true
			}
		}
		for b := range n + 100 {
			if m.Has(b) != want[b] {
				t.Fatalf("block %d: %v", b, m.Has(b))
			}
		}
		if m.Count() != len(want) {
			t.Fatalf("%d blocks, want %d", m.Count(), len(want))
		}
	})
	var all *PageMap
	if !all.Has(7) || all.Count() != 0 {
		t.Error("a nil map does not have every block")
	}
}

// naive is a list of rows and the rules of the package comment, word by word.
type naive []CBMRow

func (rows naive) blocks(f File) []uint32 {
	changed := []uint32{}
	for b := range f.Blocks {
		abs := f.First + b
		hit := b >= f.Known
		for _, r := range rows {
			above := r.Path == f.Relation || strings.HasPrefix(f.Relation, r.Path+"/")
			if above && (r.Created || r.Dropped) {
				hit = true
			}
			if r.Path != f.Relation {
				continue
			}
			if r.Truncated && abs >= r.TruncateBlock {
				hit = true
			}
			if slices.Contains(strings.Split(string(r.Blocks), ", "), fmt.Sprint(abs)) {
				hit = true
			}
		}
		if hit {
			changed = append(changed, b)
		}
	}
	return changed
}

func TestChangesAsTheRulesSay(t *testing.T) {
	paths := []string{"base/16384/16402", "base/16384/16403", "base/16384", "base/16385/16402", "global/1262", "pg_tblspc/9", "pg_tblspc/9/PG_17_1/5/16402"}
	rapid.Check(t, func(t *rapid.T) {
		segment := rapid.SampledFrom([]uint32{131072, 130048, 100}).Draw(t, "segment")
		near := rapid.Custom(func(t *rapid.T) uint32 {
			return rapid.Uint32Range(0, 3).Draw(t, "segno")*segment + rapid.Uint32Range(0, 70).Draw(t, "offset")
		})
		c := newChanges(nil)
		var rows naive
		for range rapid.IntRange(0, 6).Draw(t, "rows") {
			r := CBMRow{
				Path:    rapid.SampledFrom(paths).Draw(t, "path"),
				Dropped: rapid.IntRange(0, 9).Draw(t, "dropped") == 0, Created: rapid.IntRange(0, 9).Draw(t, "created") == 0,
				Truncated: rapid.IntRange(0, 4).Draw(t, "truncated") == 0, TruncateBlock: near.Draw(t, "to"),
			}
			var list []string
			for _, b := range rapid.SliceOfN(near, 0, 5).Draw(t, "blocks") {
				list = append(list, fmt.Sprint(b))
			}
			r.Count, r.Blocks = uint64(len(list)), []byte(strings.Join(list, ", "))
			if err := c.addCBM(r); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, r)
		}
		f := File{
			Relation: rapid.SampledFrom(paths).Draw(t, "file"), First: rapid.Uint32Range(0, 3).Draw(t, "segno") * segment,
			Blocks: rapid.Uint32Range(0, 80).Draw(t, "blocks"), Known: rapid.Uint32Range(0, 80).Draw(t, "known"),
		}
		if got, want := marked(c.Map(f), f.Blocks), rows.blocks(f); !slices.Equal(got, want) {
			t.Fatalf("blocks %d, want %d", got, want)
		}
	})
}

// A relation as large as block numbers go does not upset the arithmetic.
func TestLastBlocks(t *testing.T) {
	c := newChanges(nil)
	r := c.relation("base/1/2")
	r.add(1<<32 - 2)
	r.cutTo(1<<32 - 3)
	first := uint32(32767 * 131072)
	m := c.Map(File{Relation: "base/1/2", First: first, Blocks: 131071, Known: 131071})
	if got := marked(m, 131071); !slices.Equal(got, []uint32{131069, 131070}) {
		t.Errorf("blocks %d", got)
	}
}

func TestRangeIsChecked(t *testing.T) {
	q := Query{Range: Range{Start: 2, End: 1}}
	if _, err := FromCBM(context.Background(), &fakeCBM{}, q, func(string) {}); err == nil {
		t.Error("FromCBM accepts a range that ends before it starts")
	}
	if _, err := FromSummaries(context.Background(), &fakeSummarizer{on: true}, q, fakePath); err == nil {
		t.Error("FromSummaries accepts a range that ends before it starts")
	}
}

// fakePath is the layout of a PostgreSQL 17 cluster.
func fakePath(spc, db, rel uint32) string {
	dir := fmt.Sprintf("pg_tblspc/%d/PG_17_202406281/%d", spc, db)
	switch spc {
	case 1664:
		dir = "global"
	case 1663:
		dir = fmt.Sprintf("base/%d", db)
	}
	if rel == 0 {
		return dir
	}
	return fmt.Sprintf("%s/%d", dir, rel)
}

// positions is a server that answers one position after the other, the last
// one for ever.
type positions struct {
	list  []wal.LSN
	asked int
}

func (p *positions) next() wal.LSN {
	p.asked++
	return p.list[min(p.asked, len(p.list))-1]
}
