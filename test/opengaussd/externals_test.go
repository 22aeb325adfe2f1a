package opengaussd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExternalsInAnotherOrder: the numbers of external directories change
// within a chain; each backup comes back with the files of its own directories,
// also after a merge.
func TestExternalsInAnotherOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	dirs := []string{filepath.Join(w.dir, "ext a"), filepath.Join(w.dir, "ext b")}
	old := time.Now().Add(-time.Hour) // not younger than any parent
	write := func(texts ...string) {
		t.Helper()
		for i, text := range texts {
			name := filepath.Join(dirs[i], "file")
			if err := os.MkdirAll(dirs[i], 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	restored := func(id string, want ...string) {
		t.Helper()
		args := []string{"restore", "-B", w.catalog, "--instance", "n1", "-D", filepath.Join(w.dir, "data2"), "-i", id, "--no-sync"}
		for i := range want {
			args = append(args, "--external-mapping", dirs[i]+"="+filepath.Join(w.dir, "out", filepath.Base(dirs[i])))
		}
		for _, ts := range w.cluster.Tablespaces() {
			if !strings.HasPrefix(ts.Target, w.cluster.Dir()) {
				args = append(args, "-T", ts.Target+"="+filepath.Join(w.dir, "out", filepath.Base(ts.Target)))
			}
		}
		w.must(args...)
		for i, text := range want {
			got, err := os.ReadFile(filepath.Join(w.dir, "out", filepath.Base(dirs[i]), "file"))
			if err != nil || string(got) != text {
				t.Errorf("%s: directory %d has %q, %v, want %q", id, i, got, err, text)
			}
		}
		for _, d := range []string{"out", "data2"} {
			if err := os.RemoveAll(filepath.Join(w.dir, d)); err != nil {
				t.Fatal(err)
			}
		}
	}
	there, back := dirs[0]+":"+dirs[1], dirs[1]+":"+dirs[0]
	write("A", "B")
	full, _ := w.backup("FULL", "--compress-algorithm", "zlib", "-E", there)
	// The same content under the same number, of another directory.
	write("B", "A")
	swapped, _ := w.backup("PTRACK", "-E", back)
	write("b", "A")
	again, _ := w.backup("PTRACK", "-E", there)
	one, _ := w.backup("PTRACK", "-E", dirs[1])
	restored(full, "A", "B")
	restored(swapped, "B", "A")
	restored(again, "b", "A")

	// The C tool compares by number: its increment after the swap has no
	// content at all, but the order.
	write("A", "B")
	w.backup("FULL", "--compress-algorithm", "zlib", "-E", there)
	theirs, _ := w.backup("PTRACK", "-E", there)
	control := filepath.Join(w.catalog, "backups", "n1", theirs, "backup.control")
	text, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), there) {
		t.Fatalf("no %s in %s", there, text)
	}
	if err := os.Remove(control); err != nil { // with the checksum that C does not write
		t.Fatal(err)
	}
	if err := os.WriteFile(control, []byte(strings.Replace(string(text), there, back, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	restored(theirs, "B", "A")
	w.must("merge", "-B", w.catalog, "--instance", "n1", "-i", theirs)
	restored(theirs, "B", "A")
	w.must("merge", "-B", w.catalog, "--instance", "n1", "-i", swapped)
	restored(swapped, "B", "A")
	restored(again, "b", "A")
	w.must("merge", "-B", w.catalog, "--instance", "n1", "-i", one)
	got, err := os.ReadFile(filepath.Join(w.catalog, "backups", "n1", one, "external_directories", "externaldir1", "file"))
	if err != nil || string(got) != "A" {
		t.Errorf("merged: %q, %v", got, err)
	}
	w.check()
}
