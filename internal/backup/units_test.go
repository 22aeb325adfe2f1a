package backup

import (
	"testing"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

func TestUnits(t *testing.T) {
	r := &run{layout: pgdata.NewLayout(pgdata.OpenGauss, 9)}
	tests := []struct {
		path  string
		dir   int
		units remote.Units
		first uint32
	}{
		{"base/16384/16402_fsm", 0, remote.PageUnits, 0},
		{"base/16384/16402_vm.2", 0, remote.PageUnits, 2 * 131072},
		{"global/1262_fsm", 0, remote.PageUnits, 0},
		{"pg_tblspc/16400/PG_9.2_201611171_n1/16384/16402_fsm", 0, remote.PageUnits, 0},
		{"base/16384/2_fsm.1", 0, remote.PageUnits, 131072}, // segment-page storage
		{"base/16384/5.1", 0, remote.PageUnits, 131072},     // with compressed extents
		{"undo/permanent/00000.0000003", 0, remote.PageUnits, 3 * 128},
		{"undo/permanent/00000.meta.0000003", 0, remote.PageUnits, 3 * 4},
		{"undo/undometa", 0, remote.SumUnits, 0},
		{"base/16384/16402_C1.0", 0, remote.NoUnits, 0},
		{"base/16384/16402_init", 0, remote.NoUnits, 0},
		{"pg_clog/000000000000", 0, remote.NoUnits, 0},
		{"undo/undometa", 1, remote.NoUnits, 0},
	}
	for _, tt := range tests {
		it := &listed{Entry: contentlist.Entry{Path: tt.path, ExternalDir: tt.dir}}
		if units, first := r.units(it); units != tt.units || first != tt.first {
			t.Errorf("%s: %d from %d, want %d from %d", tt.path, units, first, tt.units, tt.first)
		}
	}
	r.layout = pgdata.NewLayout(pgdata.PostgreSQL, 15)
	if units, _ := r.units(&listed{Entry: contentlist.Entry{Path: "base/5/16402_fsm"}}); units != remote.NoUnits {
		t.Errorf("PostgreSQL: %d", units)
	}
}
