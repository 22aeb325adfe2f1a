package cli

import (
	"os"
	"path/filepath"
	"testing"
)

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
