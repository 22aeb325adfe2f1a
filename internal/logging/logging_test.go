package logging

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/fsx"
)

// clock is a settable time in the zone of the golden logs.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newLogger(t *testing.T) (*Logger, *bytes.Buffer, *clock, *error) {
	t.Helper()
	var console bytes.Buffer
	var failure error
	c := &clock{time.Date(2026, 11, 22, 8, 52, 49, 0, time.UTC)}
	l := New(Options{
		Console: &console, FS: fsx.OS(), Now: c.now, Location: time.UTC, PID: 8461,
		OnFileError: func(err error) { failure = err },
	})
	t.Cleanup(func() { l.Close() })
	return l, &console, c, &failure
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestConsoleThreshold(t *testing.T) {
	all := []Level{Verbose, Log, Info, Warning, Error}
	for _, tt := range []struct {
		threshold Level
		want      string
	}{
		{Verbose, "VERBOSE LOG INFO WARNING ERROR"},
		{Log, "LOG INFO WARNING ERROR"},
		{Info, "INFO WARNING ERROR"},
		{Notice, "WARNING ERROR"},
		{Warning, "WARNING ERROR"},
		{Error, "ERROR"},
		{Off, ""},
	} {
		l, console, _, _ := newLogger(t)
		l.Configure(Config{Console: tt.threshold, File: Off})
		for _, level := range all {
			l.Log(level, "text")
		}
		got := strings.ReplaceAll(strings.TrimSpace(console.String()), ": text", "")
		if got = strings.ReplaceAll(got, "\n", " "); got != tt.want {
			t.Errorf("threshold %v: got %q, want %q", tt.threshold, got, tt.want)
		}
		l.Raw("raw")
		if !strings.HasSuffix(console.String(), "raw") {
			t.Errorf("threshold %v: raw text lost", tt.threshold)
		}
	}
}

func TestDefaultsBeforeConfigure(t *testing.T) {
	l, console, _, _ := newLogger(t)
	l.Log(Verbose, "no")
	l.Log(Log, "yes")
	if got := console.String(); got != "LOG: yes\n" {
		t.Errorf("got %q", got)
	}
}

func TestBytesPassUnchanged(t *testing.T) {
	l, console, _, _ := newLogger(t)
	dir := t.TempDir()
	l.Configure(Config{Console: Log, File: Verbose, Dir: dir})
	text := "path \"/x/\xff\xfe\t\x01\"\nsecond line\n"
	l.Log(Info, text)
	if got := console.String(); got != "INFO: "+text+"\n" {
		t.Errorf("console %q", got)
	}
	want := "2026-11-22 08:52:49 UTC [8461]: INFO: " + text + "\n"
	if got := read(t, filepath.Join(dir, "pg_probackup.log")); got != want {
		t.Errorf("file %q, want %q", got, want)
	}
}

func TestNothingLoggedLeavesNoFile(t *testing.T) {
	l, _, _, _ := newLogger(t)
	dir := filepath.Join(t.TempDir(), "log")
	l.Configure(Config{Console: Off, File: Warning, Dir: dir, ErrorFilename: "err.log"})
	l.Log(Info, "quiet")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("log directory was made: %v", err)
	}
}

func TestFilesAndModes(t *testing.T) {
	l, _, _, _ := newLogger(t)
	dir := filepath.Join(t.TempDir(), "log")
	l.Configure(Config{Console: Off, File: Info, Dir: dir, Filename: "x-%Y-100%.log", ErrorFilename: "err.log"})
	l.Log(Info, "one")
	l.Log(Error, "two")
	l.LogToFile(Info, "three")
	name := filepath.Join(dir, "x-2026-100%.log")
	if got := strings.Count(read(t, name), "\n"); got != 3 {
		t.Errorf("log has %d lines, want 3", got)
	}
	if got := read(t, filepath.Join(dir, "err.log")); !strings.HasSuffix(got, "ERROR: two\n") || strings.Contains(got, "one") {
		t.Errorf("error log %q", got)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("log directory mode %v", info.Mode())
	}
	if got := read(t, name+".rotation"); got != "1795337569" {
		t.Errorf("rotation file %q", got)
	}
}

func TestOnlyLastDirectoryIsMade(t *testing.T) {
	l, _, _, failure := newLogger(t)
	dir := filepath.Join(t.TempDir(), "a", "b")
	l.Configure(Config{Console: Off, File: Info, Dir: dir})
	l.Log(Info, "x")
	l.Log(Info, "y")
	want := "could not open log file \"" + dir + "/pg_probackup.log\": No such file or directory"
	if *failure == nil || (*failure).Error() != want {
		t.Errorf("got %v, want %s", *failure, want)
	}
}

func TestRotation(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cfg       Config
		control   string // "" for none
		wantEmpty bool   // the old content is gone
		warning   string
	}{
		{name: "no rotation", control: "1"},
		{name: "no control file, no age", control: ""},
		{name: "small enough", cfg: Config{RotationSize: 2}, control: "1"},
		{name: "too big", cfg: Config{RotationSize: 1}, control: "1", wantEmpty: true},
		{name: "young", cfg: Config{RotationAge: 60_000}, control: "1795337539"},
		{name: "old", cfg: Config{RotationAge: 60_000}, control: "1795337508", wantEmpty: true},
		{name: "from the future", cfg: Config{RotationAge: 60_000}, control: "9795337508"},
		{name: "missing", cfg: Config{RotationAge: 60_000}, warning: "WARNING: missing rotation file: \"LOG.rotation\"\n"},
		{name: "wrong", cfg: Config{RotationAge: 60_000}, control: "12x\n",
			warning: "WARNING: rotation file \"LOG.rotation\" has wrong creation timestamp \"12x\n\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, console, c, _ := newLogger(t)
			dir := t.TempDir()
			name := filepath.Join(dir, "pg_probackup.log")
			old := strings.Repeat("o", 1024)
			if err := os.WriteFile(name, []byte(old), 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.control != "" {
				if err := os.WriteFile(name+".rotation", []byte(tt.control), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tt.cfg.Console, tt.cfg.File, tt.cfg.Dir = Log, Info, dir
			l.Configure(tt.cfg)
			l.LogToFile(Info, "new")
			if got := !strings.HasPrefix(read(t, name), old); got != tt.wantEmpty {
				t.Errorf("truncated: %v, want %v", got, tt.wantEmpty)
			}
			if !strings.HasSuffix(read(t, name), "INFO: new\n") {
				t.Error("new line is missing")
			}
			if got := strings.ReplaceAll(console.String(), name, "LOG"); got != tt.warning {
				t.Errorf("console %q, want %q", got, tt.warning)
			}
			kept := tt.control != "" && !tt.wantEmpty && tt.warning == ""
			want := "1795337569"
			if kept {
				want = tt.control
			}
			if got := read(t, name+".rotation"); got != want {
				t.Errorf("control file %q, want %q (now %d)", got, want, c.t.Unix())
			}
		})
	}
}
