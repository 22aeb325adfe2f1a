package lock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// helperDir names the directory a re-executed test binary has to lock.
const helperDir = "LOCK_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(helper(dir))
	}
	os.Exit(m.Run())
}

// helper waits for a line, tries to lock, tells the outcome and its warnings
// in one line, and keeps the lock until its input ends.
func helper(dir string) int {
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return 2
	}
	var got collect
	k, err := New(fsx.OS(), &got).Acquire(context.Background(), dir, "X", Intent{Destructive: true})
	outcome := "locked"
	switch {
	case errors.Is(err, ErrHeld):
		outcome = "held"
	case err != nil:
		outcome = "error " + err.Error()
	}
	fmt.Println(outcome, fmt.Sprintf("%#v", got.events))
	if _, err := io.Copy(io.Discard, in); err != nil {
		return 2
	}
	if k != nil && k.Release() != nil {
		return 2
	}
	return 0
}

type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, dir string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails when it has ended, as it should have
		_ = cmd.Wait()
	})
	return &process{cmd: cmd, in: in, out: bufio.NewReader(out)}
}

func (p *process) try(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		t.Fatal(err)
	}
}

func (p *process) outcome(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func (p *process) finish(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.in.Close(), p.cmd.Wait()); err != nil {
		t.Fatal(err)
	}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // "signal: killed"
}

func TestOtherProcess(t *testing.T) {
	dir := t.TempDir()
	first, second := start(t, dir), start(t, dir)
	first.try(t)
	if got := first.outcome(t); !strings.HasPrefix(got, "locked []") {
		t.Fatal(got)
	}
	if want := strconv.Itoa(first.cmd.Process.Pid) + "\n"; content(dir) != want {
		t.Fatalf("%q, want %q", content(dir), want)
	}
	second.try(t)
	want := fmt.Sprintf(`held []event.Event{lock.ProcessAlive{PID:%d, Backup:"X"}}`, first.cmd.Process.Pid)
	if got := second.outcome(t); strings.TrimSpace(got) != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	second.finish(t)
	first.finish(t)
	if content(dir) != "none" {
		t.Error("left over:", content(dir))
	}
}

// TestChildOfTheOwner: the C tool takes its parent's lock for stale.
func TestChildOfTheOwner(t *testing.T) {
	dir := t.TempDir()
	k, err := New(fsx.OS(), event.Discard).Acquire(context.Background(), dir, "X", Intent{})
	if err != nil {
		t.Fatal(err)
	}
	child := start(t, dir)
	child.try(t)
	if got := child.outcome(t); !strings.HasPrefix(got, "held") {
		t.Error(got)
	}
	child.finish(t)
	if err := k.Release(); err != nil {
		t.Error(err)
	}
}

func TestKilledOwner(t *testing.T) {
	dir := t.TempDir()
	first, second := start(t, dir), start(t, dir)
	first.try(t)
	first.outcome(t)
	first.kill(t)
	second.try(t)
	want := fmt.Sprintf(`locked []event.Event{lock.ProcessGone{PID:%d, Backup:"X"}}`, first.cmd.Process.Pid)
	if got := second.outcome(t); strings.TrimSpace(got) != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	second.finish(t)
}

// TestRaceForStaleLock lets many processes find the same stale file.
func TestRaceForStaleLock(t *testing.T) {
	for round := range 6 {
		dir := t.TempDir()
		if round%2 == 0 { // a stale file; else none at all
			dead := start(t, dir)
			dead.kill(t)
			put(t, dir, FileName, strconv.Itoa(dead.cmd.Process.Pid)+"\n")
		}
		var procs []*process
		for range 6 {
			procs = append(procs, start(t, dir))
		}
		for _, p := range procs {
			p.try(t)
		}
		locked := 0
		for _, p := range procs {
			switch got := p.outcome(t); {
			case strings.HasPrefix(got, "locked"):
				locked++
			case !strings.HasPrefix(got, "held"):
				t.Error(got)
			}
		}
		if locked != 1 {
			t.Errorf("round %d: %d processes have the lock", round, locked)
		}
		for _, p := range procs {
			p.finish(t)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
			t.Errorf("left over: %v", names)
		}
	}
}
