package remote

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
)

// floorPages is a file with one page of each kind a Floor tells apart. The
// parent's start position is floorLSN.
const floorLSN = 50 << 20

func floorPages() []byte {
	visible := soundPage(3, floorLSN-8, 3)
	binary.LittleEndian.PutUint16(visible[10:], 4)
	binary.LittleEndian.PutUint16(visible[8:], pgdata.PageChecksum(visible, 3, pgdata.PostgreSQL))
	return slices.Concat(
		soundPage(0, floorLSN-8, 0),              // old
		soundPage(1, floorLSN, 1),                // changed
		soundPage(2, 1, 2),                       // LSN made up by an index build
		visible,                                  // old, marked all-visible
		make([]byte, pageSize),                   // zero
		soundPage(5, uint64(pgdata.FirstLSN), 5), // the oldest real LSN
		soundPage(6, 1<<32, 6),                   // changed, high half of the LSN
		soundPage(7, floorLSN-8, 7),              // old
		soundPage(8, floorLSN-8, 8),              // old
	)
}

func TestFloor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "16384")
	if err := os.WriteFile(path, floorPages(), 0o600); err != nil {
		t.Fatal(err)
	}
	marked := ptrack.NewPageMap(9)
	marked.Add(7)
	tests := []struct {
		name  string
		floor Floor
		want  []uint32
	}{
		{"none", Floor{}, []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"fields without LSN mean nothing", Floor{Known: 9}, []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"whole file known", Floor{LSN: floorLSN, Known: 9}, []uint32{1, 2, 4, 6}},
		{"grown since", Floor{LSN: floorLSN, Known: 8}, []uint32{1, 2, 4, 6, 8}},
		{"empty in the parent", Floor{LSN: floorLSN}, []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"hint bits not logged", Floor{LSN: floorLSN, Known: 9, KeepVisible: true}, []uint32{1, 2, 3, 4, 6}},
		{"with a map", Floor{LSN: floorLSN, Known: 9, KeepVisible: true, Marked: marked}, []uint32{1, 2, 4, 6, 7}},
	}
	for _, tt := range tests {
		run, err := readRun(t, Local(fsx.OS()), RunRequest{Path: path, To: 9, Floor: tt.floor})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got, _ := blocks(t, run, compress.None); !slices.Equal(got, tt.want) || run.Pages != 9 {
			t.Errorf("%s: blocks %d of %d pages, want %d", tt.name, got, run.Pages, tt.want)
		}
	}
}
