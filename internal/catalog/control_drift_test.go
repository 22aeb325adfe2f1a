package catalog

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// TestParentAcrossDST has what the C tool makes of a chain that goes across a
// change of the clock: it notes the parent as it has read it, an hour off.
func TestParentAcrossDST(t *testing.T) {
	const full, child = ID(1635600000), ID(1635690000) // 30 and 31 October 2021
	summer, winter := time.FixedZone("", 2*3600), time.FixedZone("", 3600)
	for _, tt := range []struct {
		name        string
		fullZone    *time.Location
		childZone   *time.Location
		noted, want ID
		extra       ID
	}{
		{"autumn", summer, winter, full - 3600, full, 0},
		{"spring", winter, summer, full + 3600, full, 0},
		{"ours", summer, winter, full, full, 0},
		{"the noted one is there", summer, winter, full - 3600, full - 3600, full - 3600},
		{"the wrong way", summer, winter, full + 3600, full + 3600, 0},
		{"no change of the clock", winter, winter, full - 3600, full - 3600, 0},
		{"two hours", summer, winter, full - 7200, full - 7200, 0},
	} {
		dir := t.TempDir()
		put := func(id, parent ID, mode Mode, zone *time.Location) string {
			t.Helper()
			b := NewBackup(id, mode)
			b.ParentID, b.Status = parent, StatusOK
			path := filepath.Join(dir, id.String(), ControlName)
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(controlText(t, b, zone)), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		put(full, 0, ModeFull, tt.fullZone)
		if tt.extra != 0 {
			put(tt.extra, 0, ModeFull, tt.fullZone)
		}
		path := put(child, tt.noted, ModePtrack, tt.childZone)
		b, err := ReadControl(fsx.OS(), path, event.Discard)
		if err != nil || b.ParentID != tt.want {
			t.Errorf("%s: parent %d, want %d: %v", tt.name, b.ParentID, tt.want, err)
		}
	}
}
