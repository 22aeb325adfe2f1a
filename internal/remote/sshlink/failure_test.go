package sshlink

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/internal/remote/agent"
	"gsprobackup/test/sshserver"
)

// proxied is a link to the server over a line that can be cut.
func proxied(t *testing.T, s *sshserver.Server, options ...string) (agent.Link, *sshserver.Proxy) {
	t.Helper()
	p, err := sshserver.NewProxy(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	config := clientFor(t, s, append(options, "Port "+strconv.Itoa(p.Port))...)
	l, _ := open(t, s, Options{ConfigFile: config})
	return l, p
}

// A lost link ends reading, and Wait tells what happened and to which machine.
func TestLinkLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		lose   func(*sshserver.Server, *sshserver.Proxy)
		errors []string
	}{
		{"cut", func(_ *sshserver.Server, p *sshserver.Proxy) { p.Cut() }, []string{"the other side closed it"}},
		{"silent", func(_ *sshserver.Server, p *sshserver.Proxy) { p.Silence(true) }, []string{"no sign of life for 3s"}},
		{"sshd killed", func(s *sshserver.Server, _ *sshserver.Proxy) { s.Kill() }, []string{"the other side closed it"}},
		{"sshd stopped", func(s *sshserver.Server, _ *sshserver.Proxy) {
			for _, pid := range s.Children() {
				_ = syscall.Kill(pid, syscall.SIGSTOP)
			}
		}, []string{"no sign of life for 3s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, sshserver.Options{})
			l, p := proxied(t, s, "ServerAliveInterval 1", "ServerAliveCountMax 2")
			ch := start(t, l, "echo ready; cat")
			ready := make([]byte, 6)
			if _, err := io.ReadFull(ch, ready); err != nil {
				t.Fatal(err)
			}
			tt.lose(s, p)
			if n, err := ch.Read(ready); n != 0 || err == nil {
				t.Errorf("read %d bytes, %v", n, err)
			}
			wantError(t, ch.Wait(), append(tt.errors, "Communication error: connection to "+s.Account.Name+"@127.0.0.1 port ", " lost: ")...)
			if err := ch.Close(); err == nil {
				t.Error("Close tells nothing")
			}
			if _, err := ch.Write([]byte("x")); err == nil {
				t.Error("writing to a lost link works")
			}
		})
	}
}

// When a connection is lost, one that is being made beside it is not waited
// for.
func TestLostWhileConnecting(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{Config: []string{"MaxSessions 1"}})
	l, p := proxied(t, s, "ServerAliveInterval 1", "ServerAliveCountMax 2", "ConnectTimeout 3600")
	ch := start(t, l, "cat")
	p.Silence(true)
	_, err := l.Start(testContext(t), "cat")
	wantError(t, err, " lost: no sign of life for 3s")
	wantError(t, ch.Wait(), " lost: no sign of life for 3s")
}

// A link that was lost is made anew for the next command.
func TestReconnect(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{})
	l, p := proxied(t, s)
	for range 3 {
		if err := start(t, l, "true").Wait(); err != nil {
			t.Fatal(err)
		}
		p.Cut()
		for start(t, l, "true").Wait() != nil { // until it is noticed
		}
	}
}

// A slow link that is never silent is not lost, however far the answer to a
// sign of life is behind.
func TestBusyIsNotSilent(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{})
	l, _ := proxied(t, s, "ServerAliveInterval 1", "ServerAliveCountMax 1")
	ch := start(t, l, "for i in 1 2 3 4 5 6; do sleep 1; done; echo late")
	if b, err := io.ReadAll(ch); err != nil || string(b) != "late\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// Processes that are killed, commands that do not exist, paths that are wrong.
func TestFarEnds(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{})
	bothTransports(t, func(t *testing.T, options string) {
		l, _ := open(t, s, Options{SSHOptions: options})
		for command, want := range map[string]agent.ExitError{
			"kill -9 $$":              {Status: -1, Signal: "KILL"},
			"/no/such/bin/prog agent": {Status: 127},
			"/etc/passwd agent":       {Status: 126},
		} {
			var got *agent.ExitError
			if err := start(t, l, command).Wait(); !errors.As(err, &got) {
				t.Errorf("%s: %v", command, err)
				continue
			}
			if options != "" && want.Signal != "" {
				want = agent.ExitError{Status: 255} // all that ssh tells
			}
			if got.Signal != want.Signal || want.Signal == "" && got.Status != want.Status {
				t.Errorf("%s: %+v, want %+v", command, got, want)
			}
		}
	})
}

func TestNotReached(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mute := strconv.Itoa(l.Addr().(*net.TCPAddr).Port) // accepts by its backlog and says nothing
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := strconv.Itoa(gone.Addr().(*net.TCPAddr).Port)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		o      Options
		errors []string
	}{
		{Options{Host: "127.0.0.1", Port: closed}, []string{"Connection refused", "is sshd running there, on port " + closed}},
		{Options{Host: "127.0.0.1", Port: mute, SSHOptions: "-o ConnectTimeout=1"}, []string{"no answer within 1s"}},
		{Options{Host: "no-such-host.invalid"}, []string{"no-such-host.invalid", "check --remote-host"}},
	} {
		tt.o.Local, tt.o.User = home(t), "me"
		link, err := Open(tt.o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = link.Start(testContext(t), "true")
		wantError(t, err, append(tt.errors, "Failed to establish SSH connection: me@"+tt.o.Host)...)
		_ = link.Close()
	}
}

// While sshd drops connections (MaxStartups) the client tries again; it gives
// up with the reason.
func TestMaxStartups(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{Config: []string{"MaxStartups 1", "LoginGraceTime 120"}})
	var hold net.Conn
	for banner := make([]byte, 4); ; { // the harness' own connection may still count
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, banner); err == nil && string(banner) == "SSH-" {
			hold = conn
			break
		}
	}
	b := newBuiltin(mustOptions(t, s), target{})
	p, err := makePlan(b.opts)
	if err != nil {
		t.Fatal(err)
	}
	b.target = p.target
	if _, err := b.dial(testContext(t)); !errors.Is(err, errBusy) {
		t.Fatalf("dropped connection: %v", err)
	} else {
		wantError(t, err, "Failed to establish SSH connection: ", "dropped by the server before its version", "MaxStartups")
	}
	l, _ := open(t, s, Options{})
	done := make(chan error)
	go func() {
		ch, err := l.Start(testContext(t), "true")
		if err == nil {
			err = ch.Wait()
		}
		done <- err
	}()
	if err := hold.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("not tried again: %v", err)
	}
}

func mustOptions(t *testing.T, s *sshserver.Server) Options {
	t.Helper()
	o, err := Options{Host: "127.0.0.1", ConfigFile: s.ClientConfig()}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Without an ssh program the reason for wanting it is told.
func TestNoSystemSSH(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Open(Options{Host: "db1", SSHOptions: "-v", Local: home(t)})
	wantError(t, err, "there is no program ssh here", "-v of --ssh-options")
	if !errors.Is(err, exec.ErrNotFound) {
		t.Error("the cause is lost")
	}
}

// What is for the server connection does not reach ssh.
func TestCleanEnv(t *testing.T) {
	t.Parallel()
	got := cleanEnv([]string{"PATH=/bin", "PGPASSWORD=secret", "SSH_AUTH_SOCK=/s"})
	if strings.Join(got, " ") != "PATH=/bin SSH_AUTH_SOCK=/s" {
		t.Errorf("environment %q", got)
	}
}
