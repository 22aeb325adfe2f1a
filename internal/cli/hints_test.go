package cli

import (
	"io"
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
