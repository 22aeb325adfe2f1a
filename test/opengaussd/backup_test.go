package opengaussd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/test/opengaussd/ogdata"
)

// TestFullBackup: a FULL backup of the stand-in is a sound catalog and comes
// back as it was, with each codec and with WAL in odd pieces.
func TestFullBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoRowCompressed: true}, Config{Chunks: []int{1, 333, 8192, 1 << 20, 5_000_001}})
	w.init()
	for step, alg := range []string{"none", "zlib", "zstd"} {
		if err := w.cluster.Mutate(step + 1); err != nil {
			t.Fatal(err)
		}
		id, tree := w.backup("FULL", "--compress-algorithm", alg, "-j", "2")
		w.restore(id, tree)
		label, err := os.ReadFile(filepath.Join(w.catalog, "backups/n1", id, "database/backup_label"))
		if err != nil || !strings.Contains(string(label), "BACKUP METHOD: pg_start_backup\n") {
			t.Errorf("backup_label %q, %v", label, err)
		}
	}
	w.check()
	w.must("validate", "-B", w.catalog, "--instance", "n1")
	for _, f := range []string{"backup_label", "tablespace_map"} {
		if _, err := os.Stat(filepath.Join(w.cluster.Dir(), f)); err == nil {
			t.Errorf("%s was left in the data directory", f)
		}
	}
}
