package catalog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"

	"pgregory.net/rapid"
)

func wantText(t *testing.T, err error, text string) {
	t.Helper()
	var ue *usererr.Error
	if !errors.As(err, &ue) || ue.Text != text {
		t.Errorf("got error %v\nwant %s", err, text)
	}
}

func set(t *testing.T, c *Config, from Source, kv ...string) {
	t.Helper()
	for i := 0; i < len(kv); i += 2 {
		if err := c.Set(FindConfigOption(kv[i]), kv[i+1], from); err != nil {
			t.Fatal(err)
		}
	}
}

func writeTemp(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pg_probackup.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// setConfig91 is pg_probackup.conf of golden 01 after step 91: everything
// set-config was given in steps 52 to 90.
const setConfig91 = `# Backup instance information
pgdata = /home/omm/data
system-identifier = 215046882207064539
external-dirs = relative/path
# Connection parameters
pgdatabase = 'we ird'
pghost = 127.0.0.1
pgport = 15432
pguser = o'm
# Archive parameters
archive-timeout = 5h
# Logging parameters
log-level-console = INFO
log-level-file = LOG
log-filename = gsb-%Y.log
error-log-filename = gsb-err.log
log-directory = relative
log-rotation-size = 1MB
log-rotation-age = 90ms
# Retention parameters
retention-redundancy = 2
retention-window = 7
wal-depth = 3
# Compression parameters
compress-algorithm = zlib
compress-level = 9
# Remote access parameters
remote-proto = bogus
remote-host = 127.0.0.1
remote-port = 2222
remote-path = /opt/og/bin
remote-user = omm
`

func TestConfigFromCommandLineAsCWritesIt(t *testing.T) {
	c := NewConfig()
	c.SetSystemIdentifier(215046882207064539)
	set(t, c, FromCommandLine, "pgdata", "/home/omm/data", "external-dirs", "relative/path",
		"pgdatabase", "we ird", "pghost", "127.0.0.1", "pgport", "15432", "pguser", "o'm",
		"archive-timeout", "5h", "log-level-console", "info", "log-level-file", "log",
		"log-filename", "gsb-%Y.log", "error-log-filename", "gsb-err.log", "log-directory", "relative",
		"log-rotation-size", "1024", "log-rotation-age", "90",
		"retention-redundancy", "2", "retention-window", "7", "wal-depth", "3",
		"compress-algorithm", "z", "compress-level", "9", "remote-proto", "bogus",
		"remote-host", "127.0.0.1", "remote-port", "2222", "remote-path", "/opt/og/bin", "remote-user", "omm")
	var b bytes.Buffer
	if err := WriteConfig(&b, c); err != nil || b.String() != setConfig91 {
		t.Errorf("got %v\n%s", err, b.String())
	}
}

func TestConfigReadWrite(t *testing.T) {
	c := NewConfig()
	n, err := ReadConfig(fsx.OS(), writeTemp(t, setConfig91), c, nil)
	if err != nil || n != 25 {
		t.Fatal(n, err)
	}
	set(t, c, FromEnv, "pgdatabase", "postgres") // weaker than the file
	set(t, c, FromCommandLine, "wal-depth", "4")
	path := filepath.Join(t.TempDir(), "pg_probackup.conf")
	if err := SaveConfig(fsx.OS(), path, c); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(setConfig91, "wal-depth = 3", "wal-depth = 4", 1); string(got) != want {
		t.Errorf("got\n%s", got)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0)
	syscall.Umask(old)
	if fi.Mode().Perm() != os.FileMode(0o666&^old) {
		t.Errorf("mode %o with umask %o", fi.Mode().Perm(), old)
	}
	if left, _ := filepath.Glob(path + ".*"); left != nil {
		t.Errorf("left over: %v", left)
	}
}

// TestShowConfig is golden 01 step 48.
func TestShowConfig(t *testing.T) {
	c := NewConfig()
	set(t, c, FromFile, "pgdata", "/home/omm/data", "system-identifier", "215046882207064539")
	set(t, c, FromEnv, "pgdatabase", "omm")
	var b strings.Builder
	group := ""
	for _, s := range c.Settings() {
		if s.Group != group {
			group = s.Group
			b.WriteString("# " + group + "\n")
		}
		b.WriteString(s.Key + " = " + s.Value + "\n")
	}
	want := `# Backup instance information
pgdata = /home/omm/data
system-identifier = 215046882207064539
# Connection parameters
pgdatabase = omm
# Archive parameters
archive-timeout = 5min
# Logging parameters
log-level-console = LOG
log-level-file = OFF
log-filename = pg_probackup.log
log-rotation-size = 0TB
log-rotation-age = 0d
# Retention parameters
retention-redundancy = 0
retention-window = 0
wal-depth = 0
# Compression parameters
compress-algorithm = none
compress-level = 1
# Remote access parameters
remote-proto = ssh
# DSS connect parameters
enable-dss = false
instance-id = -1
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	b.Reset()
	if err := WriteConfig(&b, c); err != nil || strings.Contains(b.String(), "pgdatabase") {
		t.Errorf("a value from the environment was written: %v\n%s", err, b.String())
	}
}

func TestAddInstanceStoresNoRemoteOptions(t *testing.T) {
	c := NewConfig()
	set(t, c, FromCommandLine, "pgdata", "/d", "remote-host", "h", "ssh-options", "-q", "access-key", "secret")
	c.ForgetRemoteAndS3()
	var b strings.Builder
	if err := WriteConfig(&b, c); err != nil || b.String() != "# Backup instance information\npgdata = /d\n" {
		t.Errorf("got %v\n%s", err, b.String())
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"unknown-opt = 1":           `Invalid option "unknown-opt" in file "PATH"`,
		"garbage line":              `Syntax error in "garbage line"`,
		"retention-window = abc":    "Option --retention-window should be a 32bit unsigned integer: 'abc'",
		"pgport = ''":               "Option -p, --pgport should be a valid string: ''",
		"pgport =":                  "Option -p, --pgport should be a valid string: ''",
		"compress-algorithm = x":    `invalid compress algorithm value "x"`,
		"compress-algorithm = ''":   "compress algorithm is empty",
		"log-level-file = ' '":      "log-level is empty",
		"log-level-file = x":        `invalid log-level "x"`,
		"enable-dss = o":            "Option --enable-dss should be a boolean: 'o'",
		"instance-id = 99999999999": "Option --instance-id should be a 32bit signed integer: '99999999999'",
		"log-rotation-size = 1kb":   "Option --log-rotation-size should be a 64bit unsigned integer: '1kb'",
	} {
		path := writeTemp(t, text+"\n")
		_, err := ReadConfig(fsx.OS(), path, NewConfig(), nil)
		wantText(t, err, strings.Replace(want, "PATH", path, 1))
	}
	_, err := ReadConfig(fsx.OS(), "/nonexistent/c", NewConfig(), nil)
	wantText(t, err, `could not open file "/nonexistent/c": No such file or directory`)
}

func TestConfigKeysAreFoldedAndLastWins(t *testing.T) {
	c := NewConfig()
	path := writeTemp(t, "PG_Port = 1\npgport = 2 \nwhat = x\nRetention_Window=010")
	var unknown []UnknownOption
	_, err := ReadConfig(fsx.OS(), path, c, func(u UnknownOption) error { unknown = append(unknown, u); return nil })
	if err != nil || c.RetentionWindow != 8 || len(unknown) != 2 || unknown[1] != (UnknownOption{Key: "what", File: path}) {
		t.Errorf("%v %+v %v", err, c, unknown)
	}
	if c.PGPort != "2" {
		t.Errorf("pgport %q", c.PGPort)
	}
}

func TestSaveConfigRefusesWhatCannotBeReadBack(t *testing.T) {
	path := writeTemp(t, "pgdata = /old\n")
	c := NewConfig()
	set(t, c, FromCommandLine, "restore-command", strings.Repeat("x", 1100))
	var ve *keyfile.ValueError
	if err := SaveConfig(fsx.OS(), path, c); !errors.As(err, &ve) {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "pgdata = /old\n" {
		t.Errorf("the old file was lost: %q", got)
	}
}

func TestConfigRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	rapid.Check(t, func(t *rapid.T) {
		c := NewConfig()
		for _, o := range ConfigOptions() {
			if !rapid.Bool().Draw(t, o.Key) {
				continue
			}
			text := rapid.StringOfN(rapid.RuneFrom([]rune("a1 '\"#\t\\")), 1, 20, -1).Draw(t, "text")
			_ = c.Set(o, text, FromCommandLine) // numbers and words often do not fit
		}
		if err := SaveConfig(fsx.OS(), path, c); err != nil {
			t.Fatal(err)
		}
		back := NewConfig()
		if _, err := ReadConfig(fsx.OS(), path, back, nil); err != nil {
			t.Fatal(err)
		}
		want, got := c.Settings(), back.Settings()
		if len(want) != len(got) {
			t.Fatalf("wrote %v, read %v", want, got)
		}
		for i := range want {
			if want[i] != got[i] {
				t.Fatalf("wrote %v, read %v", want[i], got[i])
			}
		}
	})
}
