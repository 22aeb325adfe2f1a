package sshlink

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/test/sshserver"
)

// farTools makes a directory with only the programs that Deploy needs, and
// others given as scripts, and an sshd whose sessions find nothing else.
func farTools(t *testing.T, scripts map[string]string) *sshserver.Server {
	t.Helper()
	dir := filepath.Dir(shared(t, "x", nil))
	for _, name := range []string{"sh", "cat", "chmod", "mktemp", "rm", "uname"} {
		if _, own := scripts[name]; own {
			continue
		}
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	return startServer(t, sshserver.Options{Own: []string{tmp}, Config: []string{"SetEnv PATH=" + dir + " TMPDIR=" + tmp}})
}

// left lists what is in the far temporary directory.
func left(t *testing.T, s *sshserver.Server, l agent.Link) string {
	t.Helper()
	ch := start(t, l, `cd "$TMPDIR" && echo * | cat`)
	out := make([]byte, 200)
	n, _ := ch.Read(out)
	_ = ch.Wait()
	return strings.TrimSpace(strings.TrimPrefix(string(out[:n]), "*"))
}

// program is what the tests deploy.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gs_probackup")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho deployed \"$@\"\n# "+strings.Repeat("x", 1<<20)+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	s := farTools(t, nil)
	bothTransports(t, func(t *testing.T, options string) {
		l, events := open(t, s, Options{SSHOptions: options})
		with, cmd, err := Deploy(testContext(t), l, agent.Command{Program: "gs_probackup"}, DeployOptions{Executable: program(t), Events: events, Where: "db1"})
		if err != nil {
			t.Fatal(err)
		}
		ch := start(t, with, cmd.String())
		out := make([]byte, 100)
		n, _ := ch.Read(out)
		if err := ch.Wait(); err != nil || string(out[:n]) != "deployed agent\n" {
			t.Errorf("the copy says %q, %v", out[:n], err)
		}
		told := false
		for _, e := range events.all() {
			if d, ok := e.(Deployed); ok {
				told = d.Path == cmd.Program && d.Bytes > 1<<20
			}
		}
		if !told || left(t, s, with) == "" {
			t.Errorf("told %v, there: %q", told, left(t, s, with))
		}
		if fi, err := os.Stat(cmd.Program); os.Geteuid() == 0 && (err != nil || fi.Mode().Perm() != 0o700) {
			t.Errorf("copy: %v, %v", fi, err)
		}
		if err := with.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(filepath.Dir(cmd.Program)); err == nil {
			t.Errorf("%s is left behind", cmd.Program)
		}
	})
}

// A program that is there is used.
func TestDeployNotNeeded(t *testing.T) {
	t.Parallel()
	s := farTools(t, map[string]string{"gs_probackup": "echo own"})
	l, _ := open(t, s, Options{})
	for _, cmd := range []agent.Command{{Program: "/here/gs_probackup", Path: t.TempDir()}, {Program: "gs_probackup"}} {
		with, got, err := Deploy(testContext(t), l, cmd, DeployOptions{Executable: program(t), Where: "db1"})
		if err != nil {
			t.Fatal(err)
		}
		if found := got == cmd; found != (cmd.Path == "") {
			t.Errorf("%+v: command %+v", cmd, got)
		}
		if cmd.Path != "" { // the link goes on
			if err := with.(*deployment).remove(); err != nil {
				t.Error(err)
			}
		}
	}
	if names := left(t, s, l); names != "" {
		t.Errorf("left behind: %s", names)
	}
}

// The far side removes the copy when the link is lost.
func TestDeployedAndLost(t *testing.T) {
	t.Parallel()
	s := farTools(t, nil)
	l, p := proxied(t, s)
	with, cmd, err := Deploy(testContext(t), l, agent.Command{Program: "gs_probackup"}, DeployOptions{Executable: program(t), Where: "db1"})
	if err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := with.Close(); err != nil {
		t.Error(err)
	}
	for {
		if _, err := os.Lstat(filepath.Dir(cmd.Program)); err != nil {
			break
		}
		if testContext(t).Err() != nil {
			t.Fatal("left behind")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// What can go wrong, and nothing is left behind.
func TestDeployFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		scripts map[string]string
		errors  []string
	}{
		{"another machine", map[string]string{"uname": "echo Linux sparc64"}, []string{"Cannot deploy gs_probackup to db1: this program is for linux/", "the machine there is linux/sparc64"}},
		{"disk full", map[string]string{"cat": `[ $# = 0 ] && [ ! -t 0 ] && { read -r x; case $x in "#!"*) echo "cat: write error: No space left on device" >&2; exit 1;; esac; }; exec /bin/cat "$@"`},
			[]string{"Cannot deploy gs_probackup to db1: the shell there ended with status 1: cat: write error: No space left on device"}},
		{"another content", map[string]string{"sha256sum": "echo 0000000000000000000000000000000000000000000000000000000000000000 x"}, []string{"the copy differs"}},
		{"no directory", map[string]string{"mktemp": "exit 1"}, []string{"no directory to run programs in"}},
		{"strange directory", map[string]string{"mktemp": "echo '/etc; reboot'"}, []string{"no directory to run programs in"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := farTools(t, tt.scripts)
			l, _ := open(t, s, Options{})
			_, _, err := Deploy(testContext(t), l, agent.Command{Program: "gs_probackup"}, DeployOptions{Executable: program(t), Events: event.Discard, Where: "db1"})
			wantError(t, err, tt.errors...)
			if names := left(t, s, l); names != "" {
				t.Errorf("left behind: %s", names)
			}
		})
	}
}
