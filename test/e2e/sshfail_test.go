package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"gsprobackup/test/pgtest"
	"gsprobackup/test/sshserver"
)

// sshFixture is a server, a line to its host that can be disturbed, and a
// catalog.
type sshFixture struct {
	*catalog
	sshd  *sshserver.Server
	proxy *sshserver.Proxy
}

// newSSHFixture adds about 20 MB of data to the server.
func newSSHFixture(t *testing.T, o sshserver.Options) *sshFixture {
	t.Helper()
	f := &sshFixture{sshd: startSSH(t, o)}
	src := startSmall(t, 15)
	src.SQL(context.Background(), "CREATE TABLE bulk AS SELECT i, repeat(md5(i::text), 30) AS v FROM generate_series(1, 20000) i")
	f.catalog = newCatalog(t, src)
	var err error
	if f.proxy, err = sshserver.NewProxy(f.sshd.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.proxy.Close)
	return f
}

// farBackup is a FULL backup over the line, farRestore a restore of the newest
// backup to the other host.
func (f *sshFixture) farBackup(options string) []string {
	return append(f.backupArgs("-j", "4"), sshArgs(f.sshd, f.proxy.Port, options)...)
}

func (f *sshFixture) farRestore(target, options string) []string {
	args := append(f.on("restore", "-D", target, "-j", "4", "--log-level-console=log"), f.remap(target+"-ts")...)
	return append(args, sshArgs(f.sshd, f.proxy.Port, options)...)
}

// noAgents waits until nothing of ours runs on the other host.
func (f *sshFixture) noAgents() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	for len(f.agents()) > 0 {
		select {
		case <-ctx.Done():
			f.t.Fatalf("agents are left: %v", f.agents())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// agents are the processes of the tool on the other host. Killing sshd does
// not make them ours, so they are found by the tool's path.
func (f *sshFixture) agents() []int {
	var pids []int
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is valid
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(text, []byte(toolPath+"\x00agent")) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err == nil && f.isFar(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isFar tells whether a process was started by this fixture's sshd: its
// environment says which port it was reached by.
func (f *sshFixture) isFar(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(env, fmt.Appendf(nil, " %d\x00", f.sshd.Port))
}

// What keeps the connection from being made is named, and nothing has begun.
func TestSSHRefused(t *testing.T) {
	t.Parallel()
	f := newSSHFixture(t, sshserver.Options{Config: []string{"MaxStartups 3"}})
	dir := pgtest.TempDir(t)
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := account.Own(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other, err := sshserver.WriteKey(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	if err := account.Own(dir); err != nil {
		t.Fatal(err)
	}
	wrong := put("wrong", fmt.Sprintf("[127.0.0.1]:%d %s", f.proxy.Port, ssh.MarshalAuthorizedKey(other)))
	for _, tt := range []struct {
		name, options string
		instead       string // of the option of that name
		texts         []string
	}{
		{"wrong host key", "-o UserKnownHostsFile=" + wrong, "", []string{"the host key HAS CHANGED", wrong + " line 1"}},
		{"unknown host key", "-o UserKnownHostsFile=none", "", []string{"the host key is unknown"}},
		{"no key", "-o IdentityFile=" + dir + "/nothing -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=" + dir + "/new -o IdentityAgent=none", "",
			[]string{"Permission denied (publickey): no key to log in with was found"}},
		{"other key", "-o IdentityFile=" + dir + "/other -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=" + dir + "/new -o IdentityAgent=none", "",
			[]string{"Permission denied (publickey): the server accepts none of the keys ssh-ed25519 SHA256:"}},
		{"wrong path", "", "--remote-path=" + dir, []string{"Failed to establish SSH connection: ", dir + "/gs_probackup", "ended with status 127"}},
		{"no sshd", "", "--remote-port=1", []string{"Connection refused"}},
		{"option of a host", "", "--remote-host=-oProxyCommand=touch " + dir + "/evil", []string{"Invalid value for '--remote-host' option"}},
	} {
		args := f.farBackup(tt.options)
		for i, arg := range args {
			name, _, _ := strings.Cut(arg, "=")
			if strings.HasPrefix(tt.instead, name+"=") {
				args[i] = tt.instead
			}
			if strings.Contains(arg, "-F none") { // the first file would not count
				args[i] = strings.Replace(arg, " -F "+f.sshd.ClientConfig(), "", 1)
			}
		}
		f.fails(append(tt.texts, "ERROR: "), args...)
		if _, err := os.Stat(dir + "/evil"); err == nil {
			t.Error("a host name was run")
		}
	}

	held := make([]net.Conn, 0, 3)
	for len(held) < 3 { // as many as may be logging in
		conn, err := net.Dial("tcp", f.sshd.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, 4)); err == nil {
			held = append(held, conn)
		}
	}
	f.fails([]string{"dropped by the server before its version"}, f.farBackup("-o ConnectTimeout=2")...)
	for _, conn := range held {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if all := f.list(); len(all) != 0 {
		t.Errorf("backups were begun: %v", all)
	}

	// There is no program in dir, so this one is taken along.
	args := f.farBackup("")
	args[slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "--remote-path=") })] = "--remote-path=" + dir
	res := f.ok(append(args, "--remote-deploy")...)
	copied := regexp.MustCompile(`This program was copied to 127.0.0.1:(/\S+/gs_probackup)`).FindStringSubmatch(res.stderr)
	if copied == nil {
		t.Fatalf("no copy is told\n%v", res)
	}
	if _, err := os.Stat(filepath.Dir(copied[1])); err == nil {
		t.Errorf("%s is left", copied[1])
	}
	f.noAgents()
}

// disturbances happen when some megabytes have gone through.
func disturbances() []disturbance {
	return []disturbance{
		{"link cut", "", func(f *sshFixture) { f.proxy.Cut() }},
		{"link cut, system's ssh", "-o RekeyLimit='default none'", func(f *sshFixture) { f.proxy.Cut() }},
		{"link silent", "-o ServerAliveInterval=1", func(f *sshFixture) { f.proxy.Silence(true) }},
		{"sshd killed", "", func(f *sshFixture) { f.sshd.Kill() }},
		{"agent killed", "", func(f *sshFixture) {
			for _, pid := range f.agents() {
				_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is fine
			}
		}},
	}
}

type disturbance struct {
	name    string
	options string
	do      func(*sshFixture)
}

// mend makes everything work again.
func (f *sshFixture) mend() {
	f.t.Helper()
	f.proxy.Silence(false)
	f.proxy.Cut()
	conn, err := net.Dial("tcp", f.sshd.Address())
	if err == nil {
		_ = conn.Close()
		return
	}
	if err := f.sshd.Restart(); err != nil {
		f.t.Fatal(err)
	}
}

const disturbAt = 6 << 20 // bytes

// A backup that loses the other host fails with the cause, leaves the server
// and the catalog in order and no agent behind; the next one works.
func TestSSHLostDuringBackup(t *testing.T) {
	t.Parallel()
	f := newSSHFixture(t, sshserver.Options{})
	for _, d := range disturbances() {
		f.proxy.At(disturbAt, func() { d.do(f) })
		began := time.Now()
		f.fails([]string{"ERROR: ", "Communication error: "}, f.farBackup(d.options)...)
		t.Logf("%s: over after %v", d.name, time.Since(began).Round(100*time.Millisecond))
		if b := f.newest(); b.Status != "ERROR" {
			t.Errorf("%s: status of the backup is %s, want ERROR", d.name, b.Status)
		}
		checkUnlocked(t, f.catalog)
		serverFree(t, f.server)
		f.mend()
		f.noAgents()
	}
	f.ok(f.farBackup("")...)
	f.checkFinished()
	checkRestarts(t, f.catalog, f.newest())
}

// A restore that loses the other host fails with the cause and leaves nothing
// that a server would start on; when it is removed the next one works.
func TestSSHLostDuringRestore(t *testing.T) {
	t.Parallel()
	f := newSSHFixture(t, sshserver.Options{})
	f.ok(f.farBackup("")...)
	target := filepath.Join(pgtest.TempDir(t), "restored")
	for _, d := range disturbances() {
		f.proxy.At(disturbAt, func() { d.do(f) })
		f.fails([]string{"ERROR: ", "Communication error: "}, f.farRestore(target, d.options)...)
		f.mend()
		f.noAgents()
		checkHalfRestored(t, target)
	}
	f.ok(f.farRestore(target, "")...)
}

// checkHalfRestored wants that no server starts on what is there, and removes
// it.
func checkHalfRestored(t *testing.T, target string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(target, "global", "pg_control")); err == nil {
		t.Errorf("%s looks whole", target)
	}
	for _, dir := range []string{target, target + "-ts"} {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

// A full disk over there is named. Root makes a small file system; others let
// sshd limit the size of files.
func TestSSHDiskFull(t *testing.T) {
	t.Parallel()
	dir := pgtest.TempDir(t)
	want := "no space left on device"
	var o sshserver.Options
	if os.Geteuid() == 0 {
		mount := func(name string, args ...string) {
			t.Helper()
			if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
		}
		mount("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=24m,mode=0700,uid=%d,gid=%d", account.UID, account.GID), "tmpfs", dir)
		t.Cleanup(func() { mount("umount", dir) })
	} else {
		o.FileLimit, want = 4<<20, "file too large"
	}
	f := newSSHFixture(t, o)
	f.ok(f.backupArgs()...)
	res := f.fails([]string{"ERROR: "}, f.farRestore(filepath.Join(dir, "restored"), "")...)
	if text := strings.ToLower(res.stderr); !strings.Contains(text, want) && !strings.Contains(text, "not enough space") && !strings.Contains(text, "insufficient") {
		t.Errorf("the cause is not named\n%v", res)
	}
	f.noAgents()
	checkHalfRestored(t, filepath.Join(dir, "restored"))
	f.ok(f.farRestore(filepath.Join(pgtest.TempDir(t), "elsewhere"), "")...)
}
