package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/remote/sshlink"
	"gsprobackup/internal/usererr"
	"gsprobackup/test/golden"
)

// home is where the recordings were made; every test has a directory of its
// own in its place.
const home = "/home/omm"

type result struct {
	exit           int
	stdout, stderr string
}

// world is the machine a test plays on.
type world struct {
	t   *testing.T
	dir string // stands for home
	// testdata is absolute.
	testdata string
	env      map[string]string
	now      time.Time
	// link reaches --remote-host.
	link func(sshlink.Options) (agent.Link, error)
}

func newWorld(t *testing.T) *world {
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir) // the recordings have a relative log directory
	return &world{
		t: t, dir: dir, testdata: testdata,
		env: map[string]string{"PGDATA": home + "/data", "PGPORT": "15432", "PGHOST": home + "/sock"},
		now: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC),
		link: func(o sshlink.Options) (agent.Link, error) {
			return nil, usererr.New("Failed to establish SSH connection: %s", o.Host)
		},
	}
}

// real and recorded translate paths.
func (w *world) real(s string) string     { return strings.ReplaceAll(s, home, w.dir) }
func (w *world) recorded(s string) string { return strings.ReplaceAll(s, w.dir, home) }

func (w *world) run(args []string, env map[string]string) result {
	var out, errOut bytes.Buffer
	e := Env{
		LookupEnv: func(name string) (string, bool) {
			for _, vars := range []map[string]string{env, w.env} {
				if v, ok := vars[name]; ok {
					return w.real(v), true
				}
			}
			return "", false
		},
		Now: func() time.Time { return w.now }, Location: time.UTC,
		UserName: func() string { return "omm" }, CPUs: 4, PID: 4711, FS: fsx.OS(),
		OpenLink: func(o sshlink.Options) (agent.Link, error) { return w.link(o) },
	}
	real := []string{"/opt/ogfull/bin/gs_probackup"}
	for _, a := range args {
		real = append(real, w.real(a))
	}
	exit := Run(real, Streams{In: strings.NewReader(""), Out: &out, Err: &errOut}, e)
	return result{exit, w.recorded(out.String()), w.recorded(errOut.String())}
}

func (w *world) read(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(w.real(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// stage sets up what a test takes for granted: "mkdir PATH", "append PATH LINE",
// "replace PATH OLD NEW", "pgdata PATH" with the recorded pg_control, "unpack
// NAME PATH" of recorded control files, "run WORDS…" of the tool.
func (w *world) stage(words ...string) {
	w.t.Helper()
	for i := range words {
		words[i] = w.real(words[i])
	}
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("%q: %v", words, err)
		}
	}
	switch words[0] {
	case "mkdir":
		check(os.MkdirAll(words[1], 0o700))
	case "run":
		if r := w.run(words[1:], nil); r.exit != 0 {
			w.t.Fatalf("%q: %s", words, r.stderr)
		}
	case "append":
		check(os.WriteFile(words[1], []byte(w.read(words[1])+words[2]+"\n"), 0o600))
	case "replace":
		check(os.WriteFile(words[1], []byte(strings.Replace(w.read(words[1]), words[2], words[3], 1)), 0o600))
	case "pgdata":
		check(os.MkdirAll(filepath.Join(words[1], "global"), 0o700))
		control, err := golden.ReadControlFile(filepath.Join(w.testdata, "pg_control.hex"))
		check(err)
		check(os.WriteFile(filepath.Join(words[1], "global/pg_control"), control, 0o600))
	case "unpack":
		check(os.MkdirAll(filepath.Join(words[2], "wal/n1"), 0o700))
		files, err := golden.ReadFiles(filepath.Join(w.testdata, "catalogs", words[1]+".txtar"))
		check(err)
		for name, data := range files {
			name = filepath.Join(words[2], name)
			check(os.MkdirAll(filepath.Dir(name), 0o700))
			check(os.WriteFile(name, []byte(data), 0o600))
		}
	default:
		w.t.Fatalf("no such direction: %q", words)
	}
}
