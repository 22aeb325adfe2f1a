package process

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"gsprobackup/test/pgserver"
)

// emulator is a terminal of a fixed width without end: rows of bytes, a
// cursor, the few controls the tool uses. It wraps as terminals do.
type emulator struct {
	width    int
	rows     []string
	col      int
	escape   string
	wrapped  []string // rows that were full when more came
	all      strings.Builder
	unknowns []string
}

func (e *emulator) Write(p []byte) (int, error) {
	e.all.Write(p)
	for _, c := range p {
		e.put(c)
	}
	return len(p), nil
}

func (e *emulator) put(c byte) {
	if len(e.rows) == 0 {
		e.rows = []string{""}
	}
	row := &e.rows[len(e.rows)-1]
	switch {
	case e.escape != "":
		e.escape += string(c)
		if c >= '@' && c != '[' {
			if e.escape != "\x1b[K" {
				e.unknowns = append(e.unknowns, e.escape)
			}
			*row = (*row)[:min(e.col, len(*row))]
			e.escape = ""
		}
	case c == 0x1b:
		e.escape = string(c)
	case c == '\r':
		e.col = 0
	case c == '\n':
		e.rows = append(e.rows, "")
	default:
		if e.col == e.width {
			e.wrapped = append(e.wrapped, *row)
			e.rows, e.col = append(e.rows, ""), 0
			row = &e.rows[len(e.rows)-1]
		}
		for len(*row) <= e.col {
			*row += " "
		}
		*row = (*row)[:e.col] + string(c) + (*row)[e.col+1:]
		e.col++
	}
}

// onTerminal runs the tool, playing that role, on a terminal of its own.
// seen is called after each output and may type.
func onTerminal(t *testing.T, width int, roleName string, args []string, seen func(e *emulator, keys io.Writer)) (*emulator, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(pgserver.CleanEnv(), role+"="+roleName)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: uint16(width)})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	e := &emulator{width: width}
	buf := make([]byte, 4096)
	for { // ends with an error when the process has gone
		n, err := terminal.Read(buf)
		e.Write(buf[:n])
		if err != nil {
			break
		}
		if seen != nil {
			seen(e, terminal)
		}
	}
	// The state tells how it ended.
	_ = cmd.Wait()
	if len(e.unknowns) > 0 {
		t.Errorf("unknown controls %q", e.unknowns)
	}
	return e, cmd
}

// Issue 5, "must show" 7: the bar redraws in one line, whatever the width, and
// leaves nothing between the messages.
func TestBarOnATerminal(t *testing.T) {
	w := newWorld(t)
	w.ok("validate", "-B", w.catalog) // OK, so that the messages are few
	for _, width := range []int{200, 80, 30} {
		e, cmd := onTerminal(t, width, "ticking", []string{"validate", "-B", w.catalog, "--instance", "n1", "--log-level-console=info"}, nil)
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("exit status %d: %s", code, e.all.String())
		}
		for _, row := range e.wrapped {
			if strings.Contains(row, "%") {
				t.Errorf("%d columns: a bar wrapped: %q", width, row)
			}
		}
		// Only the last bar is left.
		bars := regexp.MustCompile(`\d+% \(\d+/\d+`).FindAllString(strings.Join(e.rows, "\n"), -1)
		if len(bars) != 1 || !strings.HasPrefix(bars[0], "100% (") {
			t.Errorf("%d columns: bars on the screen: %q\n%s", width, bars, strings.Join(e.rows, "\n"))
		}
		for _, row := range e.rows {
			if strings.HasPrefix(row, "INFO: ") && strings.Contains(row, "  ") {
				t.Errorf("%d columns: something is left behind a message: %q", width, row)
			}
		}
		if redraws := strings.Count(e.all.String(), "validate file"); width >= 80 && redraws < 100 {
			t.Errorf("%d columns: %d redraws", width, redraws)
		}
		if width >= 80 && !regexp.MustCompile(`\d[kMG]?B/s, ETA \d+`).MatchString(e.all.String()) {
			t.Errorf("%d columns: no rate in %q", width, e.all.String())
		}
	}
}

// ^C while a bar is shown: the bar goes, the words come, the prompt has a line
// of its own, and the status is 1.
func TestInterruptOnATerminal(t *testing.T) {
	w := newWorld(t)
	typed := false
	e, cmd := onTerminal(t, 80, "stalling", []string{"validate", "-B", w.catalog, "--instance", "n1", "--log-level-console=info"},
		func(e *emulator, keys io.Writer) {
			if !typed && strings.Contains(e.rows[len(e.rows)-1], "%") {
				typed = true
				if _, err := keys.Write([]byte{'C' - '@'}); err != nil {
					t.Error(err)
				}
			}
		})
	if code := cmd.ProcessState.ExitCode(); code != 1 || !typed {
		t.Errorf("exit status %d, ^C typed: %t", code, typed)
	}
	screen := strings.Join(e.rows, "\n")
	if last := e.rows[len(e.rows)-1]; last != "" || e.col != 0 {
		t.Errorf("the prompt would stand behind %q in\n%s", last, screen)
	}
	if !regexp.MustCompile(`(?m)^ERROR: .*[Ii]nterrupted`).MatchString(screen) {
		t.Errorf("no word of the interruption in\n%s", screen)
	}
	for _, row := range e.rows {
		if strings.Contains(row, "ETA") {
			t.Errorf("a running bar is left: %q", row)
		}
	}
}
