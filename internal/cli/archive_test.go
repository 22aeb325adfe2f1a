package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archiveWorld has an instance and a file to archive that is no WAL.
func archiveWorld(t *testing.T) *world {
	w := baseWorld(t)
	w.stage("mkdir", home+"/data/pg_xlog")
	if err := os.WriteFile(w.real(home+"/data/pg_xlog/00000002.history"), []byte("1\t0/5000000\tx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// What a server sees of archive-push and archive-get: 0, 1 or a status that
// stops its recovery; and words only where something is wrong.
func TestArchiveCommands(t *testing.T) {
	w := archiveWorld(t)
	const push, get = "archive-push -B /home/omm/b --instance n1 ", "archive-get -B /home/omm/b --instance n1 "
	const file = "--wal-file-path=/home/omm/data/pg_xlog/00000002.history --wal-file-name=00000002.history"
	for _, tt := range []struct {
		args   string
		exit   int
		stderr string
	}{
		{get + "--wal-file-path=/home/omm/x --wal-file-name=00000002.history", 1, ""},
		{push + file, 0, ""},
		{push + file + " -j 4 --batch-size=10 --no-sync --no-ready-rename", 0, ""},
		{push + "--wal-file-path=/home/omm/data/pg_xlog --wal-file-name=00000002.history", 0, ""}, // pg_probackup's directory
		{push + "--wal-file-name=00000002.history -D /home/omm/data", 0, ""},
		{get + "--wal-file-path=/home/omm/x --wal-file-name=00000002.history", 0, ""},
		{get + "--wal-file-path=/home/omm/x --wal-file-name=000000010000000000000001 --batch-size=4 -j 2", 1, ""},
		{push + "--wal-file-path=/home/omm/data/pg_xlog/00000003.history --wal-file-name=00000002.history", 1,
			"ERROR: --wal-file-path \"/home/omm/data/pg_xlog/00000003.history\" and --wal-file-name \"00000002.history\" are not the same file\n"},
		{push + "--wal-file-path=/x", 1, "ERROR: Required parameter is not specified: --wal-file-name %f\n"},
		{push + file + " --compress-algorithm=zstd", 1, "ERROR: Cannot use zstd for WAL compression\n"},
		{push + "--wal-file-path=/home/omm/no/00000003.history --wal-file-name=00000003.history", 1,
			"ERROR: open WAL file to archive: open /home/omm/no/00000003.history: no such file or directory\n"},
		{get + "--wal-file-path=/home/omm/x", serverStop, "ERROR: Required parameter is not specified: --wal-file-name %f\n"},
		{get + "--wal-file-path=/home/omm/x --wal-file-name=../x", serverStop, "ERROR: \"../x\" is not the name of a WAL file\n"},
		{get + "--bogus", serverStop, "/opt/ogfull/bin/gs_probackup: unrecognized option '--bogus'\nERROR: Option is not found. Try \"gs_probackup --help\" for more information.\n\n"},
		{"archive-get -B /home/omm/b --instance zz --wal-file-path=/x --wal-file-name=00000002.history", serverStop,
			"WARNING: Failed to access directory \"/home/omm/b/backups/zz\": No such file or directory\nERROR: Instance 'zz' does not exist in this backup catalog\n"},
	} {
		if r := w.run(strings.Fields(tt.args), nil); r.exit != tt.exit || r.stderr != tt.stderr || r.stdout != "" {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", tt.args, r.exit, r.stdout, r.stderr)
		}
	}
	got := w.read(home + "/x")
	if got != "1\t0/5000000\tx\n" {
		t.Errorf("fetched %q", got)
	}
	if err := os.WriteFile(w.real(home+"/data/pg_xlog/00000002.history"), []byte("1\t0/6000000\tx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := w.run(strings.Fields(push+file), nil)
	if want := "ERROR: WAL file already exists in archive with different content: \"/home/omm/b/wal/n1/00000002.history\"\n"; r.exit != 1 || r.stderr != want {
		t.Errorf("other content: exit %d, %q", r.exit, r.stderr)
	}
	if err := os.Remove(w.real(home + "/x")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(w.real(home + "/b/wal/n1")); err != nil {
		t.Fatal(err)
	}
	r = w.run(strings.Fields(get+"--wal-file-path=/home/omm/x --wal-file-name=00000002.history"), nil)
	if r.exit != serverStop || !strings.Contains(r.stderr, "ERROR: WAL archive directory is not accessible: ") {
		t.Errorf("no archive: exit %d, %q", r.exit, r.stderr)
	}
}

// Each has its page, and neither is in the list of all commands.
func TestArchiveHelp(t *testing.T) {
	w := archiveWorld(t)
	general := w.run([]string{"help"}, nil)
	for _, name := range []string{archivePush, archiveGet} {
		for _, args := range [][]string{{"help", name}, {name, "--help"}} {
			r := w.run(args, nil)
			if r.exit != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "\ngs_probackup "+name+" -B backup-path ") || !strings.Contains(r.stdout, "--batch-size=batch_size") {
				t.Errorf("%v: exit %d, %q, %q", args, r.exit, r.stdout, r.stderr)
			}
		}
		if strings.Contains(general.stdout, name) {
			t.Errorf("%s is in the list of all commands", name)
		}
	}
}

// The audit log is for what people do.
func TestArchiveIsNotAudited(t *testing.T) {
	w := archiveWorld(t)
	w.env["GAUSSLOG"] = home + "/log"
	w.run(strings.Fields("archive-get -B /home/omm/b --instance n1 --wal-file-path=/home/omm/x --wal-file-name=00000002.history"), nil)
	if logs, err := filepath.Glob(w.real(home + "/log/bin/gs_probackup/*")); err != nil || len(logs) != 0 {
		t.Errorf("audit logs: %v, %v", logs, err)
	}
}

// How a target time reaches the server: as it was typed, if it cannot be read
// in two ways, else as it was understood.
func TestTargetTime(t *testing.T) {
	w := baseWorld(t)
	for _, tt := range []struct{ typed, server, iso string }{
		{"2026-11-22 08:36:10+00", "2026-11-22 08:36:10+00", "2026-11-22 08:36:10+00"},
		{"2026-11-22 10:36:10+02", "2026-11-22 10:36:10+02", "2026-11-22 08:36:10+00"},
		{"2026-11-22 08:36:10.25+00", "2026-11-22 08:36:10.25+00", "2026-11-22 08:36:10.25+00"},
		{"2026-11-22 08:36:10.123456", "2026-11-22 08:36:10.123456+00", "2026-11-22 08:36:10.123456+00"},
		{"2026-11-22 08:36:10", "2026-11-22 08:36:10+00", "2026-11-22 08:36:10+00"},
		{"2026-11-22", "2026-11-22 00:00:00+00", "2026-11-22 00:00:00+00"},
		{"26-11-22 08:36:70+00", "2026-11-22 08:37:10+00", "2026-11-22 08:37:10+00"},
		{"2026-11-22T08:36:10", "2026-11-22 00:00:00+00", "2026-11-22 00:00:00+00"},
	} {
		s := newSession(nil, Streams{}, Env{Location: w.now.Location()})
		got, err := s.parseTarget(targetOptions{Time: tt.typed})
		if err != nil || got.TimeText != tt.server || got.TimeISO != tt.iso {
			t.Errorf("%s: %q, %q, %v", tt.typed, got.TimeText, got.TimeISO, err)
		}
	}
	for _, bad := range []string{"garbage", "2026-11-22 08:36:10.1234567+00", "2026-11-22 08:36:10.+00"} {
		s := newSession(nil, Streams{}, Env{Location: w.now.Location()})
		if got, err := s.parseTarget(targetOptions{Time: bad}); err == nil || err.Error() != "Invalid value for '--recovery-target-time' option '"+bad+"'" {
			t.Errorf("%s: %+v, %v", bad, got, err)
		}
	}
}
