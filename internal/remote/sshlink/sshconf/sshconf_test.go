package sshconf

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/fsx"
)

// cases are configuration files, with a host to ask for.
var cases = []struct{ name, host, text string }{
	{"first value counts", "db1", "Port 1022\nHost db1\n  Port 22\n  User early\nHost *\n User late"},
	{"no match", "db2", "Host db1\n  Port 77\nHost *\n  User all"},
	{"negation", "db1.example.com", "Host *.example.com !db1.example.com\n Port 77\nHost !db2 db*\n Port 78"},
	{"only a negation", "db1", "Host !other\n Port 77"},
	{"question mark", "db1", "Host db?\n Port 77\nHost d??\n User x"},
	{"equals signs", "db1", "Port=77\nUser = \"with\"\nHostName= h1"},
	{"case and tabs", "db1", "pOrT\t77  \n\tUSER\tme\t"},
	{"comments", "db1", "# Port 1\nPort 77 # the port\nUser a#b"},
	{"quotes", "db1", `IdentityFile "/a b/c"` + "\nIdentityFile '/d e'\nUser \"x\\\"y\""},
	{"identities add up", "db1", "IdentityFile /a\nHost db1\nIdentityFile /b\nHost other\nIdentityFile /c"},
	{"files with several names", "db1", "UserKnownHostsFile /a /b\nUserKnownHostsFile /c"},
	{"host name of a pattern", "db1", "Host db*\n HostName %h.example.com"},
	{"match host sees HostName", "db1", "Host db1\n HostName real\nMatch host real\n Port 77\nMatch originalhost db1\n User o"},
	{"match user", "db1", "User u1\nMatch user u1,u2 host db*\n Port 77\nMatch user u3\n Port 78"},
	{"match negated", "db1", "Match !host db1\n Port 77\nMatch !user nobodyatall\n User x"},
	{"match all", "db1", "Match all\n Port 77"},
	{"match localuser", "db1", "Match localuser nosuchuser\n Port 77"},
	{"jump before command", "db1", "ProxyJump j1\nProxyCommand nc %h %p"},
	{"command before jump", "db1", "ProxyCommand nc %h %p\nProxyJump j1"},
	{"ignored keyword", "db1", "IgnoreUnknown Fancy*,Other\nFancyOption yes\nPort 77"},
	{"ciphers", "db1", "Ciphers aes128-ctr,aes256-ctr\nMACs hmac-sha2-256"},
	{"yes and no", "db1", "StrictHostKeyChecking accept-new\nIdentitiesOnly yes\nTCPKeepAlive no\nHashKnownHosts yes"},
	{"old names", "db1", "PubkeyAcceptedKeyTypes rsa-sha2-256\nChallengeResponseAuthentication no"},
	{"windows line ends", "db1", "Port 77\r\nUser me\r\n"},
	{"include", "db1", "Include sub/*.conf\nPort 1\nUser last"},
	{"include for one host", "db2", "Host db1\n  Include sub/*.conf\nHost *\n  Port 1"},
}

// included are files that "include" cases find.
var included = map[string]string{
	"sub/10.conf": "Port 77\nHost other\n  User no",
	"sub/20.conf": "User from20\nPort 78",
}

// compared are the keywords to compare with ssh; its -G prints many others.
var compared = []string{"hostname", "port", "user", "identityfile", "userknownhostsfile", "proxyjump", "proxycommand", "ciphers", "macs",
	"stricthostkeychecking", "identitiesonly", "tcpkeepalive", "hashknownhosts", "kbdinteractiveauthentication", "pubkeyacceptedalgorithms"}

// The values found are those that ssh itself finds.
func TestAsSSH(t *testing.T) {
	t.Parallel()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) string {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			for name, text := range included {
				write(name, text)
			}
			// Relative names are looked for in ~/.ssh, which ssh takes from
			// the user data base.
			path := write("config", strings.ReplaceAll(tt.text, "Include sub", "Include "+dir+"/sub"))
			out, err := exec.Command("ssh", "-G", "-F", path, tt.host).Output()
			if err != nil {
				t.Fatalf("ssh -G: %v", err)
			}
			told := map[string][]string{}
			for _, line := range strings.Split(string(out), "\n") {
				keyword, value, _ := strings.Cut(line, " ")
				told[keyword] = append(told[keyword], value)
			}
			c := New(tt.host, "me")
			if err := c.Read(fsx.OS(), File{Path: path, MustExist: true, Base: dir, Home: dir}); err != nil {
				t.Fatal(err)
			}
			for _, keyword := range compared {
				want := told[keyword]
				var got []string
				for _, v := range c.All(keyword) {
					got = append(got, strings.Join(v.Args, " "))
				}
				if keyword == "hostname" {
					got = []string{c.hostName()}
				}
				if len(got) > 0 && !slices.Equal(got, want) {
					t.Errorf("%s: %q, ssh says %q", keyword, got, want)
				}
				if len(got) == 0 && mentions(tt.text, keyword) && !isDefault(keyword, want) {
					t.Errorf("%s: nothing, ssh says %q", keyword, want)
				}
			}
		})
	}
}

func mentions(text, keyword string) bool { return strings.Contains(strings.ToLower(text), keyword) }

// isDefault tells what ssh prints when nothing is set.
func isDefault(keyword string, value []string) bool {
	out, err := exec.Command("ssh", "-G", "-F", "none", "db1").Output()
	if err != nil {
		return false
	}
	var usual []string
	for _, line := range strings.Split(string(out), "\n") {
		if k, v, _ := strings.Cut(line, " "); k == keyword {
			usual = append(usual, v)
		}
	}
	return slices.Equal(usual, value)
}

func TestUnclear(t *testing.T) {
	t.Parallel()
	read := func(text string) *Config {
		t.Helper()
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := New("db1", "me")
		if err := c.Read(fsx.OS(), File{Path: path}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := read("Match exec true\n Port 77"); len(c.Unclear) != 1 || !strings.HasPrefix(c.Unclear[0], "Match exec") {
		t.Errorf("Match exec: %q", c.Unclear)
	}
	// What has failed already is clear.
	if c := read("Match host other exec true\n Port 77\nHost other\n Match final\n"); len(c.Unclear) != 1 || !strings.Contains(c.Unclear[0], "final") {
		t.Errorf("a criterion behind one that does not hold: %q", c.Unclear)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	c := New("db1", "me")
	if err := c.Read(fsx.OS(), File{Path: path}); err != nil {
		t.Errorf("a missing file: %v", err)
	}
	if err := c.Read(fsx.OS(), File{Path: path, MustExist: true}); err == nil {
		t.Error("a missing file that must exist is no error")
	}
	for text, want := range map[string]string{
		`User "open`:     "line 1: no terminating quote",
		"Include config": "too many nested Include",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.Read(fsx.OS(), File{Path: path, Base: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := c.Read(fsx.OS(), File{Path: path, Guarded: true}); err == nil || !strings.Contains(err.Error(), "bad owner or permissions") {
		t.Errorf("a file that others may write: %v", err)
	}
}

func TestSplitWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                             `[]`,
		` -c  aes128-ctr -F file `:     `["-c" "aes128-ctr" "-F" "file"]`,
		`-o 'ProxyCommand=nc %h "%p"'`: `["-o" "ProxyCommand=nc %h \"%p\""]`,
		`-o "User=a b" x\ y #z`:        `["-o" "User=a b" "x y" "#z"]`,
		`-i ""`:                        `["-i" ""]`,
	} {
		got, err := SplitWords(text)
		if err != nil || fmt.Sprintf("%q", got) != want {
			t.Errorf("%s: %q, %v, want %s", text, got, err, want)
		}
	}
	if _, err := SplitWords(`-o "x`); err == nil {
		t.Error("an open quote is no error")
	}
}

func FuzzSplitWords(f *testing.F) {
	f.Add(`-o "User=a b" x\ y`)
	f.Fuzz(func(t *testing.T, text string) {
		words, err := SplitWords(text)
		if err != nil {
			return
		}
		for _, w := range words {
			if len(w) > len(text) {
				t.Errorf("word %q of %q", w, text)
			}
		}
		if _, _, err := splitLine(text); err == nil {
			MatchList(text, words)
		}
	})
}
