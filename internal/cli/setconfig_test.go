package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSetConfigRefuses: what would make every later command fail is refused
// when it is set, and the file stays as it was (spec/cli.md §13 row 14). What
// the C tool has stored can be mended.
func TestSetConfigRefuses(t *testing.T) {
	w := baseWorld(t)
	conf := filepath.Join(w.dir, "b/backups/n1/pg_probackup.conf")
	before := w.read(conf)
	for _, tt := range []struct{ args, err string }{
		{"--compress-level=5", "Cannot specify compress-level option alone without compress-algorithm option"},
		{"--compress-level=99 --compress-algorithm=zlib", "--compress-level value must be in the range from 0 to 9"},
		{"-E relative", `External directory "relative" is not an absolute path`},
		{"-E /a:b", `External directory "b" is not an absolute path`},
		{"-D relative", "-D, --pgdata must be an absolute path"},
	} {
		r := w.run(strings.Fields("set-config -B /home/omm/b --instance n1 "+tt.args), nil)
		if r.exit != 1 || r.stderr != "ERROR: "+tt.err+"\n" {
			t.Errorf("%s: exit %d, %s", tt.args, r.exit, r.stderr)
		}
	}
	if after := w.read(conf); after != before {
		t.Errorf("the file changed to\n%s", after)
	}
	w.stage("append", home+"/b/backups/n1/pg_probackup.conf", "compress-level = 5")
	if r := w.run(strings.Fields("show -B /home/omm/b --instance n1"), nil); r.exit != 1 {
		t.Errorf("show with a level alone: exit %d", r.exit)
	}
	for _, args := range []string{"--retention-window=3", "-E none", "--compress-algorithm=zlib"} {
		if r := w.run(strings.Fields("set-config -B /home/omm/b --instance n1 "+args), nil); r.exit != 0 || r.stderr != "" {
			t.Errorf("%s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
	if r := w.run(strings.Fields("show -B /home/omm/b --instance n1"), nil); r.exit != 0 {
		t.Errorf("show after mending: %s", r.stderr)
	}
}

// TestSecretSettings: a file with the secret key of the object storage is its
// owner's only (spec/cli.md §13 row 10).
func TestSecretSettings(t *testing.T) {
	w := baseWorld(t)
	conf := filepath.Join(w.dir, "b/backups/n1/pg_probackup.conf")
	for _, tt := range []struct {
		args string
		mode os.FileMode
	}{{"--region=here", 0o644}, {"--access-key=secret", 0o600}, {"--region=there", 0o600}} {
		if r := w.run(strings.Fields("set-config -B /home/omm/b --instance n1 "+tt.args), nil); r.exit != 0 {
			t.Fatal(r.stderr)
		}
		fi, err := os.Stat(conf)
		if err != nil || fi.Mode().Perm()&^0o022 != tt.mode {
			t.Errorf("%s: mode %v, %v", tt.args, fi.Mode(), err)
		}
	}
	if r := w.run(strings.Fields("show-config -B /home/omm/b --instance n1"), nil); strings.Contains(r.stdout, "secret") {
		t.Errorf("show-config:\n%s", r.stdout)
	}
}
