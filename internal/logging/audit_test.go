package logging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/fsx"
)

func TestAudit(t *testing.T) {
	root := filepath.Join(t.TempDir(), "made", "log")
	a := Audit{FS: fsx.OS(), Root: root, Now: time.Date(2026, 11, 22, 8, 52, 49, 0, time.UTC), User: "omm"}
	record := func(success bool, command string) {
		t.Helper()
		if err := a.Record(success, command); err != nil {
			t.Fatal(err)
		}
	}
	record(true, "gs_probackup init -B /b")
	a.Now = a.Now.Add(time.Hour)
	record(false, "gs_probackup")
	dir := filepath.Join(root, "bin/gs_probackup")
	name := filepath.Join(dir, "audit-2026-11-22_085249-current.log")
	want := "[2026-11-22 08:52:49] [SUCCESS] [omm] gs_probackup init -B /b\n[2026-11-22 09:52:49] [FAILURE] [omm] gs_probackup\n"
	if got := read(t, name); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, name: 0o600} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, fi.Mode(), err)
		}
	}
	// Above 16 MiB the next run begins a new one.
	if err := os.Truncate(name, maxAudit+1); err != nil {
		t.Fatal(err)
	}
	record(true, "gs_probackup show")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "audit-2026-11-22_085249.log" || entries[1].Name() != "audit-2026-11-22_095249-current.log" {
		t.Errorf("directory has %v, %v", entries, err)
	}
}

func TestAuditErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := Audit{FS: fsx.OS(), Root: filepath.Join(dir, "file"), Now: time.Unix(0, 0), User: "omm"}
	if err := a.Record(true, "x"); err == nil || !strings.HasPrefix(err.Error(), "could not create directory ") || !strings.HasSuffix(err.Error(), ": Not a directory") {
		t.Errorf("got %v", err)
	}
}
