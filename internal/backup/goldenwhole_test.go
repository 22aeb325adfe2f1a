//go:build golden

package backup

import (
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/test/golden"
)

// The same for every backup of the whole catalogs (make golden), FULL and
// PTRACK.
func TestGoldenWhole(t *testing.T) {
	for _, tt := range []struct {
		archive string
		catalog golden.Catalog
	}{
		{"02_backups/catalog.tar.zst", golden.Catalog{
			Dir: "/home/omm/backups", Instance: "n1",
			Backups: []string{"TOW9UX", "TOW9V2", "TOW9V6", "TOW9VA", "TOW9VF", "TOW9VJ"},
		}},
		{"02b_backups_compressed/catalog_zlib_chain.tar.zst", golden.Catalog{
			Dir: "/home/omm/backups_z", Instance: "n1", Backups: []string{"TOWA57", "TOWA5D", "TOWA5I"},
		}},
		{"02c_chain_no_rowcompress_merge/catalogs_before_and_after_merge.tar.zst", golden.Catalog{
			Dir: "/home/omm/bc_before", Instance: "n1", Backups: []string{"TOWAGE", "TOWAGJ", "TOWAGN", "TOWAGR"},
		}},
		{"18_row_compressed_raw/catalog.tar.zst", golden.Catalog{
			Dir: "/home/omm/cat", Instance: "v", Backups: []string{"TOWDFI", "TOWDQR", "TOWDRS"},
		}},
	} {
		t.Run(filepath.Dir(tt.archive), func(t *testing.T) {
			packed, err := os.Open(filepath.Join("../../../shared/golden", tt.archive))
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			m := golden.Machine{Dir: t.TempDir()}
			if err := golden.Unpack(m.Path("/home/omm"), packed, nil); err != nil {
				t.Fatal(err)
			}
			for _, id := range tt.catalog.Backups {
				t.Run(id, func(t *testing.T) {
					a := newAgain(t, m, tt.catalog, id)
					if n := a.compare(t); n < 1000 {
						t.Errorf("compared %d files", n)
					}
					a.checkSkipped(t)
					a.remove(t)
				})
			}
		})
	}
}

// remove makes room, and way for the next backup of the same machine.
func (a *again) remove(t *testing.T) {
	t.Helper()
	for _, dir := range append([]string{againData, againDir}, a.ours.opts.ExternalDirs...) {
		if err := os.RemoveAll(a.m.Path(dir)); err != nil {
			t.Fatal(err)
		}
	}
}
