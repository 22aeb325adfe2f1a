package sshlink

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote/sshlink/sshconf"
)

// home is a user's side without any file, for plans.
func home(t *testing.T) Local {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	return Local{User: "me", Home: dir, UID: os.Getuid(), HostName: "here.example.com",
		Getenv: func(string) string { return "" }, SystemConfig: filepath.Join(dir, "etc", "ssh_config")}
}

func putFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The choice of the transport. why is a part of the reason for the system's
// ssh, "" for the built-in client.
func TestPlan(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options string // --ssh-options
		config  string // ~/.ssh/config
		why     string
	}{
		{},
		{options: "-c aes128-gcm@openssh.com"},
		{options: "-o ProxyCommand='nc %h %p'", why: "proxycommand nc %h %p in --ssh-options"},
		{options: "-o ProxyCommand=none"},
		{options: "-o ProxyCommand='nc %h %p' -c aes128-gcm@openssh.com -F none", why: "proxycommand"},
		{options: "-c aes128-gcm@openssh.com -F none -o StrictHostKeyChecking=yes -4 -i /key -p 22 -l me"},
		{options: "-oPort=22 -o User=me -oHostKeyAlias=x -q -T -x -a -k"},
		{options: "-J jump1,jump2"},
		{options: "-J a -o ProxyJump=b"},
		{options: "-o ProxyJump=a -J b", why: "-J beside another"},
		{options: "-c aes128-ctr -c aes256-ctr", why: "-c beside another"},
		{options: "-c chacha20-poly1305@openssh.com,no-such@example.com"},
		{options: "-c aes256-quantum@example.com", why: "ciphers aes256-quantum@example.com"},
		{options: "-v", why: "-v of --ssh-options"},
		{options: "-C", why: "-C of --ssh-options"},
		{options: "-o Compression=yes", why: "compression yes"},
		{options: "-L 1:h:2", why: "-L of"},
		{options: "-D 1080", why: "-D of"},
		{options: "-o NoSuchKeyword=1", why: "nosuchkeyword 1 in --ssh-options"},
		{options: "-o IgnoreUnknown=NoSuch* -o NoSuchKeyword=1"},
		{options: "-o", why: "-o of --ssh-options has no argument"},
		{options: "elsewhere", why: `"elsewhere" of --ssh-options is no option`},
		{options: "-- x", why: "is no option"},
		{options: "-o PreferredAuthentications=password", why: "PreferredAuthentications password"},
		{options: "-o PreferredAuthentications=gssapi-with-mic,publickey"},
		{options: "-o PubkeyAuthentication=no", why: "pubkeyauthentication no"},
		{options: "-o StrictHostKeyChecking=perhaps", why: "stricthostkeychecking perhaps"},
		{options: "-o IdentityFile=~other/key", why: "the token ~other/key"},
		{options: "-o IdentityFile=%Z", why: "the token %Z"},
		{options: "-o IdentityFile=%d/.ssh/%u_%r_%h_%p"},

		{config: "Host *\n  ControlMaster auto\n  ForwardAgent yes\n  SendEnv LANG LC_*\n  HashKnownHosts yes\n  GSSAPIAuthentication yes\n  LogLevel DEBUG\n  Compression yes\n"},
		{config: "ControlPath ~/.ssh/%C", why: "controlpath ~/.ssh/%C in"},
		{config: "Host other\n  ProxyCommand nc %h %p\n"},
		{config: "Host db*\n  ProxyCommand nc %h %p\n", why: "proxycommand nc %h %p in"},
		{config: "Host jump1\n  ProxyCommand nc %h %p\nHost db1\n  ProxyJump jump1\n", why: "proxycommand nc %h %p in"},
		{config: "Match exec true\n  User x\n", why: "Match exec in"},
		{config: "Match host elsewhere exec true\n  User x\n"},
		{config: "Match host db1\n  ProxyCommand nc %h %p\n", why: "proxycommand"},
		{config: "CanonicalizeHostname yes", why: "canonicalizehostname yes"},
		{config: "LocalForward 1 h:2", why: "localforward 1 h:2"},
		{config: "SetEnv A=b", why: "setenv A=b"},
		{config: "PKCS11Provider /lib.so", why: "pkcs11provider /lib.so"},
		{config: "Ciphers aes256-gcm@openssh.com,chacha20-poly1305@openssh.com\nMACs hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com\n" +
			"KexAlgorithms curve25519-sha256,gss-curve25519-sha256-\nPubkeyAcceptedAlgorithms ssh-ed25519,rsa-sha2-512\nCASignatureAlgorithms ssh-ed25519\nRequiredRSASize 2048\n"},
	} {
		t.Run(tt.options+"|"+tt.config, func(t *testing.T) {
			o := Options{Host: "db1", SSHOptions: tt.options, Local: home(t), FS: fsx.OS(), Events: event.Discard}
			putFile(t, filepath.Join(o.Local.Home, ".ssh", "config"), tt.config)
			p, err := makePlan(o)
			if err != nil {
				t.Fatal(err)
			}
			if tt.why == "" && p.reason != "" || !strings.Contains(p.reason, tt.why) {
				t.Errorf("reason %q, want %q", p.reason, tt.why)
			}
		})
	}
}

func TestPlanWithTicket(t *testing.T) {
	t.Parallel()
	o := Options{Host: "db1", SSHOptions: "-o GSSAPIAuthentication=yes", Local: home(t), FS: fsx.OS()}
	o.Local.Getenv = func(name string) string { return map[string]string{"KRB5CCNAME": "KEYRING:x"}[name] }
	if p, err := makePlan(o); err != nil || !strings.Contains(p.reason, "Kerberos") {
		t.Errorf("reason %q, %v", p.reason, err)
	}
}

// What a plan is made of comes from the command line first, then the user's
// file, then the system's.
func TestTarget(t *testing.T) {
	t.Parallel()
	o := Options{Host: "remote@db1", Port: "2222", FS: fsx.OS(), Local: home(t),
		SSHOptions: "-o ConnectTimeout=1m30 -i %d/k1 -o Ciphers=+aes128-cbc"}
	putFile(t, filepath.Join(o.Local.Home, ".ssh", "config"), `
Host db1
  HostName %h.example.com
  Port 22
  User later
  IdentityFile ~/k2
  HostKeyAlias known
  ProxyJump gate@j1:2022,j2
  ServerAliveInterval 30
  StrictHostKeyChecking accept-new
Host j2
  User j2user
  HostName 10.0.0.2
`)
	putFile(t, o.Local.SystemConfig, "HostKeyAlias no\nConnectionAttempts 3\nServerAliveInterval 99\nHost j2\n Port 7\n")
	p, err := makePlan(o)
	if err != nil || p.reason != "" {
		t.Fatal(p.reason, err)
	}
	got := p.target
	if got.hostName != "db1.example.com" || got.port != "2222" || got.user != "remote" || got.knownAs != "known:22" || got.strict != "accept-new" {
		t.Errorf("target %+v", got)
	}
	if got.timeout != 90*time.Second || got.aliveEvery != 30*time.Second || got.attempts != 3 {
		t.Errorf("times: %v %v %d", got.timeout, got.aliveEvery, got.attempts)
	}
	if want := []string{o.Local.Home + "/k1", o.Local.Home + "/k2"}; !slices.Equal(got.identities, want) {
		t.Errorf("identities %q, want %q", got.identities, want)
	}
	if !slices.Contains(got.ciphers, "aes128-cbc") || !slices.Contains(got.ciphers, "aes128-gcm@openssh.com") {
		t.Errorf("ciphers %q", got.ciphers)
	}
	var hops []string
	for _, j := range got.jumps {
		hops = append(hops, j.user+"@"+j.hostName+":"+j.port)
	}
	if want := []string{"gate@j1:2022", "j2user@10.0.0.2:7"}; !slices.Equal(hops, want) {
		t.Errorf("hops %q, want %q", hops, want)
	}
}

// Values that ssh or a shell could misread are refused before anything starts.
func TestRefusedValues(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{Host: "-oProxyCommand=evil"}, {Host: "h;evil"}, {Host: "h`evil`"}, {Host: "$(evil)"}, {Host: "a b"}, {Host: "h\nx"}, {Host: "u@"}, {Host: ""},
		{Host: "-l@h"}, {Host: "h", User: "-oX"}, {Host: "h", User: "u;x"}, {Host: "h", Port: "22x"}, {Host: "h", Port: "0"}, {Host: "h", Port: "65536"},
		{Host: "h", Port: "-p"}, {Host: "h", ConfigFile: "-oX"}, {Host: "h", SSHOptions: `-o "x`}, {Host: "h", SSHOptions: "-J 'a;b'"},
		{Host: "h", SSHOptions: "-F /no/such/file"},
	} {
		o.Local, o.FS = home(t), fsx.OS()
		if p, err := makePlan(o); err == nil {
			t.Errorf("%+v: no error, %+v", o, p)
		}
	}
	// An endless chain of jumps.
	o := Options{Host: "a", Local: home(t), FS: fsx.OS()}
	putFile(t, filepath.Join(o.Local.Home, ".ssh", "config"), "ProxyJump b\n")
	if _, err := makePlan(o); err == nil || !strings.Contains(err.Error(), "more than 8 hosts") {
		t.Errorf("jumps in a circle: %v", err)
	}
}

// The command line of the system's ssh is the C tool's (spec/server.md §5.2).
func TestArgv(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Host: "h"}, "ssh|-o|PasswordAuthentication=no|-o|Compression=no|-o|ControlMaster=no|-o|LogLevel=error|h|/bin/gs_probackup agent"},
		{Options{Host: "h", Port: "22", User: "omm", ConfigFile: "cfg", SSHOptions: "-c x  -o 'A=b c'"},
			"ssh|-p|22|-l|omm|-F|cfg|-c|x|-o|A=b c|-o|PasswordAuthentication=no|-o|Compression=no|-o|ControlMaster=no|-o|LogLevel=error|h|/bin/gs_probackup agent"},
	} {
		words, err := sshconf.SplitWords(tt.o.SSHOptions)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(tt.o.argv(words, "/bin/gs_probackup agent"), "|"); got != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
	}
}

func TestChooseAlgorithms(t *testing.T) {
	t.Parallel()
	usual, able := []string{"a1", "a2", "b1"}, []string{"a1", "a2", "b1", "old"}
	for spec, want := range map[string][]string{
		"a2,a1": {"a2", "a1"}, "old": {"old"}, "zzz": nil, "zzz,b1": {"b1"}, "a*": {"a1", "a2"},
		"+old": {"a1", "a2", "b1", "old"}, "+a1": {"a1", "a2", "b1"}, "-a*": {"b1"}, "^b1,old": {"b1", "old", "a1", "a2"},
	} {
		if got := chooseAlgorithms(spec, usual, able); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s: %q, want %q", spec, got, want)
		}
	}
}
