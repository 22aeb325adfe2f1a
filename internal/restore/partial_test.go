package restore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
	"gsprobackup/test/golden"
)

const testMap = `{"dbOid":"14876", "datname":"postgres"}
{"dbOid":"16384", "datname":"testdb"}
`

// Files of databases that are left out are there, and empty; all others are as
// in a whole restore, over nothing and over a whole one.
func TestPartial(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.must(os.WriteFile(w.path("TOWAGR", "database/database_map"), []byte(testMap), 0o600))
	w.restored("TOWAGR")
	whole := w.tree()
	w.must(os.RemoveAll(w.m.Path(pgdata)))

	opts := w.options("TOWAGR")
	opts.NoValidate = true
	opts.ExcludeDatabases = []string{"testdb"}
	w.must(w.run(opts))
	partial := w.tree()
	emptied := 0
	for name, text := range whole {
		if strings.HasPrefix(name, "/restored/base/16384/") && strings.HasPrefix(text, "-") {
			text = text[:strings.IndexByte(text, ' ')]
			if !strings.HasPrefix(partial[name], text+" 0 bytes") {
				t.Errorf("%s: %s", name, partial[name])
			}
			emptied++
		} else if partial[name] != text {
			t.Errorf("%s: %s, want %s", name, partial[name], text)
		}
	}
	if emptied < 5 || len(partial) != len(whole) {
		t.Errorf("%d files emptied, %d of %d names", emptied, len(partial), len(whole))
	}
	opts = w.again("TOWAGR", restore.IncrementalChecksum)
	w.must(w.run(opts))
	w.sameTree(w.tree(), whole)
	opts.IncludeDatabases = []string{"postgres"} // the same the other way round
	w.must(w.run(opts))
	w.sameTree(w.tree(), partial)
}

func TestPartialRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	opts := w.options("TOWAGR")
	opts.NoValidate = true
	check := func(want string) {
		t.Helper()
		var ue *usererr.Error
		if err := w.run(opts); !errors.As(err, &ue) || ue.Text != want {
			t.Errorf("got %v, want %s", err, want)
		}
		err := filepath.WalkDir(w.m.Path(pgdata), func(string, fs.DirEntry, error) error { return errors.New("something was made") })
		if !errors.Is(err, fs.ErrNotExist) && w.exists(pgdata) {
			t.Error(err)
		}
	}
	name := w.path("TOWAGR", "database/database_map")
	w.must(os.WriteFile(name, []byte(testMap), 0o600))
	opts.ExcludeDatabases = []string{"postgres", "nobody"}
	check(`Failed to find a database "nobody" in database_map of backup TOWAGR`)
	opts.ExcludeDatabases, opts.IncludeDatabases = nil, slices.Clone(opts.ExcludeDatabases)
	check(`Failed to find a database "nobody" in database_map of backup TOWAGR`)
	w.must(os.Remove(name))
	check("Backup TOWAGR doesn't contain a database_map, partial restore is impossible.")
}
