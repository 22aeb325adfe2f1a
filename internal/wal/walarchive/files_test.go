package walarchive

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

func TestFiles(t *testing.T) {
	const seg = "0000000100000000000000A3"
	dir := t.TempDir()
	for n, suffix := range []string{"", ".gz", ".partial", ".gz.partial", ".part", ".gz.part", ".00000028.backup",
		".0000002.backup", ".0000002g.backup", ".gz.00000028.backup", ".bak", "0", ".gz.gz"} {
		if err := os.WriteFile(filepath.Join(dir, seg+suffix), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"00000002.history", strings.ToLower(seg), seg[:23]} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "0000000100000000000000A4"), 0o700); err != nil {
		t.Fatal(err)
	}
	unexpected := 0
	files, err := Files(fsx.OS(), dir, event.Func(func(event.Event) { unexpected++ }))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		if f.Segment != seg {
			t.Errorf("segment of %s is %s", f.Name, f.Segment)
		}
		got = append(got, fmt.Sprintf("%s %d %t %d", strings.TrimPrefix(f.Name, seg), f.Kind, f.Compressed, f.Size))
	}
	want := []string{" 0 false 0", ".00000028.backup 3 false 6", ".gz 0 true 1", ".gz.part 2 true 5", ".gz.partial 1 true 3", ".part 2 false 4", ".partial 1 false 2"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if unexpected != 10 {
		t.Errorf("%d unexpected names, want 10", unexpected)
	}
	if files, err := Files(fsx.OS(), filepath.Join(dir, "no"), event.Discard); err != nil || files != nil {
		t.Errorf("no directory: %v, %v", files, err)
	}
}
