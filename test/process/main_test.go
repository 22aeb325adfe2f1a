// Package process tests the tool as a process among others: on a terminal, in
// pipes that break, under signals, umasks and poor environments, as cron and
// people run it. The server is the openGauss stand-in, in the test's process.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/cli"
	"gsprobackup/internal/fsx"
	"gsprobackup/test/opengaussd"
	"gsprobackup/test/opengaussd/ogdata"
	"gsprobackup/test/pgserver"
	"gsprobackup/test/pgtest"
)

// role makes a copy of the test binary play the tool, with a clock or a file
// system of its own.
const role = "GS_PROBACKUP_TEST_ROLE"

func TestMain(m *testing.M) {
	env := cli.OSEnv()
	switch os.Getenv(role) {
	case "":
		os.Exit(runTests(m))
	case "ticking": // each look at the clock takes 1.1 seconds
		began, looks := time.Now(), atomic.Int64{}
		env.Now = func() time.Time { return began.Add(time.Duration(looks.Add(1)) * 1100 * time.Millisecond) }
	case "stalling": // one file of the backup takes for ever, until ^C
		env.FS = newStallingFS()
	}
	os.Exit(cli.Run(os.Args, cli.OSStreams(), env))
}

// account is the user that the tool runs as where rights matter, toolPath the
// tool, built once.
var (
	account  pgserver.Account
	toolPath string
)

func runTests(m *testing.M) int {
	code, err := 1, error(nil)
	if account, err = pgserver.RunAs(); err == nil {
		var dir string
		if dir, err = account.TempDir("process-tool-"); err == nil {
			defer os.RemoveAll(dir)
			if toolPath, err = account.BuildTool(dir); err == nil {
				code = m.Run()
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// stallingFS waits for ^C before it opens one of the small files.
type stallingFS struct {
	fsx.FS
	interrupted chan os.Signal
}

func newStallingFS() stallingFS {
	s := stallingFS{fsx.OS(), make(chan os.Signal, 1)}
	signal.Notify(s.interrupted, os.Interrupt)
	return s
}

func (s stallingFS) Open(name string) (fsx.File, error) {
	if strings.HasSuffix(name, "/pg_clog/000000000000") {
		<-s.interrupted
	}
	return s.FS.Open(name)
}

// world is a server, a catalog with one FULL backup, and the tool.
type world struct {
	t       *testing.T
	dir     string
	server  *opengaussd.Server
	catalog string
	release func() // lets a backup go on that holdAtStop holds
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := pgtest.TempDir(t)
	cluster, err := ogdata.New(ogdata.Options{Dir: filepath.Join(dir, "data"), NoDoubleWrite: true, NoRowCompressed: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := account.Own(dir); err != nil {
		t.Fatal(err)
	}
	server, err := opengaussd.Start(opengaussd.Config{Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), cluster.Close()); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, dir: dir, server: server, catalog: filepath.Join(dir, "catalog")}
	w.ok("init", "-B", w.catalog)
	w.ok("add-instance", "-B", w.catalog, "--instance", "n1", "-D", filepath.Join(dir, "data"))
	if r := w.run(w.backup(), nil, nil); r.exit != 0 {
		t.Fatal(r)
	}
	if err := account.Own(w.catalog); err != nil {
		t.Fatal(err)
	}
	return w
}

// backup prepares a backup. It runs as we do, for so does the stand-in, whose
// files it reads.
func (w *world) backup(more ...string) *exec.Cmd {
	cmd := exec.Command(toolPath, w.backupArgs(more...)...)
	cmd.Env = pgserver.CleanEnv()
	return cmd
}

func (w *world) backupArgs(more ...string) []string {
	return append([]string{"backup", "-B", w.catalog, "--instance", "n1", "-b", "FULL", "-h", "127.0.0.1", "-p", strconv.Itoa(w.server.Port),
		"-U", opengaussd.GoldenUser, "-W", opengaussd.GoldenPassword, "-d", "testdb", "--no-sync"}, more...)
}

// command prepares a run of the tool as the server's user.
func (w *world) command(args ...string) *exec.Cmd {
	return account.AsUser(exec.Command(toolPath, args...))
}

// shell prepares a command line of sh, in which $tool is the tool and $B the
// catalog.
func (w *world) shell(line string) *exec.Cmd {
	cmd := account.AsUser(exec.Command("/bin/sh", "-c", line))
	cmd.Env = append(cmd.Env, "tool="+toolPath, "B="+w.catalog, "dir="+w.dir, "TZ=UTC")
	return cmd
}

// result is a finished process.
type result struct {
	exit           int // -1 when a signal killed it
	signal         syscall.Signal
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit %d (%v)\nstdout:\n%s\nstderr:\n%s", r.exit, r.signal, r.stdout, r.stderr)
}

// run runs a prepared command. Streams that are set stay. When the process has
// come to the point that reached tells, then is called.
func (w *world) run(cmd *exec.Cmd, reached <-chan struct{}, then func()) result {
	w.t.Helper()
	var out, errs bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &errs
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		// The state tells how it ended.
		_ = cmd.Wait()
		close(ended)
	}()
	select {
	case <-reached:
		then()
	case <-ended:
		if reached != nil {
			w.t.Error("the process ended too early")
		}
	}
	<-ended
	r := result{exit: cmd.ProcessState.ExitCode(), stdout: out.String(), stderr: errs.String()}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		r.signal = ws.Signal()
	}
	return r
}

func (w *world) ok(args ...string) result {
	w.t.Helper()
	r := w.run(w.command(args...), nil, nil)
	if r.exit != 0 {
		w.t.Fatalf("%q: %v", args, r)
	}
	return r
}

// statuses are those of the backups, newest first.
func (w *world) statuses() []string {
	w.t.Helper()
	var list []string
	r := w.run(exec.Command(toolPath, "show", "-B", w.catalog, "--instance", "n1"), nil, nil)
	for line := range strings.Lines(r.stdout) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "n1" {
			list = append(list, f[len(f)-1])
		}
	}
	return list
}
