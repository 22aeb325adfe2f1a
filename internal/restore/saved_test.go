package restore_test

import (
	"os"
	"testing"

	"gsprobackup/internal/restore"
	"gsprobackup/test/golden"
)

// C's backups lack the content of their tablespaces, whatever is asked for.
// Once the newest one lists some, it depends on which is chosen.
func TestSavesTablespaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Zlib)
	w.recordedMappings()
	lsn := func(o *restore.Options) { o.Target.LSNText, o.Target.LSN = "0/12000500", 0x12000500 }
	tests := []struct {
		name   string
		id     string
		change func(*restore.Options)
		want   bool
	}{
		{"newest", "", nil, true},
		{"by ID", "TOWA5I", nil, true},
		{"older by ID", "TOWA5D", nil, false},
		{"older by target", "", lsn, false},
		{"the target of another", "TOWA5I", lsn, false},
		{"no backup fits", "", func(o *restore.Options) { o.Target.LSNText, o.Target.LSN = "0/1", 1 }, true},
		{"no such backup", "ZZZZZZ", nil, false},
		{"another one, which is not saved", "", func(o *restore.Options) {
			o.Tablespaces = append(o.Tablespaces, restore.Mapping{Old: "/home/omm/data/pg_location/tsrel/ts2", New: "/home/omm/ts2_r"})
		}, false},
		{"no tablespace at all", "", func(o *restore.Options) {
			o.Tablespaces = append(o.Tablespaces, restore.Mapping{Old: "/home/omm/nots", New: "/home/omm/x"})
		}, true},
	}
	saves := func(id string, change func(*restore.Options)) bool {
		opts := w.options(id)
		opts.Externals = nil
		if change != nil {
			change(&opts)
		}
		return restore.SavesTablespaces(t.Context(), restore.Deps{FS: w.m.FS()}, opts)
	}
	for _, tt := range tests {
		if saves(tt.id, tt.change) {
			t.Errorf("C's backups, %s: saved", tt.name)
		}
	}
	f, err := os.OpenFile(w.path("TOWA5I", "backup_content.control"), os.O_APPEND|os.O_WRONLY, 0)
	w.must(err)
	_, err = f.WriteString(`{"path":"pg_tblspc/16385/PG_9.2_201611171_og1/16384/16457", "size":"8192", "mode":"33152", "is_datafile":"1", "is_cfs":"0", "crc":"0", "compress_alg":"none", "external_dir_num":"0", "dbOid":"16384", "file_type":"0", "segno":"0", "n_blocks":"1"}` + "\n")
	w.must(err)
	w.must(f.Close())
	for _, tt := range tests {
		if got := saves(tt.id, tt.change); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	w.must(os.Remove(w.path("TOWA5I", "database/tablespace_map")))
	if saves("", nil) {
		t.Error("saved without a map")
	}
	if len(w.events) > 0 {
		t.Errorf("said %v", w.events)
	}
}
