package e2e

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
	"gsprobackup/test/sshserver"
)

// Remote mode against a real sshd with its own user key and host key. The data
// directory is reached through it only; that it lies on this machine, too, lets
// the tests look at it.

// startSSH runs an sshd until the test ends.
func startSSH(t testing.TB, o sshserver.Options) *sshserver.Server {
	t.Helper()
	s, err := sshserver.Start(account, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sshd:\n%s", shorten(s.Log()))
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// sshArgs are the options that lead to the server, over a port in front of it
// if port is not 0. options are more for ssh, and come first.
func sshArgs(s *sshserver.Server, port int, options string) []string {
	if port == 0 {
		port = s.Port
	}
	return []string{"--remote-proto=ssh", "--remote-host=127.0.0.1", "--remote-port=" + strconv.Itoa(port), "--remote-user=" + account.Name,
		"--remote-path=" + filepath.Dir(toolPath), "--ssh-options=" + options + " -F " + s.ClientConfig()}
}

// proxyCommand is a program for ssh's ProxyCommand.
func proxyCommand(t testing.TB) string {
	t.Helper()
	path := filepath.Join(pgtest.TempDir(t), "proxy")
	text := "#!/bin/bash\nexec 3<>/dev/tcp/$1/$2\ncat <&3 & cat >&3; exec 3>&-; wait\n"
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o755), os.Chmod(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// The last part of the walk-through: an instance on another host is added,
// backed up whole and by increments, and restored to that host, by four
// workers. What catalog and restored cluster hold is what local mode makes of
// the same data.
func TestWalkThroughSSH(t *testing.T) {
	t.Parallel()
	testWalkThrough(t, "", "by the built-in client", "full", "ptrack", "delta")
}

// The same with options that are the system's ssh's business.
func TestWalkThroughSystemSSH(t *testing.T) {
	t.Parallel()
	testWalkThrough(t, "-o 'ProxyCommand="+proxyCommand(t)+" %h %p' -c aes128-gcm@openssh.com", "by the ssh program: proxycommand ", "full")
}

func testWalkThrough(t *testing.T, options, transport string, modes ...string) {
	ctx := context.Background()
	src := pgtest.Start(t, pgtest.Config{Major: 17, DataChecksums: true, Tablespaces: 1, Settings: map[string]string{"summarize_wal": "on"}})
	src.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 2, Tablespace: "ts1"})
	remote := sshArgs(startSSH(t, sshserver.Options{}), 0, options)
	far := &catalog{t: t, dir: filepath.Join(pgtest.TempDir(t), "gs_bak"), instance: "remote_prod", server: src, dataDir: src.DataDir}
	near := newCatalog(t, src)

	far.ok("init", "-B", far.dir)
	res := far.ok(append(far.on("add-instance", "-D", src.DataDir, "--log-level-console=log"), remote...)...)
	checkSSHLines(t, res, transport)
	for _, mode := range modes {
		src.SQL(ctx, "UPDATE accounts SET abalance = abalance + 1 WHERE aid % 1000 = 0")
		src.SQL(ctx, "CHECKPOINT")
		args := append(far.incrementArgs(mode, "-j", "4", "--compress-algorithm=zlib"), remote...)
		res := far.ok(args...)
		if !strings.Contains(res.stderr, "remote: true, ") {
			t.Errorf("the first message does not say that it is remote\n%v", res)
		}
		checkSSHLines(t, res, transport)
		near.increment(mode, "-j", "4", "--compress-algorithm=zlib")
		compareStored(t, near, far)
	}
	far.ok("validate", "-B", far.dir, "-j", "2")
	far.checkFormat(checker.Options{})

	sums := src.Checksums(ctx)
	src.Stop(pgtest.Fast)
	dir := pgtest.TempDir(t)
	there, here := filepath.Join(dir, "there"), filepath.Join(dir, "here")
	id := far.newest().ID
	far.restore(id, there, append(append(far.remap(dir+"/ts-there"), remote...), "-j", "4")...)
	far.restore(id, here, append(far.remap(dir+"/ts-here"), "-j", "4")...)
	wantAlike(t, describe(t, here), describe(t, there), `^tablespace_map$`)
	compareTrees(t, dir+"/ts-here", dir+"/ts-there")
	restored := pgtest.StartDir(t, src.Major, there)
	restored.WaitPrimary(ctx)
	if got := restored.Checksums(ctx); !maps.Equal(got, sums) {
		t.Errorf("checksums of tables: %v, the source has %v", got, sums)
	}
}

// checkSSHLines wants to read which transport runs, and the C tool's lines
// about ssh processes with an orderly end of each.
func checkSSHLines(t *testing.T, res result, transport string) {
	t.Helper()
	starts := regexp.MustCompile(`LOG: Start SSH client process, pid \d+\n`).FindAllString(res.stderr, -1)
	ends := regexp.MustCompile(`LOG: SSH process \d+ is terminated with status 0\n`).FindAllString(res.stderr, -1)
	if len(starts) == 0 || len(starts) != len(ends) || !strings.Contains(res.stderr, transport) {
		t.Errorf("%d starts and %d good ends of ssh are told, %q\n%v", len(starts), len(ends), transport, res)
	}
}

// compareStored compares the newest backups of two catalogs, taken one after
// the other of a server at rest: all but the files in which the server notes
// the backups themselves.
func compareStored(t *testing.T, near, far *catalog) {
	t.Helper()
	stored := func(c *catalog) map[string]string {
		return describe(t, filepath.Join(c.backupDir(c.newest().ID), "database"))
	}
	want, got := stored(near), stored(far)
	if near.newest().Mode == "FULL" && len(want) < 500 {
		t.Errorf("only %d files to compare", len(want))
	}
	wantAlike(t, want, got, `^(pg_wal|pg_logical|pg_stat)/|^(global/pg_control|backup_label)$`)
}

// wantAlike compares two trees, without what matches.
func wantAlike(t *testing.T, want, got map[string]string, without string) {
	t.Helper()
	unlike := regexp.MustCompile(without)
	for name := range want {
		if _, ok := got[name]; !ok && !unlike.MatchString(name) {
			t.Errorf("%s is there in local mode only", name)
		}
	}
	for name, d := range got {
		if want[name] != d && !unlike.MatchString(name) {
			t.Errorf("%s: %q, in local mode %q", name, d, want[name])
		}
	}
}
