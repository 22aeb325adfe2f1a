package sshlink

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"gsprobackup/internal/usererr"
	"gsprobackup/test/sshserver"
)

// clientFor writes an ssh_config for the server in which options come first.
func clientFor(t *testing.T, s *sshserver.Server, options ...string) string {
	t.Helper()
	own, err := os.ReadFile(s.ClientConfig())
	if err != nil {
		t.Fatal(err)
	}
	return putFile(t, filepath.Join(t.TempDir(), "ssh_config"), strings.Join(options, "\n")+"\n"+string(own))
}

// run runs "true" with a configuration.
func run(t *testing.T, s *sshserver.Server, config string, local Local) (*recorder, error) {
	t.Helper()
	l, events := open(t, s, Options{ConfigFile: config, Local: local})
	if c := events.transport(t); !c.BuiltIn {
		t.Fatalf("not the built-in client: %+v", c)
	}
	ch, err := l.Start(testContext(t), "true")
	if err != nil {
		return events, err
	}
	return events, ch.Wait()
}

// wantError checks the text and the hint of an error.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	var ours *usererr.Error
	if !errors.As(err, &ours) || ours.ExitCode() != 1 {
		t.Fatalf("error %v (%T), want one for users", err, err)
	}
	for _, text := range texts {
		if !strings.Contains(ours.Text+"\n"+ours.Hint, text) {
			t.Errorf("error\n %s\n hint: %s\nlacks %q", ours.Text, ours.Hint, text)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{})
	dir := t.TempDir()
	stranger := filepath.Join(dir, "stranger")
	if _, err := sshserver.WriteKey(stranger); err != nil {
		t.Fatal(err)
	}
	secret := []byte("open sesame")
	raw, err := os.ReadFile(s.Key())
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", secret)
	if err != nil {
		t.Fatal(err)
	}
	locked := putFile(t, filepath.Join(dir, "locked"), string(pem.EncodeToMemory(block)))
	open := putFile(t, filepath.Join(dir, "open"), string(raw))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	socket := serveAgent(t, private)

	for _, tt := range []struct {
		name   string
		config []string
		keep   bool     // the server's own key remains configured
		errors []string // parts of the error, none for success
	}{
		{name: "key file", keep: true},
		{name: "agent", config: []string{"IdentityAgent " + socket, "IdentitiesOnly no"}},
		{name: "agent by variable", config: []string{"IdentityAgent $TEST_SOCKET", "IdentitiesOnly no"}},
		{name: "locked key in the agent", config: []string{"IdentityAgent " + socket, "IdentityFile " + locked}},
		{name: "public key of the agent's", config: []string{"IdentityAgent " + socket, "IdentityFile " + s.Key() + ".pub"}},
		{name: "after a key that is not accepted", config: []string{"IdentityFile " + stranger}, keep: true},
		{name: "agent with other keys only", config: []string{"IdentityAgent " + socket, "IdentityFile " + stranger},
			errors: []string{"Permission denied (publickey)", "the server accepts none of the keys ssh-ed25519 SHA256:", "ssh-copy-id"}},
		{name: "locked key", config: []string{"IdentityFile " + locked}, errors: []string{"no key to log in with", "locked: protected by a passphrase; add it to ssh-agent with ssh-add"}},
		{name: "key others may read", config: []string{"IdentityFile " + open}, errors: []string{"others may read it (mode 0644)"}},
		{name: "no such key", config: []string{"IdentityFile " + dir + "/nothing"}, errors: []string{"nothing: no such key"}},
		{name: "no agent", config: []string{"IdentityAgent " + dir + "/nobody", "IdentityFile " + dir + "/nothing"}, errors: []string{"ssh-agent: No such file or directory"}},
		{name: "algorithm not allowed", config: []string{"PubkeyAcceptedAlgorithms rsa-sha2-512"}, keep: true, errors: []string{"not among PubkeyAcceptedAlgorithms"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := clientFor(t, s, tt.config...)
			if !tt.keep {
				text, err := os.ReadFile(config)
				if err != nil {
					t.Fatal(err)
				}
				putFile(t, config, strings.Replace(string(text), "  IdentityFile "+s.Key()+"\n", "", 1))
			}
			local := home(t)
			local.Getenv = func(name string) string { return map[string]string{"TEST_SOCKET": socket}[name] }
			_, err := run(t, s, config, local)
			if len(tt.errors) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, append(tt.errors, "Failed to establish SSH connection: "+s.Account.Name+"@127.0.0.1")...)
			if strings.Contains(err.Error(), "PRIVATE KEY") || strings.Contains(err.Error(), string(secret)) {
				t.Error("a secret in the error")
			}
		})
	}
}

// serveAgent is an ssh-agent with one key.
func serveAgent(t *testing.T, key any) string {
	t.Helper()
	keys := sshagent.NewKeyring()
	if err := keys.Add(sshagent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close()
		_ = os.RemoveAll(dir)
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = sshagent.ServeAgent(keys, conn)
				_ = conn.Close()
			}()
		}
	}()
	return socket
}

// A user certificate beside its key is what lets in.
func TestCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := newSigner(t)
	s := startServer(t, sshserver.Options{Config: []string{"TrustedUserCAKeys " + shared(t, "ca.pub", ssh.MarshalAuthorizedKey(authority.PublicKey()))}})

	key := filepath.Join(dir, "id")
	public, err := sshserver.WriteKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := clientFor(t, s, "IdentityFile "+key)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	putFile(t, config, strings.Replace(string(text), "  IdentityFile "+s.Key()+"\n", "", 1))
	_, err = run(t, s, config, home(t))
	wantError(t, err, "accepts none of the keys")

	cert := &ssh.Certificate{Key: public, CertType: ssh.UserCert, ValidPrincipals: []string{s.Account.Name}, ValidBefore: ssh.CertTimeInfinity,
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}}}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	putFile(t, key+"-cert.pub", string(ssh.MarshalAuthorizedKey(cert)))
	if _, err := run(t, s, config, home(t)); err != nil {
		t.Error(err)
	}
}

// shared writes a file that the account of the server may read.
func shared(t *testing.T, name string, text []byte) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sshlink")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, name)
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, text, 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestHostKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{})
	name := knownhosts.Normalize(s.Address())
	own := string(ssh.MarshalAuthorizedKey(s.HostKey))
	other := string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey()))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := ssh.NewPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	otherKind := string(ssh.MarshalAuthorizedKey(rsaPublic))
	changed := []string{"the host key HAS CHANGED", ssh.FingerprintSHA256(s.HostKey), "ssh-keygen -R '" + name + "'"}
	unknown := []string{"the host key is unknown (ssh-ed25519 " + ssh.FingerprintSHA256(s.HostKey) + ")", "accept-new"}

	for _, tt := range []struct {
		name, known, strict string
		alias               string
		errors              []string
		learns, warns       bool
	}{
		{name: "known", known: name + " " + own},
		{name: "hashed", known: knownhosts.HashHostname(name) + " " + own},
		{name: "one of several", known: name + " " + other + name + " " + own},
		{name: "without its port", known: "127.0.0.1 " + own},
		{name: "wildcard", known: "127.0.0.* " + own},
		{name: "between broken lines", known: "garbage\n@strange x y\n" + name + " " + own},
		{name: "alias", known: "db-alias " + own, alias: "db-alias"},
		{name: "alias is what counts", known: name + " " + own, alias: "db-alias", errors: unknown},
		{name: "empty", errors: unknown},
		{name: "others only", known: "elsewhere " + own, errors: unknown},
		{name: "negated", known: "*,!127.0.0.1,!" + name + " " + own, errors: unknown},
		{name: "another kind of key", known: name + " " + otherKind, errors: unknown},
		{name: "an authority is no key", known: "@cert-authority " + name + " " + other, errors: unknown},
		{name: "changed", known: name + " " + other, errors: changed},
		{name: "changed, ask", known: name + " " + other, strict: "ask", errors: changed},
		{name: "changed, accept-new", known: name + " " + other, strict: "accept-new", errors: changed},
		{name: "changed, no", known: name + " " + other, strict: "no", warns: true},
		{name: "unknown, ask", strict: "ask", errors: unknown},
		{name: "unknown, accept-new", known: "elsewhere " + own[:len(own)-1], strict: "accept-new", learns: true},
		{name: "unknown, no", strict: "no", learns: true},
		{name: "revoked", known: name + " " + own + "@revoked * " + own, errors: []string{"the host key is revoked"}},
		{name: "revoked, no", known: "@revoked * " + own, strict: "no", errors: []string{"the host key is revoked"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := putFile(t, filepath.Join(t.TempDir(), "known"), tt.known)
			options := []string{"UserKnownHostsFile " + known}
			if tt.strict != "" {
				options = append(options, "StrictHostKeyChecking "+tt.strict)
			}
			if tt.alias != "" {
				options = append(options, "HostKeyAlias "+tt.alias)
			}
			config := clientFor(t, s, options...)
			events, err := run(t, s, config, home(t))
			if len(tt.errors) > 0 {
				wantError(t, err, tt.errors...)
			} else if err != nil {
				t.Fatal(err)
			}
			learned, warned := false, false
			for _, e := range events.all() {
				switch e.(type) {
				case HostKeyAdded:
					learned = true
				case HostKeyIgnored:
					warned = true
				}
			}
			if learned != tt.learns || warned != tt.warns {
				t.Errorf("learned %v, warned %v", learned, warned)
			}
			after, err := os.ReadFile(known)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.learns && string(after) != tt.known {
				t.Errorf("known hosts were changed to:\n%s", after)
			}
			if tt.learns { // and what was learned is known from now on
				strict := clientFor(t, s, "UserKnownHostsFile "+known, "StrictHostKeyChecking yes")
				if _, err := run(t, s, strict, home(t)); err != nil {
					t.Errorf("second time: %v\n%s", err, after)
				}
			}
		})
	}
}

// A learned name is hashed where HashKnownHosts says so, and ssh itself finds
// it.
func TestLearnHashed(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{})
	known := filepath.Join(t.TempDir(), "new", "known")
	config := clientFor(t, s, "UserKnownHostsFile "+known, "StrictHostKeyChecking accept-new", "HashKnownHosts yes")
	if _, err := run(t, s, config, home(t)); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(known); err != nil || !strings.HasPrefix(string(b), "|1|") {
		t.Errorf("known hosts: %q, %v", b, err)
	}
	l, _ := open(t, s, Options{ConfigFile: config, SSHOptions: systemOption + " -o StrictHostKeyChecking=yes"})
	if err := start(t, l, "true").Wait(); err != nil {
		t.Errorf("ssh does not know it: %v", err)
	}
}

// A host certificate counts when a known authority made it for that name.
func TestHostCertificates(t *testing.T) {
	t.Parallel()
	authority := newSigner(t)
	server := func(principal string) *sshserver.Server {
		path := filepath.Join(filepath.Dir(shared(t, "x", nil)), "host")
		public, err := sshserver.WriteKey(path)
		if err != nil {
			t.Fatal(err)
		}
		cert := &ssh.Certificate{Key: public, CertType: ssh.HostCert, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity}
		if err := cert.SignCert(rand.Reader, authority); err != nil {
			t.Fatal(err)
		}
		putFile(t, path+"-cert.pub", string(ssh.MarshalAuthorizedKey(cert)))
		s := startServer(t, sshserver.Options{Own: []string{path, path + "-cert.pub"}, Config: []string{"HostKey " + path, "HostCertificate " + path + "-cert.pub"}})
		return s
	}
	known := func(s *sshserver.Server) string {
		return putFile(t, filepath.Join(t.TempDir(), "known"), "@cert-authority 127.0.0.1,["+"127.0.0.1]:* "+string(ssh.MarshalAuthorizedKey(authority.PublicKey()))+
			"@cert-authority "+knownhosts.Normalize(s.Address())+" "+string(ssh.MarshalAuthorizedKey(authority.PublicKey())))
	}
	good := server("127.0.0.1")
	if _, err := run(t, good, clientFor(t, good, "UserKnownHostsFile "+known(good)), home(t)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"127.0.0.1", "127.0.0.*"} { // as ssh: without the port, too
		file := putFile(t, filepath.Join(t.TempDir(), "known"), "@cert-authority "+name+" "+string(ssh.MarshalAuthorizedKey(authority.PublicKey())))
		if _, err := run(t, good, clientFor(t, good, "UserKnownHostsFile "+file), home(t)); err != nil {
			t.Errorf("authority for %s: %v", name, err)
		}
	}
	other := server("elsewhere")
	_, err := run(t, other, clientFor(t, other, "UserKnownHostsFile "+known(other)), home(t))
	wantError(t, err, "127.0.0.1: ")
	_, err = run(t, good, clientFor(t, good, "UserKnownHostsFile "+known(good), "CASignatureAlgorithms rsa-sha2-512"), home(t))
	wantError(t, err, "CASignatureAlgorithms")
}

// Through one host to the next; each is checked by its own name.
func TestProxyJump(t *testing.T) {
	t.Parallel()
	gate, inner := startServer(t, sshserver.Options{}), startServer(t, sshserver.Options{})
	config := func(known ...string) string {
		return putFile(t, filepath.Join(t.TempDir(), "config"), strings.Join([]string{
			"Host inner", " HostName 127.0.0.1", " Port " + port(inner), " IdentityFile " + inner.Key(), " ProxyJump gate",
			"Host gate", " HostName 127.0.0.1", " Port " + port(gate), " IdentityFile " + gate.Key(),
			"Host *", " User " + inner.Account.Name, " UserKnownHostsFile " + strings.Join(known, " "), " StrictHostKeyChecking yes", " IdentitiesOnly yes", "IdentityAgent none"}, "\n"))
	}
	for _, options := range []string{"", systemOption} {
		l, _ := open(t, inner, Options{Host: "inner", ConfigFile: config(gate.KnownHosts(), inner.KnownHosts()), SSHOptions: options})
		if err := start(t, l, "true").Wait(); err != nil {
			t.Error(err)
		}
	}
	for _, known := range []*sshserver.Server{gate, inner} {
		l, _ := open(t, inner, Options{Host: "inner", ConfigFile: config(known.KnownHosts()), Local: home(t)})
		_, err := l.Start(testContext(t), "true")
		wantError(t, err, "the host key is unknown")
	}
}

func port(s *sshserver.Server) string {
	_, p, _ := net.SplitHostPort(s.Address())
	return p
}

// Where the server accepts no algorithm that the built-in client has, the
// system's ssh takes over.
func TestNothingInCommon(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{Config: []string{"MACs umac-128@openssh.com", "Ciphers aes256-ctr"}})
	l, events := open(t, s, Options{})
	if err := start(t, l, "true").Wait(); err != nil {
		t.Fatal(err)
	}
	var last TransportChosen
	for _, e := range events.all() {
		if c, ok := e.(TransportChosen); ok {
			last = c
		}
	}
	if last.BuiltIn || !strings.Contains(last.Reason, "in common") {
		t.Errorf("transport %+v", last)
	}
}
