package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The audit log of a run (spec/cli.md §7.5).
func TestAudit(t *testing.T) {
	w := baseWorld(t)
	env := map[string]string{"GAUSSLOG": home + "/log"}
	line := func() string {
		t.Helper()
		logs, err := filepath.Glob(w.real(home + "/log/bin/gs_probackup/audit-2026-11-22_093000-current.log"))
		if err != nil || len(logs) != 1 {
			t.Fatalf("audit logs: %v, %v", logs, err)
		}
		text := w.recorded(w.read(logs[0]))
		if err := os.Remove(logs[0]); err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, tt := range []struct{ args, outcome, recorded string }{
		{"show -B /home/omm/b", "SUCCESS", "show -B /home/omm/b"},
		{"show -B /home/omm/b -W secret", "SUCCESS", "show -B /home/omm/b "},
		{"show -W secret -B /home/omm/b", "SUCCESS", "show -B /home/omm/b"},
		{"show -Wsecret --password=x -B /home/omm/b", "FAILURE", "show -B /home/omm/b"},
		{"show --passw=secret --access-key secret -B /home/omm/b -CWsecret", "FAILURE", "show --passw=* --access-key * -B /home/omm/b -CW*"},
		{"show --bogus --passw secret -CwWsecret --with-key=secret", "FAILURE", "show --bogus --passw * -CwW* --with-key=*"},
		{"validate -B /home/omm/b", "FAILURE", "validate -B /home/omm/b"},
		{"show -B /home/omm/b --help", "FAILURE", "show -B /home/omm/b --help"},
		{"help", "FAILURE", "help"},
		{"version", "FAILURE", "version"},
		{"", "FAILURE", ""},
		{"bogus", "FAILURE", "bogus"},
	} {
		w.run(strings.Fields(tt.args), env)
		want := "[2026-11-22 09:30:00] [" + tt.outcome + "] [omm] gs_probackup " + tt.recorded + "\n"
		if got := line(); got != want {
			t.Errorf("%s: got %q, want %q", tt.args, got, want)
		}
	}
	// Not before 6.0, not without the variable, and never in the way.
	w.run([]string{"show", "-B", home + "/b", "--compat=5.0"}, env)
	w.run([]string{"show", "-B", home + "/b"}, map[string]string{"GAUSSLOG": ""})
	if logs, _ := filepath.Glob(w.real(home + "/log/bin/gs_probackup/*")); len(logs) != 0 {
		t.Errorf("audit logs: %v", logs)
	}
	r := w.run([]string{"show", "-B", home + "/b"}, map[string]string{"GAUSSLOG": "log"})
	if r.exit != 0 || !strings.HasSuffix(r.stdout, "\ncurrent path is not absolute path ,can't find the exec path.\n") {
		t.Errorf("relative: exit %d, stdout %q", r.exit, r.stdout)
	}
	r = w.run([]string{"show", "-B", home + "/b"}, map[string]string{"GAUSSLOG": home + "/b/backups/n1/pg_probackup.conf"})
	want := "\ncould not create directory " + home + "/b/backups/n1/pg_probackup.conf/bin/gs_probackup: Not a directory\n"
	if r.exit != 0 || !strings.HasSuffix(r.stdout, want) {
		t.Errorf("no directory: exit %d, stdout %q", r.exit, r.stdout)
	}
}
