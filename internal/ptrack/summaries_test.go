package ptrack

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

type fakeSummarizer struct {
	positions
	on   bool
	all  []Summary
	rows map[Summary][]SummaryRow
	read []Summary
	err  error
}

func (f *fakeSummarizer) SummarizesWAL(context.Context) (bool, error)     { return f.on, f.err }
func (f *fakeSummarizer) SummarizedLSN(context.Context) (wal.LSN, error)  { return f.next(), nil }
func (f *fakeSummarizer) WALSummaries(context.Context) ([]Summary, error) { return f.all, nil }
func (f *fakeSummarizer) WALSummaryContents(_ context.Context, s Summary, row func(SummaryRow) error) error {
	f.read = append(f.read, s)
	for _, r := range f.rows[s] {
		if err := row(r); err != nil {
			return err
		}
	}
	return nil
}

func TestSummariesGiveChanges(t *testing.T) {
	s1, s2, s3 := Summary{1, 10, 20}, Summary{1, 20, 35}, Summary{1, 35, 50}
	const rel = 16402
	main := func(rel, block uint32) SummaryRow {
		return SummaryRow{Tablespace: 1663, Database: 5, Relation: rel, Block: block}
	}
	cut := func(rel, to uint32) SummaryRow {
		return SummaryRow{Tablespace: 1663, Database: 5, Relation: rel, Block: to, Limit: true}
	}
	src := &fakeSummarizer{
		on: true, positions: positions{list: []wal.LSN{40}},
		all: []Summary{s3, s1, {2, 10, 50}, s2, {1, 0, 10}, {1, 50, 60}},
		rows: map[Summary][]SummaryRow{
			s1: {main(rel, 3), main(rel+1, 9), cut(rel+2, 4), {Tablespace: 1664, Relation: 1262, Block: 1}, main(rel+4, 0)},
			s2: {main(rel, 131072+4), cut(rel+1, 0), main(rel+2, 1), {Tablespace: 1663, Database: 6, Limit: true},
				{Tablespace: 1663, Database: 5, Relation: rel, Fork: 2, Block: 0}},
			s3: {cut(rel+2, 6), {Tablespace: 77, Database: 5, Relation: rel, Block: 2}, cut(rel+3, 131072+2)},
		},
	}
	c, err := FromSummaries(context.Background(), src, query(Range{Timeline: 1, Start: 15, End: 40}), fakePath)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(src.read, []Summary{s1, s2, s3}) {
		t.Errorf("read summaries %v", src.read)
	}
	all := []uint32{0, 1, 2, 3, 4, 5, 6, 7}
	tests := []struct {
		name string
		file File
		want []uint32
	}{
		{"first segment", File{"base/5/16402", 0, 8, 8}, []uint32{3}},
		{"second segment", File{"base/5/16402", 131072, 8, 8}, []uint32{4}},
		{"grown without WAL", File{"base/5/16402", 0, 8, 6}, []uint32{3, 6, 7}},
		{"shrunk", File{"base/5/16402", 0, 3, 8}, nil},
		{"made anew", File{"base/5/16403", 0, 8, 8}, all},
		{"cut to 4", File{"base/5/16404", 0, 8, 8}, []uint32{1, 4, 5, 6, 7}},
		{"segment behind the cut", File{"base/5/16404", 131072, 8, 8}, all},
		{"cut in the next segment", File{"base/5/16405", 0, 8, 8}, nil},
		{"cut in this segment", File{"base/5/16405", 131072, 8, 8}, []uint32{2, 3, 4, 5, 6, 7}},
		{"untouched", File{"base/5/99", 0, 8, 8}, nil},
		{"copied database", File{"base/6/99", 0, 8, 8}, all},
		{"other tablespace", File{"pg_tblspc/77/PG_17_202406281/5/16402", 0, 8, 8}, []uint32{2}},
		{"shared", File{"global/1262", 0, 8, 8}, []uint32{1}},
	}
	for _, tt := range tests {
		if got := marked(c.Map(tt.file), tt.file.Blocks); !slices.Equal(got, tt.want) {
			t.Errorf("%s: blocks %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSummariesMustCoverTheRange(t *testing.T) {
	r := Range{Timeline: 1, Start: 15, End: 40}
	tests := []struct {
		name string
		all  []Summary
		gap  string // "" if the range is covered
	}{
		{"one", []Summary{{1, 0, 100}}, ""},
		{"exact", []Summary{{1, 15, 40}}, ""},
		{"none", nil, "0/F and 0/28"},
		{"starts late", []Summary{{1, 16, 40}}, "0/F and 0/10"},
		{"ends early", []Summary{{1, 10, 39}}, "0/27 and 0/28"},
		{"hole", []Summary{{1, 10, 20}, {1, 21, 40}}, "0/14 and 0/15"},
		{"other time line", []Summary{{1, 10, 20}, {2, 20, 40}}, "0/14 and 0/28"},
		{"overlap", []Summary{{1, 10, 30}, {1, 12, 20}, {1, 25, 50}}, ""},
	}
	for _, tt := range tests {
		_, err := r.cover(tt.all)
		var u *usererr.Error
		switch {
		case tt.gap == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.gap != "" && (!errors.As(err, &u) || !strings.Contains(u.Text, tt.gap) || !strings.Contains(u.Hint, "FULL")):
			t.Errorf("%s: %v, want a gap between %s", tt.name, err, tt.gap)
		}
	}
	if list, err := (Range{Timeline: 1, Start: 15, End: 15}).cover(nil); err != nil || len(list) != 0 {
		t.Errorf("empty range: %v, %v", list, err)
	}
}

// A chosen cover names each position of the range, and one is found if the
// summaries together do.
func TestCoverProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Range{Timeline: 1, Start: 10, End: wal.LSN(rapid.IntRange(10, 30).Draw(t, "end"))}
		var all []Summary
		have := map[wal.LSN]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			s := Summary{Timeline: wal.Timeline(rapid.IntRange(1, 2).Draw(t, "tli"))}
			s.Start = wal.LSN(rapid.IntRange(0, 35).Draw(t, "start"))
			s.End = s.Start + wal.LSN(rapid.IntRange(0, 15).Draw(t, "length"))
			all = append(all, s)
			for at := s.Start; at < s.End && s.Timeline == 1; at++ {
				have[at] = true
			}
		}
		covered := true
		for at := r.Start; at < r.End; at++ {
			covered = covered && have[at]
		}
		if _, err := r.cover(all); (err == nil) != covered {
			t.Fatalf("cover: %v, want covered %v", err, covered)
		}
	})
}

func TestSummarizerIsOffOrStuck(t *testing.T) {
	r := Range{Timeline: 1, Start: 15, End: 40}
	_, err := FromSummaries(context.Background(), &fakeSummarizer{}, query(r), fakePath)
	var u *usererr.Error
	if !errors.As(err, &u) || !strings.Contains(u.Text, "summarize_wal") || !strings.Contains(u.Hint, "DELTA") {
		t.Errorf("off: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSummarizer{on: true, positions: positions{list: []wal.LSN{15, 20}}}
		_, err := FromSummaries(t.Context(), src, query(r), fakePath)
		var u *usererr.Error
		if !errors.As(err, &u) || !strings.Contains(u.Text, "is at 0/14, short of 0/28, and has not moved for 300 seconds") {
			t.Errorf("stuck: %v", err)
		}
	})
}
