package restore_test

import (
	"os"
	"testing"

	"gsprobackup/internal/restore"
	"gsprobackup/test/golden"
)

// Both servers refuse a data directory that others can read, as mkdir makes it.
func TestExistingDataDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Zlib)
	w.recordedMappings()
	dir := w.m.Path(pgdata)
	w.must(os.MkdirAll(dir, 0o755))
	for _, mode := range []os.FileMode{0o755, 0o777} { // empty, and over itself
		w.must(os.Chmod(dir, mode))
		opts := w.options("TOWA5D")
		if mode == 0o777 {
			opts = w.again("TOWA5D", restore.IncrementalChecksum)
		}
		opts.NoValidate = true
		w.must(w.run(opts))
		fi, err := os.Stat(dir)
		w.must(err)
		if fi.Mode().Perm() != 0o700 {
			t.Errorf("made with %v, it has %v", mode, fi.Mode())
		}
	}
}
