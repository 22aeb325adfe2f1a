package opengaussd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/cli"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/remote/sshlink"
	"gsprobackup/test/agenttest"
	"gsprobackup/test/opengaussd/ogdata"
)

// farTool runs gs_probackup in this process with another one of it as agent,
// forced to serve only the given directories. Pipe delays each byte.
func (w *world) farTool(serve []string, args ...string) result {
	var out, stderr bytes.Buffer
	env := cli.OSEnv()
	env.LookupEnv = func(string) (string, bool) { return "", false }
	env.Location, env.Signals, env.OpenTerminal, env.MaskArgument = time.UTC, false, nil, nil
	env.OpenLink = func(sshlink.Options) (agent.Link, error) {
		return &agenttest.Pipe{Delay: 2 * time.Millisecond, Serve: func(_ context.Context, in io.Reader, out io.Writer, _ string) error {
			var said bytes.Buffer
			if exit := cli.Run(append([]string{"gs_probackup", "agent"}, serve...), cli.Streams{In: in, Out: out, Err: &said}, env); exit != 0 {
				return errors.New(said.String())
			}
			return nil
		}}, nil
	}
	exit := cli.Run(append([]string{"gs_probackup"}, args...), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &stderr}, env)
	return result{exit, out.String(), stderr.String()}
}

func (w *world) farMust(serve []string, args ...string) result {
	w.t.Helper()
	r := w.farTool(serve, append(args, "--remote-host", "127.0.0.1")...)
	if r.exit != 0 {
		w.t.Fatalf("%q: exit %d\n%s", args, r.exit, clip(r.err))
	}
	return r
}

// TestRemote: a FULL and its increments through an agent that may only read
// this cluster, and a restore through one that may only write where it goes.
// The server is found without -h, as C does.
func TestRemote(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{}, Config{})
	w.must("init", "-B", w.catalog)
	readOnly := []string{"--read-only", "-D", w.cluster.Dir()}
	w.farMust(readOnly, "add-instance", "-B", w.catalog, "--instance", "n1", "-D", w.cluster.Dir())
	var last string
	var tree ogdata.Tree
	for step, mode := range []string{"FULL", "PTRACK", "DELTA"} {
		if err := w.cluster.Mutate(step + 1); err != nil {
			t.Fatal(err)
		}
		last, tree = w.takeBackup(func() {
			w.farMust(readOnly, "backup", "-B", w.catalog, "--instance", "n1", "-b", mode, "-p", strconv.Itoa(w.srv.Port),
				"-U", GoldenUser, "-W", GoldenPassword, "-d", "testdb", "-j", "4", "--compress-algorithm", "zstd")
		})
	}
	w.check()
	target := filepath.Join(w.dir, "restored")
	args := []string{"restore", "-B", w.catalog, "--instance", "n1", "-D", target, "-i", last, "-j", "4"}
	serve := []string{"-D", target}
	for _, ts := range w.cluster.Tablespaces() {
		if !strings.HasPrefix(ts.Target, w.cluster.Dir()) {
			to := filepath.Join(w.dir, "restoredspaces", filepath.Base(ts.Target))
			args, serve = append(args, "-T", ts.Target+"="+to), append(serve, "-E", to)
		}
	}
	if r := w.farTool(readOnly, append(args, "--remote-host", "127.0.0.1")...); r.exit != 1 || !strings.Contains(r.err, "does not serve \""+target) {
		t.Errorf("restore through an agent for backups: %+v", r)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("it made the directory")
	}
	w.farMust(serve, args...)
	got, err := ogdata.ReadTree(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tree.Diff(got) {
		t.Error(d)
	}
}
