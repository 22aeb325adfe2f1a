package cli

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Every command reports its end, good or bad, when it was told where.
func TestMetricsFile(t *testing.T) {
	w := baseWorld(t)
	file := home + "/m.prom"
	sample := func(name, labels string) string {
		t.Helper()
		for line := range strings.Lines(w.read(file)) {
			if value, ok := strings.CutPrefix(line, "gs_probackup_"+name+"{"+labels+"} "); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	show := []string{"show", "-B", home + "/b", "--instance=n1", "--metrics-file=" + file}
	if r := w.run(show, nil); r.exit != 0 || r.stderr != "" {
		t.Fatal(r)
	}
	w.now = w.now.Add(time.Hour)
	bad := []string{"validate", "-B", home + "/b", "--instance=n1", "--metrics-file=" + file}
	if r := w.run(bad, nil); r.exit != 1 {
		t.Fatal(r)
	}
	if r := w.run(append(bad, "--lsn=zz"), nil); r.exit != 1 { // before any work
		t.Fatal(r)
	}
	for _, tt := range [][3]string{
		{"last_run_success", `command="show",instance="n1"`, "1"},
		{"last_run_timestamp_seconds", `command="show",instance="n1"`, "1795339800"},
		{"last_run_files", `command="show",instance="n1"`, ""},
		{"last_run_success", `command="validate",instance="n1"`, "0"},
		{"last_run_timestamp_seconds", `command="validate",instance="n1"`, "1795343400"},
		{"last_run_files", `command="validate",instance="n1"`, "0"},
		{"last_success_timestamp_seconds", `command="validate",instance="n1"`, ""},
	} {
		if got := sample(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s{%s} is %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
	// A path that cannot be is found before the work.
	r := w.run([]string{"set-backup", "-B", home + "/b", "--instance=n1", "-i", "TOW9UX", "--note=x", "--hints", "--metrics-file=" + home + "/no/m.prom"}, nil)
	want := "ERROR: cannot write metrics file \"" + home + "/no/m.prom\": No such file or directory\nHINT: --metrics-file names"
	if r.exit != 1 || !strings.HasPrefix(r.stderr, want) || strings.Contains(w.read(home+"/b/backups/n1/TOW9UX/backup.control"), "note = x") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
	r = w.run([]string{"show", "-B", home + "/b", "--metrics-file=" + home + "/b/backups/n1/pg_probackup.conf"}, nil)
	if r.exit != 1 || !strings.HasSuffix(r.stderr, ": not a metrics file of gs_probackup\n") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
	if _, err := os.Stat(w.real(file + ".tmp")); err == nil {
		t.Error("a temporary file was left")
	}
}
