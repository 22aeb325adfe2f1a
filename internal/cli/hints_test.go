package cli

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/internal/usererr"
)

// TestHints: the next step is printed behind its error for people, and for
// scripts only when asked for.
func TestHints(t *testing.T) {
	const hint = "\nHINT: "
	for _, c := range []struct {
		name     string
		terminal bool
		option   string
		want     bool
	}{
		{"a script", false, "", false},
		{"a script that asks", false, "--hints", true},
		{"a person", true, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var errs strings.Builder
			env := OSEnv()
			env.Signals, env.ErrTerminal = false, c.terminal
			args := []string{"gs_probackup", "show", "-B", t.TempDir()}
			if c.option != "" {
				args = append(args, c.option)
			}
			s := newSession(args, Streams{In: strings.NewReader(""), Out: io.Discard, Err: &errs}, env)
			defer s.close()
			if err := s.run(); err != nil { // reads the options
				errs.Reset()
			}
			if code := s.exitStatus(usererr.New("it failed").WithHint("try again")); code != 1 {
				t.Errorf("exit status %d", code)
			}
			if got := strings.Contains(errs.String(), hint); got != c.want || !strings.Contains(errs.String(), "ERROR: it failed\n") {
				t.Errorf("hint printed: %t, want %t:\n%s", got, c.want, errs.String())
			}
		})
	}
}

// Errors that people meet say what to do next.
func TestEveryUsualErrorHasAHint(t *testing.T) {
	w := baseWorld(t)
	for _, args := range []string{
		"merge",
		"merge -B /home/omm/b",
		"merge -B /home/omm/b --instance n1",
		"merge -B /home/omm/b --instance n1 -i ZZZZZZ",
		"show -B /home/omm/b --instance zz",
		"init -B /home/omm/b",
		"add-instance -B /home/omm/no --instance n2 -D /home/omm/data",
		"add-instance -B /home/omm/b --instance n1 -D /home/omm/data",
		"add-instance -B /home/omm/b --instance a/b -D /home/omm/data",
		"backup -B /home/omm/b --instance n1",
		"backup -B /home/omm/b --instance n1 -b full -h 127.0.0.1 -p 1 -U x -w",
		"backup -B /home/omm/b --instance n1 -b full --log-directory=/home/omm/no/log --log-level-file=info",
		"restore -B /home/omm/b --instance n1",
		"restore -B /home/omm/b --instance n1 -i ZZZZZZ -D /home/omm/new",
		"restore -B /home/omm/b --instance n1 --time=2001-01-01 -D /home/omm/new",
		"delete -B /home/omm/b --instance n1 -i ZZZZZZ",
		"set-backup -B /home/omm/b --instance n1 --note=x",
		"show -B /home/omm/b --instance n1 --compress-level=5",
		"show -B /home/omm/b --metrics-file=/home/omm/no/m.prom",
	} {
		r := w.run(append(strings.Fields(args), "--hints"), nil)
		if r.exit != 1 || !strings.Contains(r.stderr, "\nHINT: ") {
			t.Errorf("%s: exit %d, no hint behind\n%s", args, r.exit, r.stderr)
		}
	}
}

// Advice on errors that nobody makes any more is of no use.
func TestAdviceIsOnErrorsThereAre(t *testing.T) {
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || d.Name() == "hints.go" {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	source := strings.ReplaceAll(all.String(), "\\\"", "\"")
	for _, a := range adviceOn() {
		system := strings.HasPrefix(a.in, "Permission") || strings.HasPrefix(a.in, "permission") || strings.Contains(a.in, "space left") || strings.HasPrefix(a.in, "Read-only")
		if !system && !strings.Contains(source, a.in) {
			t.Errorf("no error says %q", a.in)
		}
	}
}
