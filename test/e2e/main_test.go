package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gsprobackup/test/pgserver"
)

// toolPath is the binary under test, built once by TestMain; account is the
// user it runs as.
var (
	toolPath string
	account  pgserver.Account
)

// toolVar tells a copy of this binary where the tool is.
const toolVar = "E2E_TOOL"

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"gs_probackup": runTool,
		"e2e-measure":  measure,
	})
}

// suite builds the tool before the tests and removes it after them.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	code, err := s.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func (s suite) run() (code int, err error) {
	if err := pgserver.CleanProcess(); err != nil {
		return 1, err
	}
	if account, err = pgserver.RunAs(); err != nil {
		return 1, err
	}
	dir, err := account.TempDir("e2e-tool-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if toolPath, err = account.BuildTool(dir); err != nil {
		return 1, err
	}
	if err := os.Setenv(toolVar, toolPath); err != nil {
		return 1, err
	}
	return s.m.Run(), nil
}

// drop gives up root's rights for the rest of the process.
func drop() error {
	acc, err := pgserver.RunAs()
	if err != nil || !acc.Drop {
		return err
	}
	if err := syscall.Setgroups([]int{int(acc.GID)}); err != nil {
		return fmt.Errorf("set groups: %w", err)
	}
	if err := syscall.Setgid(int(acc.GID)); err != nil {
		return fmt.Errorf("set group: %w", err)
	}
	if err := syscall.Setuid(int(acc.UID)); err != nil {
		return fmt.Errorf("set user: %w", err)
	}
	return os.Chdir("/")
}

// runTool is the command gs_probackup of scripts: the tool as the server's
// user.
func runTool() {
	err := drop()
	if err == nil {
		err = syscall.Exec(os.Getenv(toolVar), append([]string{"gs_probackup"}, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "run gs_probackup:", err)
	os.Exit(126)
}

// measure is the command e2e-measure FILE COMMAND ARG...: it runs COMMAND as
// the server's user and writes the peak resident size in KiB to FILE. The test
// process cannot do so itself: Linux counts the parent's size at the time of
// fork as the child's.
func measure() {
	out, err := os.Create(os.Args[1])
	if err == nil {
		err = drop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(126)
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(126)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if _, err := fmt.Fprintln(out, usage.Maxrss); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(126)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// measureCommand is e2e-measure's path; testscript.Main put it into PATH.
func measureCommand(t testing.TB) string {
	t.Helper()
	p, err := exec.LookPath("e2e-measure")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(p)
}
