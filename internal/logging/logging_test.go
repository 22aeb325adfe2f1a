package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/faultfs"
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
		l.Hint("try this")
		if strings.HasSuffix(console.String(), "HINT: try this\n") != (tt.want != "") {
			t.Errorf("threshold %v: a hint gives %q", tt.threshold, console.String())
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

// Two processes that find the same log too old truncate it once, and no line
// of either is lost or cut.
func TestTwoProcessesRotateOnce(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "pg_probackup.log")
	for file, text := range map[string]string{name: "old\n", name + ".rotation": "1"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const loggers, lines = 8, 50
	var group sync.WaitGroup
	for i := range loggers {
		l, _, _, failure := newLogger(t)
		l.Configure(Config{Console: Off, File: Info, Dir: dir, RotationAge: 60_000})
		group.Go(func() {
			for n := range lines {
				l.Log(Info, fmt.Sprintf("%d %d %s", i, n, strings.Repeat("x", 200)))
			}
			if *failure != nil {
				t.Error(*failure)
			}
		})
	}
	group.Wait()
	text := read(t, name)
	if got := strings.Count(text, "\n"); got != loggers*lines || strings.Contains(text, "old") {
		t.Errorf("%d lines, want %d", got, loggers*lines)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "2026-11-22 08:52:49 UTC [8461]: INFO: ") || !strings.HasSuffix(line, "xx\n") {
			t.Fatalf("line %q", line)
		}
	}
}

// A full disk under the log costs lines, not the run.
func TestFullDisk(t *testing.T) {
	l, console, _, failure := newLogger(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "pg_probackup.log")
	if err := os.Symlink("/dev/full", name); err != nil {
		t.Fatal(err)
	}
	l.Configure(Config{Console: Info, File: Info, Dir: dir})
	l.Log(Info, "one")
	l.Log(Info, "two")
	want := "INFO: one\nWARNING: could not write log file \"" + name + "\": No space left on device\nINFO: two\n"
	if got := console.String(); got != want || *failure != nil {
		t.Errorf("console %q, want %q; %v", got, want, *failure)
	}
}

// When there is room again, the log goes on with a line of its own.
func TestRoomAgain(t *testing.T) {
	l, _, _, _ := newLogger(t)
	dir := t.TempDir()
	disk := faultfs.New(fsx.OS())
	l.opts.FS = disk
	l.Configure(Config{Console: Off, File: Info, Dir: dir})
	l.Log(Info, "one")
	disk.Inject(faultfs.Fault{Match: func(op faultfs.Op) bool { return op.Kind == faultfs.Write }, Err: unix.ENOSPC})
	l.Log(Info, "two")
	l.Log(Info, "three")
	got := read(t, filepath.Join(dir, "pg_probackup.log"))
	const line = "2026-11-22 08:52:49 UTC [8461]: INFO: "
	if !strings.HasPrefix(got, line+"one\n") || !strings.HasSuffix(got, "\n"+line+"three\n") || strings.Contains(got, "two") {
		t.Errorf("got %q", got)
	}
}

func TestRotationThroughALink(t *testing.T) {
	l, _, _, failure := newLogger(t)
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere.log")
	if err := os.WriteFile(other, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "pg_probackup.log")
	if err := os.Symlink(other, name); err != nil {
		t.Fatal(err)
	}
	l.Configure(Config{Console: Off, File: Info, Dir: dir, RotationSize: 4})
	l.Log(Info, "new")
	fi, err := os.Lstat(name)
	if err != nil || fi.Mode()&os.ModeSymlink == 0 || *failure != nil {
		t.Errorf("the link is %v, %v, %v", fi.Mode(), err, *failure)
	}
	if got := read(t, other); got != "2026-11-22 08:52:49 UTC [8461]: INFO: new\n" {
		t.Errorf("got %q", got)
	}
}

func TestUnwritable(t *testing.T) {
	for _, tt := range []struct {
		name, on, want string
		err            error
	}{
		{"log", "pg_probackup.log", "could not open log file \"LOG\": Permission denied", unix.EACCES},
		{"control file", "pg_probackup.log.rotation", "cannot open rotation file \"LOG.rotation\": Read-only file system", unix.EROFS},
	} {
		l, console, _, failure := newLogger(t)
		dir := t.TempDir()
		disk := faultfs.New(fsx.OS())
		disk.Inject(faultfs.Fault{Match: func(op faultfs.Op) bool {
			return op.Kind == faultfs.Create && filepath.Base(op.Path) == tt.on
		}, Err: tt.err})
		l.opts.FS = disk
		l.Configure(Config{Console: Info, File: Info, Dir: dir})
		l.Log(Info, "one")
		want := strings.ReplaceAll(tt.want, "LOG", filepath.Join(dir, "pg_probackup.log"))
		if *failure == nil || (*failure).Error() != want || console.String() != "INFO: one\n" {
			t.Errorf("%s: %v, want %s; console %q", tt.name, *failure, want, console.String())
		}
	}
}

// The conversions of the C locale, and what is none.
func TestFileNames(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.FixedZone("CST", 8*3600))
	for _, tt := range []struct{ pattern, want string }{
		{"pg_probackup-%Y-%m-%d_%H%M%S.log", "pg_probackup-2026-01-02_030405.log"},
		{"%a %A %b %B %h %c", "Fri Friday Jan January Jan Fri Jan  2 03:04:05 2026"},
		{"%C %y %g %G %D %F %x", "20 26 26 2026 01/02/26 2026-01-02 01/02/26"},
		{"%e|%k|%l|%I|%j|%u|%w|%U|%W|%V", " 2| 3| 3|03|002|5|5|00|00|01"},
		{"%p %P %r %R %T %X %s %z %Z", "AM am 03:04:05 AM 03:04 03:04:05 03:04:05 1767294245 +0800 CST"},
		{"%Ey %Od %n%t%%", "26 02 \n\t%"},
		{"100%", "100%"},
		{"%+ %L %N %Q %f %v %J %i", "%+ %L %N %Q %f %v %J %i"},
		{"%%f", "%f"},
	} {
		if got := expand(tt.pattern, now); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.pattern, got, tt.want)
		}
	}
}

func TestJSONLines(t *testing.T) {
	l, console, _, _ := newLogger(t)
	dir := t.TempDir()
	l.SetFormat(JSON)
	l.Configure(Config{Console: Info, File: Warning, Dir: dir})
	l.Log(Log, "not shown")
	l.Log(Info, "a \"quoted\" <path>\nand\xffmore")
	l.Log(Warning, "warned")
	l.Raw(strings.Repeat(" ", 100) + "\r[2026-11-22 08:52:49]: keepalive message is received\n")
	l.Hint("try this")
	type record struct {
		Time           time.Time
		Level, Message string
		PID            int
	}
	want := []record{
		{Level: "INFO", Message: "a \"quoted\" <path>\nand\ufffdmore"},
		{Level: "WARNING", Message: "warned"},
		{Level: "LOG", Message: "[2026-11-22 08:52:49]: keepalive message is received"},
		{Level: "HINT", Message: "try this"},
	}
	check := func(text string, want []record) {
		t.Helper()
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != len(want) {
			t.Fatalf("got %q", text)
		}
		for i, line := range lines {
			var got record
			d := json.NewDecoder(strings.NewReader(line))
			d.DisallowUnknownFields()
			if err := d.Decode(&got); err != nil || !got.Time.Equal(time.Date(2026, 11, 22, 8, 52, 49, 0, time.UTC)) || got.PID != 8461 {
				t.Errorf("line %q: %v", line, err)
			}
			if got.Level != want[i].Level || got.Message != want[i].Message {
				t.Errorf("got %q, want %+v", line, want[i])
			}
		}
	}
	check(console.String(), want)
	check(read(t, filepath.Join(dir, "pg_probackup.log")), want[1:2])
}
