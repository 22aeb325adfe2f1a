//go:build golden

package golden_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/test/golden"
)

// serial lets a sink of a test be called by one worker at a time.
func serial(next event.Sink) event.Sink {
	var mu sync.Mutex
	return event.Func(func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		next.Emit(e)
	})
}

// compareListing compares a restored tree with a recorded output of
//
//	find DIR -maxdepth 2 -printf '%y %m %s %p -> %l\n' | sort -k4 | head -150
//
// The size of a directory is the file system's matter.
func compareListing(t *testing.T, m golden.Machine, transcript, step string) {
	t.Helper()
	text, err := os.ReadFile(transcript)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "==== "+step+"\n$ find ")
	root, _, _ := strings.Cut(section, " ")
	section, _, _ = strings.Cut(section, "==== end")
	var want []string
	for _, line := range strings.Split(section, "\n") {
		if strings.HasPrefix(line, "d ") || strings.HasPrefix(line, "f ") || strings.HasPrefix(line, "l ") {
			want = append(want, sizeless(line))
		}
	}
	if !found || len(want) != 150 {
		t.Fatalf("%s %s: %d lines of the listing found", transcript, step, len(want))
	}
	got := listing(t, m, root)
	for i, line := range want {
		if i >= len(got) || got[i] != line {
			t.Errorf("line %d of the listing: want %q, got %q", i+1, line, got[min(i, len(got)-1)])
			return
		}
	}
}

func sizeless(line string) string {
	f := strings.Fields(line)
	if f[0] == "d" {
		f[2] = "-"
	}
	return strings.Join(f, " ")
}

func listing(t *testing.T, m golden.Machine, root string) []string {
	t.Helper()
	type item struct{ path, line string }
	var items []item
	err := filepath.WalkDir(m.Path(root), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(name, m.Dir)
		if depth := strings.Count(strings.TrimPrefix(path, root), "/"); depth > 2 {
			return fs.SkipDir
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		kind, link := "f", ""
		switch {
		case d.IsDir():
			kind = "d"
		case d.Type()&fs.ModeSymlink != 0:
			kind = "l"
			if link, err = os.Readlink(name); err != nil {
				return err
			}
		}
		line := fmt.Sprintf("%s %o %d %s -> %s", kind, fi.Mode().Perm(), fi.Size(), path, link)
		items = append(items, item{path + " ->", sizeless(line)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Slice(items, func(i, j int) bool { return items[i].path < items[j].path })
	var lines []string
	for _, i := range items {
		lines = append(lines, i.line)
	}
	return lines
}
