package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// With --log-format=json every line of stderr and of the log file is an
// object, faults in options included.
func TestLogFormat(t *testing.T) {
	w := baseWorld(t)
	for _, tt := range []struct {
		args string
		want []string // levels and messages
	}{
		{"show -B /home/omm/b --instance=n1 -i zz", []string{"INFO", `Requested backup "ZZ" is not found.`}},
		{"merge -B /home/omm/b --instance=n1", []string{"ERROR", "required parameter is not specified: --backup-id"}},
		{"show -B /home/omm/b --instance=zz", []string{
			"WARNING", `Failed to access directory "/home/omm/b/backups/zz": No such file or directory`,
			"ERROR", "Instance 'zz' does not exist in this backup catalog",
		}},
		{"show -B /home/omm/b --bogus", []string{
			"LOG", "/opt/ogfull/bin/gs_probackup: unrecognized option '--bogus'",
			"ERROR", "Option is not found. Try \"gs_probackup --help\" for more information.\n",
		}},
	} {
		command, rest, _ := strings.Cut(tt.args, " ")
		r := w.run(append([]string{command, "--log-format=json"}, strings.Fields(rest)...), nil)
		var got []string
		for line := range strings.Lines(r.stderr) {
			var record struct {
				Time, Level, Message string
				PID                  int
			}
			if err := json.Unmarshal([]byte(line), &record); err != nil || record.Time != "2026-11-22T09:30:00.000Z" || record.PID != 4711 {
				t.Errorf("%s: line %q: %v", tt.args, line, err)
			}
			got = append(got, record.Level, record.Message)
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: got %q, want %q", tt.args, got, tt.want)
		}
	}
	w.run(strings.Fields("set-backup -B /home/omm/b --instance=n1 -i TOW9UX --note=x --log-format=json --log-level-file=info"), nil)
	if got := w.read(home + "/b/log/pg_probackup.log"); !strings.HasPrefix(got, `{"time":"2026-11-22T09:30:00.000Z","level":"INFO","pid":4711,"message":"command: /opt/`) || strings.Count(got, "\n") != 2 {
		t.Errorf("log file %s", got)
	}
	r := w.run([]string{"show", "--log-format=xml", "-B", home + "/b"}, nil)
	if r.exit != 1 || r.stderr != "ERROR: Invalid value for '--log-format' option: 'xml', expected one of text, json\n" {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

// An error log that cannot be opened is found when there is an error to write;
// both are told.
func TestErrorLogFails(t *testing.T) {
	w := baseWorld(t)
	r := w.run([]string{"merge", "-B", home + "/b", "--instance=n1", "--log-directory=" + home + "/b", "--error-log-filename=no/such.log"}, nil)
	want := "ERROR: required parameter is not specified: --backup-id\n" +
		"ERROR: could not open log file \"" + home + "/b/no/such.log\": No such file or directory\n"
	if r.exit != 1 || r.stderr != want {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}
