package cli

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gsprobackup/internal/compat"
)

// TestJSONOfDamagedCatalogs: whatever is wrong in a catalog, stdout of show
// parses as JSON, in every profile and view. What is wrong is said on stderr.
func TestJSONOfDamagedCatalogs(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	for round := range 40 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			w := baseWorld(t)
			instances := filepath.Join(w.dir, "b", "backups")
			for range 1 + rng.IntN(4) {
				spoil(t, rng, instances)
			}
			for _, view := range []string{"", "--archive", "--instance n1", "--instance n1 -i TOW9UX", "--instance n1 --archive", "--instance n1 -i ZZZZZZ"} {
				if strings.Contains(view, "n1") && !w.configReadable("n1") {
					continue // an ERROR, as in C (spec/cli.md §2 step 9)
				}
				for _, profile := range compat.Names() {
					r := w.run(strings.Fields("show -B "+home+"/b --format=json --compat "+profile+" "+view), nil)
					if r.exit != 0 || !utf8.ValidString(r.stdout) || !json.Valid([]byte(r.stdout)) {
						t.Fatalf("%s, show %s: exit %d\n%s\n%s", profile, view, r.exit, r.stdout, r.stderr)
					}
				}
			}
		})
	}
}

// TestJSONWithBothStreams: as long as nothing is damaged, there is nothing on
// stderr, so that 2>&1 parses too.
func TestJSONWithBothStreams(t *testing.T) {
	w := baseWorld(t)
	for _, note := range []string{`it's "quoted"`, `back\slash`, "caf\xe9", "日本", "tab"} {
		if r := w.run([]string{"set-backup", "-B", home + "/b", "--instance", "n1", "-i", "TOW9UX", "--note", note}, nil); r.exit != 0 {
			t.Fatal(r.stderr)
		}
		for _, view := range []string{"", "--archive", "--instance n1 -i TOW9UX", "--instance n1 -i ZZZZZZ"} {
			r := w.run(strings.Fields("show -B "+home+"/b --format=json "+view), nil)
			if both := r.stdout + r.stderr; r.exit != 0 || !json.Valid([]byte(both)) || r.stderr != "" {
				t.Errorf("note %q, show %s: exit %d\n%s", note, view, r.exit, both)
			}
		}
	}
	r := w.run(strings.Fields("show-config -B "+home+"/b --instance n1 --format=json"), nil)
	if r.exit != 0 || !json.Valid([]byte(r.stdout+r.stderr)) {
		t.Errorf("show-config: %s%s", r.stdout, r.stderr)
	}
}

// configReadable tells whether commands on an instance get past its settings.
func (w *world) configReadable(name string) bool {
	return w.run([]string{"show-config", "-B", home + "/b", "--instance", name}, nil).exit == 0
}

// spoil does one of the things that happen to catalogs.
func spoil(t *testing.T, rng *rand.Rand, instances string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ids := []string{"TOW9UV", "TOW9UX", "TOW9V2", "TOW9V6", "TOW9VA", "TOW9VF", "TOW9VJ"}
	control := filepath.Join(instances, "n1", ids[rng.IntN(len(ids))], "backup.control")
	conf := filepath.Join(instances, "n1", "pg_probackup.conf")
	junk := make([]byte, rng.IntN(60))
	for i := range junk {
		junk[i] = byte(rng.IntN(256))
	}
	edit := func(name string, change func([]byte) []byte) {
		data, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			return // spoiled before
		}
		check(err)
		check(os.WriteFile(name, change(data), 0o600))
	}
	switch rng.IntN(9) {
	case 0: // noise somewhere
		edit(control, func(b []byte) []byte {
			for range 1 + rng.IntN(8) {
				if len(b) > 0 {
					b[rng.IntN(len(b))] = byte(rng.IntN(256))
				}
			}
			return b
		})
	case 1:
		edit(control, func(b []byte) []byte { return b[:rng.IntN(len(b)+1)] })
	case 2:
		edit(control, func(b []byte) []byte { return append(b, append([]byte("\nnote = '"), junk...)...) })
	case 3:
		check(os.RemoveAll(control))
	case 4:
		check(os.RemoveAll(filepath.Dir(control)))
	case 5:
		names := []string{`quote"d`, "back\\slash", "line\nfeed", "caf\xe9", "stray", "wal"}
		check(os.MkdirAll(filepath.Join(instances, "n1", names[rng.IntN(len(names))]), 0o700))
	case 6: // another instance, maybe without settings
		dir := filepath.Join(instances, "caf\xe9 \"2\"")
		check(os.MkdirAll(dir, 0o700))
		check(os.WriteFile(filepath.Join(dir, "pg_probackup.conf"), []byte("pgdata = /d\n"), 0o600))
	case 7:
		edit(conf, func(b []byte) []byte { return append(b, junk...) })
	case 8:
		check(os.RemoveAll(conf))
	}
}
