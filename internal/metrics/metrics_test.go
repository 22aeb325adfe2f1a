package metrics

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/faultfs"
)

var epoch = time.Unix(1795337569, 500_000_000)

func run(command, instance string, success bool, after time.Duration) Run {
	return Run{Command: command, Instance: instance, Finished: epoch.Add(after), Duration: 90 * time.Second, Success: success, Files: 7, Bytes: 1 << 40}
}

func update(t *testing.T, name string, r Run) {
	t.Helper()
	if err := Update(fsx.OS(), name, r); err != nil {
		t.Fatal(err)
	}
}

// values has Prometheus' own parser read a file: values by name and labels.
func values(t *testing.T, name string) map[string]float64 {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for name, family := range families {
		if family.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, m := range family.GetMetric() {
			key := strings.TrimPrefix(name, "gs_probackup_")
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			got[key] = m.GetGauge().GetValue()
		}
	}
	return got
}

func expect(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[key]; !ok || v != want[key] {
			t.Errorf("%s is %v (%t), want %v", key, v, ok, want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestUpdate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "b.prom")
	update(t, name, run("backup", `n"1\`+"\n\xff", true, 0))
	update(t, name, run("validate", "", true, 0))
	failed := run("backup", `n"1\`+"\n\xff", false, time.Hour)
	failed.Bytes = -1
	update(t, name, failed)
	own := "backup n\"1\\\n\ufffd"
	expect(t, values(t, name), map[string]float64{
		"last_run_timestamp_seconds " + own: 1795337569.5 + 3600, "last_run_duration_seconds " + own: 90,
		"last_run_success " + own: 0, "last_run_files " + own: 7,
		"last_success_timestamp_seconds " + own:   1795337569.5, // of the run before
		"last_run_timestamp_seconds validate":     1795337569.5,
		"last_run_duration_seconds validate":      90,
		"last_run_success validate":               1,
		"last_run_files validate":                 7,
		"last_run_bytes validate":                 1 << 40,
		"last_success_timestamp_seconds validate": 1795337569.5,
	})
	fi, err := os.Stat(name)
	if err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestNeverSucceeded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "b.prom")
	r := run("backup", "n1", false, 0)
	r.Files, r.Bytes = -1, -1
	update(t, name, r)
	expect(t, values(t, name), map[string]float64{
		"last_run_timestamp_seconds backup n1": 1795337569.5, "last_run_duration_seconds backup n1": 90, "last_run_success backup n1": 0,
	})
}

func TestRunsAtTheSameTime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "b.prom")
	var group sync.WaitGroup
	const instances = 20
	for i := range instances {
		group.Go(func() {
			if err := Update(fsx.OS(), name, run("backup", strings.Repeat("i", i+1), true, 0)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := values(t, name); len(got) != instances*len(families) {
		t.Errorf("%d series, want %d", len(got), instances*len(families))
	}
}

// What is not ours is never replaced, what cannot be written is found before
// the work.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "node.prom")
	if err := os.WriteFile(foreign, []byte("# HELP node_load1 1m load average.\nnode_load1 0.5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		want error
	}{
		{foreign, ErrForeign},
		{dir, ErrForeign},
		{"/dev/null", ErrForeign},
		{filepath.Join(dir, "no", "such.prom"), unix.ENOENT},
		{filepath.Join(foreign, "x.prom"), unix.ENOTDIR},
	} {
		if err := Check(fsx.OS(), tt.name); !errors.Is(err, tt.want) {
			t.Errorf("check %s: %v", tt.name, err)
		}
		if err := Update(fsx.OS(), tt.name, run("backup", "n1", true, 0)); !errors.Is(err, tt.want) {
			t.Errorf("update %s: %v", tt.name, err)
		}
	}
	if err := Check(fsx.OS(), filepath.Join(dir, "new.prom")); err != nil {
		t.Error(err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
	full := faultfs.New(fsx.OS())
	full.Inject(faultfs.Fault{Match: func(op faultfs.Op) bool { return op.Kind == faultfs.Create }, Err: unix.EROFS})
	if err := Check(full, filepath.Join(dir, "new.prom")); !errors.Is(err, unix.EROFS) {
		t.Errorf("read-only: %v", err)
	}
}

// A failing disk leaves the old file.
func TestOldFileStays(t *testing.T) {
	name := filepath.Join(t.TempDir(), "b.prom")
	update(t, name, run("backup", "n1", true, 0))
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync, faultfs.Rename} {
		disk := faultfs.New(fsx.OS())
		disk.Inject(faultfs.Fault{Match: func(op faultfs.Op) bool { return op.Kind == kind }, Err: unix.ENOSPC})
		if err := Update(disk, name, run("backup", "n1", true, time.Hour)); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", kind, err)
		}
		if after, err := os.ReadFile(name); err != nil || string(after) != string(before) {
			t.Errorf("%s: the file is %q, %v", kind, after, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# HELP gs_probackup_x y\ngs_probackup_last_run_success{command=\"backup\"} 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse(data)
		if err != nil {
			return
		}
		all.update(run("backup", "n1", true, 0))
		var b strings.Builder
		if err := all.write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := parse([]byte(b.String())); err != nil {
			t.Fatalf("%q became %q: %v", data, b.String(), err)
		}
	})
}
