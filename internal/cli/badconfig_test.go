package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What cannot be opened is not called corrupted.
func TestUnopenedConfiguration(t *testing.T) {
	w := newWorld(t)
	for _, dir := range []string{"wal", "backups/a/pg_probackup.conf"} {
		w.stage("mkdir", filepath.Join(home, "b", dir))
	}
	want := "WARNING: could not open file \"" + home + "/b/backups/a/pg_probackup.conf\": Is a directory\n"
	for _, command := range []string{"show", "validate"} {
		if r := w.run([]string{command, "-B", home + "/b"}, nil); strings.TrimSuffix(r.stderr, "WARNING: Some backups are not valid\n") != want {
			t.Errorf("%s: %s", command, r.stderr)
		}
	}
}

// A WAL archive that is no directory is told of in the C tool's words.
func TestUnlistedArchive(t *testing.T) {
	w := baseWorld(t)
	if err := errors.Join(os.Remove(w.real(home+"/b/wal/n1")), os.WriteFile(w.real(home+"/b/wal/n1"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	want := "ERROR: Cannot open directory \"" + home + "/b/wal/n1\": Not a directory\n"
	if r := w.run([]string{"show", "-B", home + "/b", "--archive"}, nil); r.exit != 1 || r.stderr != want {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

// A validation of everything says what is wrong with a configuration, and goes
// on with the next instance.
func TestValidateAllTellsBadConfigurations(t *testing.T) {
	config := home + "/b/backups/a/pg_probackup.conf"
	for text, want := range map[string]string{
		"":                       "WARNING: Configuration file \"" + config + "\" is empty\n",
		"# nothing\n":            "WARNING: Configuration file \"" + config + "\" is empty\n",
		"garbage line\n":         "WARNING: Syntax error in \"garbage line\"\nWARNING: Configuration file \"" + config + "\" is corrupted\n",
		"archive-timeout = x\n":  "WARNING: Option --archive-timeout should be a 32bit unsigned integer: 'x'\nWARNING: Configuration file \"" + config + "\" is corrupted\n",
		"newer-release = what\n": "INFO: Validate backups of the instance 'a'\n",
	} {
		w := newWorld(t)
		for _, dir := range []string{"wal", "backups/a", "backups/b"} {
			w.stage("mkdir", filepath.Join(home, "b", dir))
		}
		for name, data := range map[string]string{config: text, home + "/b/backups/b/pg_probackup.conf": "pgdata = /d\n"} {
			if err := os.WriteFile(w.real(name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want += "INFO: Validate backups of the instance 'b'\n"
		exit := 1
		if text == "newer-release = what\n" {
			want, exit = want+"INFO: All backups are valid\n", 0
		} else {
			want += "WARNING: Some backups are not valid\n"
		}
		if r := w.run([]string{"validate", "-B", home + "/b"}, nil); r.stderr != want || r.exit != exit {
			t.Errorf("%q: exit %d\n%s\nwant\n%s", text, r.exit, r.stderr, want)
		}
	}
}
