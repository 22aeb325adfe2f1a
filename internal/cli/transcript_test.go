package cli

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/remote/sshlink"
	"gsprobackup/internal/usererr"
)

// home is where the recordings were made; every test has a directory of its
// own in its place.
const home = "/home/omm"

// known lists where we differ from the recording on purpose, by command. Each
// is a row of docs/deviations.md.
var known = map[string]result{
	// del-instance could delete what such a name leads to.
	"gs_probackup add-instance -B /home/omm/backups -D /home/omm/data --instance 'bad/name'": {1, "", "ERROR: Invalid instance name 'bad/name'\n"},
	// The level stays accepted, with a word.
	"gs_probackup set-config -B /home/omm/b7 --instance n1 -d testdb --compress-level=3": {0, "", "WARNING: compress-level is of no use until compress-algorithm is set too\n"},
}

// knownLines are recorded pieces of output with what we print instead.
var knownLines = strings.NewReplacer(
	// A missing parent's timeline is 0, not that of the row before.
	"TOW9UV  ----                    PTRACK  STREAM    1/1", "TOW9UV  ----                    PTRACK  STREAM    1/0",
)

type result struct {
	exit           int
	stdout, stderr string
}

// step is a recorded command with what came of it, or a stage direction.
type step struct {
	line    int
	command string
	want    result
	scene   bool
}

// world is the machine a transcript plays on.
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

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			steps := readTranscript(t, name)
			w := newWorld(t)
			for _, st := range steps {
				if st.scene {
					w.stage(st.command)
					continue
				}
				got, want := w.play(st.command), st.want
				want.stdout = knownLines.Replace(want.stdout)
				if k, ok := known[st.command]; ok {
					want = k
				}
				if strings.HasPrefix(st.command, "gs_probackup505") {
					// The old tool warns of the newer one's files.
					want.stderr = got.stderr
				}
				if got != want {
					t.Errorf("%s:%d: %s", name, st.line, st.command)
					if got.exit != want.exit {
						t.Errorf("exit %d, want %d", got.exit, want.exit)
					}
					diffLines(t, "stdout", got.stdout, want.stdout)
					diffLines(t, "stderr", got.stderr, want.stderr)
				}
			}
		})
	}
}

// readTranscript reads steps: "+ direction", or "$ command" (it may have more
// lines), "= exit status", and lines of stdout "1|…" and stderr "2|…".
func readTranscript(t *testing.T, name string) []step {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	open := false // inside a command
	for i, line := range strings.Split(string(data), "\n") {
		last := len(steps) - 1
		switch {
		case open && strings.HasPrefix(line, "= "):
			open = false
			if steps[last].want.exit, err = strconv.Atoi(line[2:]); err != nil {
				t.Fatal(err)
			}
		case open:
			steps[last].command += "\n" + line
		case strings.HasPrefix(line, "+ "):
			steps = append(steps, step{line: i + 1, command: line[2:], scene: true})
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{line: i + 1, command: line[2:]})
			open = true
		case strings.HasPrefix(line, "1|"):
			steps[last].want.stdout += line[2:] + "\n"
		case strings.HasPrefix(line, "2|"):
			steps[last].want.stderr += line[2:] + "\n"
		}
	}
	return steps
}

// play runs a recorded command: the tool, or one of the few Unix commands in
// the recordings.
func (w *world) play(command string) result {
	words := shellWords(w.t, command)
	env := map[string]string{}
	for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
		k, v, _ := strings.Cut(words[0], "=")
		env[k] = v
		words = words[1:]
	}
	switch words[0] {
	case "gs_probackup505":
		env["GS_PROBACKUP_COMPAT"] = "5.0"
		return w.run(words[1:], env)
	case "gs_probackup":
		return w.run(words[1:], env)
	case "cat":
		return result{stdout: w.recorded(w.read(words[1]))}
	case "ls":
		var r result
		entries, err := os.ReadDir(w.real(words[len(words)-1]))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range entries {
			r.stdout += e.Name() + "\n"
		}
		return r
	case "grep": // grep -aE PATTERN FILE
		pattern := regexp.MustCompile(words[2])
		r := result{exit: 1}
		for _, line := range strings.SplitAfter(w.read(words[3]), "\n") {
			if pattern.MatchString(line) {
				r.exit = 0
				r.stdout += w.recorded(line)
			}
		}
		return r
	}
	w.t.Fatalf("no such command: %s", command)
	return result{}
}

func (w *world) read(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(w.real(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// stage follows a direction, which sets up what the recording takes for
// granted.
func (w *world) stage(direction string) {
	w.t.Helper()
	words := shellWords(w.t, w.real(direction))
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("%s: %v", direction, err)
		}
	}
	switch words[0] {
	case "mkdir":
		check(os.MkdirAll(words[1], 0o700))
	case "rmdir", "rm":
		check(os.RemoveAll(words[1]))
	case "run":
		if r := w.run(words[1:], nil); r.exit != 0 {
			w.t.Fatalf("%s: %s", direction, r.stderr)
		}
	case "append":
		check(os.WriteFile(words[1], []byte(w.read(words[1])+strings.Join(words[2:], " ")+"\n"), 0o600))
	case "replace":
		check(os.WriteFile(words[1], []byte(strings.Replace(w.read(words[1]), words[2], words[3], 1)), 0o600))
	case "touch":
		check(os.WriteFile(words[1], nil, 0o600))
	case "copy": // DIR FROM TO START RECOVERY: a backup like another one
		from, to := filepath.Join(words[1], words[2], "backup.control"), filepath.Join(words[1], words[3], "backup.control")
		text := w.read(from)
		for i, key := range []string{"start-time", "recovery-time"} {
			text = regexp.MustCompile(key+" = .*").ReplaceAllString(text, key+" = '"+words[4+i]+"+00'")
		}
		check(os.MkdirAll(filepath.Dir(to), 0o700))
		check(os.WriteFile(to, []byte(text), 0o600))
	case "cut": // the last line
		lines := strings.SplitAfter(w.read(words[1]), "\n")
		check(os.WriteFile(words[1], []byte(strings.Join(lines[:len(lines)-2], "")), 0o600))
	case "pgdata":
		check(os.MkdirAll(filepath.Join(words[1], "global"), 0o700))
		check(os.WriteFile(filepath.Join(words[1], "global/pg_control"), w.controlFile(), 0o600))
	case "unpack":
		check(os.MkdirAll(filepath.Join(words[2], "wal/n1"), 0o700))
		for name, data := range readTxtar(w.t, filepath.Join(w.testdata, "catalogs", words[1]+".txtar")) {
			name = filepath.Join(words[2], name)
			check(os.MkdirAll(filepath.Dir(name), 0o700))
			check(os.WriteFile(name, []byte(data), 0o600))
		}
	case "wal": // DIR FROM-TO …: empty 16 MiB segments of timeline 1
		check(os.MkdirAll(words[1], 0o700))
		for _, r := range words[2:] {
			var from, to int
			_, err := fmt.Sscanf(r, "%x-%x", &from, &to)
			check(err)
			for n := from; n <= to; n++ {
				f, err := os.Create(filepath.Join(words[1], fmt.Sprintf("00000001%016X", n)))
				check(err)
				check(f.Truncate(16 << 20))
				check(f.Close())
			}
		}
	default:
		w.t.Fatalf("no such direction: %s", direction)
	}
}

// readTxtar reads files packed as "-- name --" and their lines.
func readTxtar(t *testing.T, name string) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	return files
}

// controlFile is the pg_control of the recorded openGauss 6.0.2 server.
func (w *world) controlFile() []byte {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.testdata, "pg_control.hex"))
	if err != nil {
		w.t.Fatal(err)
	}
	head, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		w.t.Fatal(err)
	}
	return append(head, make([]byte, 8192-len(head))...)
}

// shellWords splits a command as a shell would: blanks, both kinds of quotes,
// no expansions.
func shellWords(t *testing.T, command string) []string {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case strings.IndexByte("|>;&$`", c) >= 0:
			t.Fatalf("not a simple command: %s", command)
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
