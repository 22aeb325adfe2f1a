//go:build golden

package backup

import (
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/test/golden"
)

// The same for the whole catalogs (make golden), every FULL backup in them.
func TestGoldenFullWhole(t *testing.T) {
	for _, tt := range []struct {
		archive string
		catalog golden.Catalog
	}{
		{"02_backups/catalog.tar.zst", golden.Catalog{Dir: "/home/omm/backups", Instance: "n1", Backups: []string{"TOW9UX"}}},
		{"02b_backups_compressed/catalog_zlib_chain.tar.zst", golden.Catalog{Dir: "/home/omm/backups_z", Instance: "n1", Backups: []string{"TOWA57"}}},
		{"02c_chain_no_rowcompress_merge/catalogs_before_and_after_merge.tar.zst", golden.Catalog{Dir: "/home/omm/bc_before", Instance: "n1", Backups: []string{"TOWAGE"}}},
		{"18_row_compressed_raw/catalog.tar.zst", golden.Catalog{Dir: "/home/omm/cat", Instance: "v", Backups: []string{"TOWDFI", "TOWDQR"}}},
	} {
		for _, id := range tt.catalog.Backups {
			t.Run(id, func(t *testing.T) {
				packed, err := os.Open(filepath.Join("../../../shared/golden", tt.archive))
				if err != nil {
					t.Fatal(err)
				}
				defer packed.Close()
				m := golden.Machine{Dir: t.TempDir()}
				if err := golden.Unpack(m.Path("/home/omm"), packed, nil); err != nil {
					t.Fatal(err)
				}
				a := newAgain(t, m, tt.catalog, id)
				if n := a.compare(t); n < 1000 {
					t.Errorf("compared %d files", n)
				}
			})
		}
	}
}
