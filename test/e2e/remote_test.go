package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// farShell makes a program ssh that runs the far command on this machine, as
// the C tool starts it, and returns the PATH with it. Its process number, which
// becomes the agent's, and what it was asked for are written to the log.
func farShell(t testing.TB) (path, log string) {
	t.Helper()
	dir := pgtest.TempDir(t)
	log = filepath.Join(dir, "log")
	text := "#!/bin/sh\n{ echo $$; echo \"$*\"; } >> " + log + "\nfor c; do :; done\nunset PGHOST PGPORT PGDATA\nexec /bin/sh -c \"exec $c\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(log, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir + ":" + os.Getenv("PATH"), log
}

// viaSSH are the options that reach the far shell: the built-in client does
// not know the keyword and leaves the work to the program ssh.
func viaSSH(extra ...string) []string {
	return append([]string{
		"--remote-host", "far.example", "--remote-user", "backup", "--remote-port", "2222",
		"--remote-path", filepath.Dir(toolPath), "--ssh-options", "-o FarShell=yes",
	}, extra...)
}

// far is a catalog whose instance is reached through an agent.
type far struct {
	*catalog
	path string // PATH with the far shell
	log  string
}

// tool runs the tool with the far shell.
func (f far) tool(args ...string) result {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	return finish(f.t, ctx, f.prepare(tool(ctx, args...)), nil)
}

func (f far) prepare(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(os.Environ(), "PATH="+f.path)
	return cmd
}

func (f far) okay(args ...string) result {
	f.t.Helper()
	res := f.tool(args...)
	if res.code != 0 {
		f.t.Fatal(res)
	}
	return res
}

// newFar registers a server, read through the agent, in a catalog of its own.
func newFar(t testing.TB, server *pgtest.Server) far {
	t.Helper()
	c := &catalog{t: t, dir: filepath.Join(pgtest.TempDir(t), "catalog"), instance: instanceName, server: server, dataDir: server.DataDir}
	f := far{catalog: c}
	f.path, f.log = farShell(t)
	f.ok("init", "-B", c.dir)
	res := f.okay(append([]string{"add-instance", "-B", c.dir, "--instance", c.instance, "-D", server.DataDir}, viaSSH()...)...)
	for _, text := range []string{"LOG: Start SSH client process, pid ", "LOG: SSH process ", " is terminated with status 0", "INFO: Instance 'main' successfully inited"} {
		if !strings.Contains(res.stderr, text) {
			t.Errorf("%q is not on stderr\n%v", text, res)
		}
	}
	conf, err := os.ReadFile(filepath.Join(c.dir, "backups", c.instance, "pg_probackup.conf"))
	if err != nil || strings.Contains(string(conf), "remote") || !strings.Contains(string(conf), "system-identifier") {
		t.Errorf("stored settings: %s, %v", conf, err)
	}
	return f
}

// A cluster that is backed up and restored through agents comes back as the
// one that is near: every file is the same.
func TestRemote(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	major := pgtest.Majors(t)[len(pgtest.Majors(t))-1]
	src := startRich(t, pgtest.Config{Major: major, DataChecksums: true, Settings: map[string]string{"summarize_wal": "on"}})
	external := makeExternal(t)
	f := newFar(t, src)
	near := newCatalog(t, src)
	f.ok(append(f.on("set-config"), viaSSH()...)...) // from here on the catalog knows the way
	backup := func(mode string, extra ...string) (farID, nearID string) {
		args := append([]string{"-b", mode, "-j", "4", "-E", external}, extra...)
		res := f.okay(f.backupArgs(args...)...)
		if !strings.Contains(res.stderr, "remote: true, ") {
			t.Errorf("not told as remote\n%v", res)
		}
		near.ok(near.backupArgs(args...)...)
		return f.newest().ID, near.newest().ID
	}
	for _, step := range []struct{ mode, algorithm string }{{"full", "zstd"}, {"ptrack", "none"}, {"delta", "lz4"}} {
		farID, nearID := backup(step.mode, "--compress-algorithm", step.algorithm)
		compareBackups(t, near.backupDir(nearID), f.backupDir(farID))
		src.SQLIn(ctx, "app", "UPDATE plain SET v = v || '"+step.mode+"' WHERE id % 13 = 0")
		src.SQLIn(ctx, "app", "CREATE TABLE made_"+step.mode+" AS SELECT * FROM toasted")
	}
	f.ok("validate", "-B", f.dir, "-j", "2")
	f.checkFormat(checker.Options{})

	last := f.newest().ID
	dir := pgtest.TempDir(t)
	restore := func(name string, run func(...string) result, extra ...string) string {
		to := filepath.Join(dir, name)
		args := []string{"-i", last, "-D", filepath.Join(to, "data"), "-j", "4", "--external-mapping", external + "=" + filepath.Join(to, "ext")}
		run(f.on("restore", append(append(args, f.remap(to)...), extra...)...)...)
		return to
	}
	there := restore("far", f.okay)
	here := restore("near", f.ok, "--remote-proto", "none")
	compareTrees(t, here, there)

	restored := pgtest.StartDir(t, src.Major, filepath.Join(there, "data"))
	restored.WaitPrimary(ctx)
	if rows := restored.SQLIn(ctx, "app", "SELECT count(*) FROM plain WHERE v LIKE '%ptrack'"); rows[0][0] == "0" {
		t.Errorf("the last increment is not there: %v", rows)
	}
	checkRich(t, restored)
	checkIndexes(t, restored)
	restored.Stop(pgtest.Fast)
	checkPageChecksums(t, restored)
	restore("far", f.okay, "-I", "lsn") // over what has run since
	compareTrees(t, here, there)
	checkFarCommand(t, f)
}

// checkFarCommand wants ssh to have been called as the C tool calls it.
func checkFarCommand(t *testing.T, f far) {
	t.Helper()
	log, err := os.ReadFile(f.log)
	want := "-p 2222 -l backup -o FarShell=yes -o PasswordAuthentication=no -o Compression=no -o ControlMaster=no -o LogLevel=error far.example  " +
		toolPath + " agent\n"
	if err != nil || !strings.Contains(string(log), want) {
		t.Errorf("ssh was called with\n%s\nwant %s (%v)", log, want, err)
	}
}

// compareBackups compares the stored relation files of two backups that were
// taken one after the other of a server at rest. What the server wrote in
// between is in other files.
func compareBackups(t *testing.T, near, far string) {
	t.Helper()
	a, b := describe(t, near+"/database/base"), describe(t, far+"/database/base")
	same, differ := 0, 0
	for name, d := range a {
		if b[name] == d {
			same++
		} else {
			differ++
		}
	}
	if same < 10*differ || same < 20 {
		t.Errorf("%d of %d stored files differ", differ, differ+same)
	}
}
