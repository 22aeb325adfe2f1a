package cli

import (
	"strings"
	"testing"
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
			var out, errs strings.Builder
			env := OSEnv()
			env.Signals, env.ErrTerminal = false, c.terminal
			args := []string{"gs_probackup", "show-config", "-B", t.TempDir(), "--instance", "../x"}
			if c.option != "" {
				args = append(args, c.option)
			}
			if code := Run(args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, env); code != 1 {
				t.Errorf("exit status %d", code)
			}
			if got := strings.Contains(errs.String(), hint); got != c.want || !strings.HasPrefix(errs.String(), "ERROR: ") {
				t.Errorf("hint printed: %t, want %t:\n%s", got, c.want, errs.String())
			}
		})
	}
}
