package ptrack

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/internal/wal"
)

// goldenRows are the rows of a real openGauss 6.0.2 (golden/12_server_sql,
// command 13): two tables were filled, others made, truncated and dropped.
func goldenRows(t *testing.T) []CBMRow {
	t.Helper()
	text, err := os.ReadFile("testdata/pg_cbm_get_changed_block.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []CBMRow
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.Split(line, "|")
		if len(f) != 13 {
			t.Fatalf("%d columns in %q", len(f), line)
		}
		r := CBMRow{Path: f[6], Dropped: f[7] == "t", Created: f[8] == "t", Truncated: f[9] == "t", Blocks: []byte(f[12])}
		if r.Count, err = strconv.ParseUint(f[11], 10, 64); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

func TestGoldenRows(t *testing.T) {
	src := &fakeCBM{positions: positions{list: []wal.LSN{0x4A000148}}, rows: goldenRows(t)}
	if len(src.rows) != 43 {
		t.Fatalf("%d rows", len(src.rows))
	}
	c, err := FromCBM(context.Background(), src, query(Range{Timeline: 1, Start: 0x48000028, End: 0x4A000028}), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		relation string
		want     string
	}{
		{"base/16384/14462", "[149 150 151]"},
		{"base/16384/1", "[2 3 67 4163 4164 16383]"}, // segment storage
		{"undo/permanent/00000", "[57 58]"},
		{"base/16384/16596", "all"}, // made
		{"base/16384/16610", "all"}, // dropped
		{"base/16384/16617_C1", "all"},
		{"base/16384/14463", "[]"},
		{"base/16385/14462", "[]"},
	}
	const blocks = 20000
	for _, tt := range tests {
		m := c.Map(File{Relation: tt.relation, Blocks: blocks, Known: blocks})
		got := "all"
		if m != nil {
			got = fmt.Sprint(marked(m, blocks))
		}
		if got != tt.want {
			t.Errorf("%s: blocks %s, want %s", tt.relation, got, tt.want)
		}
	}
	if i := slices.IndexFunc(src.rows, func(r CBMRow) bool { return r.Created && r.Count == 0 }); i < 0 {
		t.Error("no created relation without blocks among the rows")
	}
}
