// Package sshserver runs a real sshd for tests: on a loopback port, with its
// own host key, user key and configuration, as the account that test servers
// run as (pgserver.Account). It touches nothing of the machine's own ssh.
//
// It owns finding sshd (scripts/install-sshd puts it there), starting and
// killing it, and a Proxy whose line can be cut.
package sshserver

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"gsprobackup/test/pgserver"
)

// Options change the server.
type Options struct {
	// Config are further lines of sshd_config; they come first, and the
	// first value counts.
	Config []string
	// Own are further files that the server must be able to read alone.
	Own []string
	// FileLimit is the largest file that processes of the server may write,
	// in bytes; 0 for no limit.
	FileLimit int
	// Port 0 means a free one.
	Port int
	// Listen is the address, 127.0.0.1 if empty.
	Listen string
}

// Server is a running sshd.
type Server struct {
	Account pgserver.Account
	Dir     string // all its files, owned by the account
	Host    string // address it listens on
	Port    int
	HostKey ssh.PublicKey

	program Program
	limit   int
	cmd     *exec.Cmd
	exited  chan struct{}
}

// The files of a server below Dir.
const (
	keyFile   = "id_ed25519"
	knownFile = "known_hosts"
	logFile   = "sshd.log"
)

// Key is a private key that may log in, KnownHosts names the server's host
// key, ClientConfig is an ssh_config with both for -F.
func (s *Server) Key() string          { return filepath.Join(s.Dir, keyFile) }
func (s *Server) KnownHosts() string   { return filepath.Join(s.Dir, knownFile) }
func (s *Server) ClientConfig() string { return filepath.Join(s.Dir, "ssh_config") }

// Start runs a server in a new directory of the account.
func Start(acct pgserver.Account, o Options) (*Server, error) {
	program, err := Find()
	if err != nil {
		return nil, err
	}
	dir, err := acct.TempDir("sshd")
	if err != nil {
		return nil, err
	}
	s := &Server{Account: acct, Dir: dir, Host: o.Listen, Port: o.Port, program: program, limit: o.FileLimit}
	if s.Host == "" {
		s.Host = "127.0.0.1"
	}
	if err := s.prepare(o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Restart(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) prepare(o Options) error {
	if s.Port == 0 {
		l, err := net.Listen("tcp", net.JoinHostPort(s.Host, "0"))
		if err != nil {
			return err
		}
		s.Port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	hostKey, err := WriteKey(filepath.Join(s.Dir, "host_ed25519"))
	if err != nil {
		return err
	}
	s.HostKey = hostKey
	userKey, err := WriteKey(s.Key())
	if err != nil {
		return err
	}
	address := s.Address()
	// Of MaxStartups, unlike the others, the last value counts.
	config := append([]string{"MaxStartups 20"}, o.Config...)
	config = append(config,
		"ListenAddress "+address, "HostKey "+filepath.Join(s.Dir, "host_ed25519"), "PidFile none",
		"AuthorizedKeysFile "+filepath.Join(s.Dir, "authorized_keys"), "StrictModes no", "UsePAM no",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "LogLevel VERBOSE")
	config = append(config, s.program.config...)
	client := []string{
		"Host *", "  Port " + strconv.Itoa(s.Port), "  User " + s.Account.Name, "  IdentityFile " + s.Key(), "  IdentitiesOnly yes", "  IdentityAgent none",
		"  UserKnownHostsFile " + s.KnownHosts(), "  GlobalKnownHostsFile none", "  StrictHostKeyChecking yes",
	}
	for name, text := range map[string]string{
		"authorized_keys":               string(ssh.MarshalAuthorizedKey(userKey)),
		knownFile:                       knownhosts.Line([]string{address, s.Host}, hostKey) + "\n", // the second for a Proxy
		"sshd_config":                   strings.Join(config, "\n") + "\n",
		filepath.Base(s.ClientConfig()): strings.Join(client, "\n") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, path := range o.Own {
		if err := s.Account.Own(path); err != nil {
			return err
		}
	}
	return s.Account.Own(s.Dir)
}

// WriteKey makes a key pair and writes the private key; its public half is
// beside it.
func WriteKey(path string) (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(os.WriteFile(path, pem.EncodeToMemory(block), 0o600), os.WriteFile(path+".pub", ssh.MarshalAuthorizedKey(key), 0o644))
}

// Restart starts the server, again after Kill, with the same keys and port.
func (s *Server) Restart() error {
	log, err := os.OpenFile(filepath.Join(s.Dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own
	args := []string{s.program.SSHD, "-D", "-e", "-f", filepath.Join(s.Dir, "sshd_config")}
	if s.limit > 0 {
		args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -f %d; exec "$@"`, s.limit/512), "sh"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = log
	cmd.Dir = s.Dir
	cmd.Env = append(pgserver.CleanEnv(), s.program.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.Account.AsUser(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start sshd: %w", err)
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, or its log tells
		close(s.exited)
	}()
	return s.awaitBanner()
}

func (s *Server) awaitBanner() error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case <-s.exited:
			return fmt.Errorf("sshd ended at once:\n%s", s.Log())
		default:
		}
		conn, err := net.DialTimeout("tcp", s.Address(), time.Second)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		banner := make([]byte, 4)
		_, err = conn.Read(banner)
		_ = conn.Close()
		if err == nil && bytes.Equal(banner, []byte("SSH-")) {
			return nil
		}
	}
	return fmt.Errorf("sshd does not answer:\n%s", s.Log())
}

// Address is where the server listens.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Log is what the server has written so far.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.Dir, logFile))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Kill ends the server and every process below it, at once: parents first, so
// that none can tell of the end of its child.
func (s *Server) Kill() {
	for _, pid := range append([]int{s.cmd.Process.Pid}, s.Children()...) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is fine
	}
	<-s.exited
}

// Stop is Kill, and removes the files.
func (s *Server) Stop() error {
	s.Kill()
	return os.RemoveAll(s.Dir)
}

// Children are the processes below the server, parents first: connections,
// shells, agents.
func (s *Server) Children() []int {
	parents := map[int]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // ended
		}
		// pid (name) state ppid …; the name may hold anything.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		ppid, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil && fields[0] != "Z" {
			parents[pid] = ppid
		}
	}
	below := []int{s.cmd.Process.Pid}
	for i := 0; i < len(below); i++ {
		for pid, parent := range parents {
			if parent == below[i] {
				below = append(below, pid)
			}
		}
	}
	return below[1:]
}

// Program is an installed sshd.
type Program struct {
	SSHD   string
	SSH    string
	env    []string
	config []string
}

// Find looks for what scripts/install-sshd installed.
func Find() (Program, error) {
	if _, err := os.Stat("/usr/sbin/sshd"); err == nil {
		p := Program{SSHD: "/usr/sbin/sshd"}
		p.SSH, err = exec.LookPath("ssh")
		return p, err
	}
	cache, err := pgserver.CacheDir()
	if err != nil {
		return Program{}, err
	}
	root := filepath.Join(cache, "sshd")
	p := Program{SSHD: filepath.Join(root, "usr/sbin/sshd"), SSH: filepath.Join(root, "usr/bin/ssh")}
	if _, err := os.Stat(p.SSHD); err != nil {
		return Program{}, fmt.Errorf("find sshd; run `make servers` (scripts/install-sshd): %w", err)
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	p.env = []string{"LD_LIBRARY_PATH=" + filepath.Join(root, "usr/lib", machine+"-linux-gnu")}
	for keyword, path := range map[string]string{"SshdSessionPath": "usr/lib/openssh/sshd-session", "SshdAuthPath": "usr/lib/openssh/sshd-auth"} {
		if full := filepath.Join(root, path); exists(full) { // newer releases
			p.config = append(p.config, keyword+" "+full)
		}
	}
	return p, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
