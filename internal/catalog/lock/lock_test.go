package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// fakeProcesses: 1..9 live, 11..19 belong to another user, others are gone.
type fakeProcesses struct{ pid int }

func (p fakeProcesses) self() int   { return p.pid }
func (p fakeProcesses) parent() int { return 5 }
func (p fakeProcesses) signal0(pid int) error {
	switch {
	case pid < 10 || pid == p.pid:
		return nil
	case pid < 20:
		return syscall.EPERM
	}
	return syscall.ESRCH
}

type collect struct{ events []event.Event }

func (c *collect) Emit(e event.Event) { c.events = append(c.events, e) }

func newTestLocker(sink event.Sink) *Locker {
	l := New(fsx.OS(), sink)
	l.procs = fakeProcesses{pid: 4242}
	return l
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		return "none"
	}
	return string(data)
}

func TestAcquireRelease(t *testing.T) {
	dir := t.TempDir()
	l := newTestLocker(event.Discard)
	a, err := l.Acquire(context.Background(), dir, "X", Intent{})
	if err != nil || content(dir) != "4242\n" {
		t.Fatal(err, content(dir))
	}
	fi, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
	b, err := l.Acquire(context.Background(), dir, "X", Intent{Destructive: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range []*Lock{a, a, b} {
		if want := "4242\n"; content(dir) != want {
			t.Errorf("before release %d: %q", i, content(dir))
		}
		if err := k.Release(); err != nil {
			t.Error(err)
		}
	}
	if content(dir) != "none" {
		t.Error("the file is still there")
	}
}

func TestFoundFile(t *testing.T) {
	for _, c := range []struct {
		text string
		want event.Event // nil: taken over silently
		held bool
		err  string // with DIR for the directory
	}{
		{text: "4242\n"}, // ourselves
		{text: "5\n"},    // our parent
		{text: "777\n", want: ProcessGone{777, "X"}},
		{text: " 777777777 and more", want: ProcessGone{777777777, "X"}},
		{text: "7", want: ProcessAlive{7, "X"}, held: true},
		{text: "12\n", want: ProcessForeign{12}},
		{text: "x\n", err: `Bogus data in lock file "DIR/backup.pid": "x"`},
		{text: "-1\n", err: `Bogus data in lock file "DIR/backup.pid": "-1"`},
		{text: "99999999999\n", err: `Bogus data in lock file "DIR/backup.pid": "99999999999"`},
		{text: "", err: `Lock file "DIR/backup.pid" is empty`},
	} {
		dir := t.TempDir()
		put(t, dir, FileName, c.text)
		var got collect
		k, err := newTestLocker(&got).Acquire(context.Background(), dir, "X", Intent{})
		var ue *usererr.Error
		switch {
		case c.held:
			if !errors.Is(err, ErrHeld) {
				t.Errorf("%q: %v", c.text, err)
			}
		case c.err != "":
			if want := replaceDir(c.err, dir); !errors.As(err, &ue) || ue.Text != want {
				t.Errorf("%q: %v, want %s", c.text, err, want)
			}
		case err != nil || content(dir) != "4242\n":
			t.Errorf("%q: %v, file %q", c.text, err, content(dir))
		}
		if c.want == nil && len(got.events) != 0 || c.want != nil && (len(got.events) != 1 || got.events[0] != c.want) {
			t.Errorf("%q: events %v, want %v", c.text, got.events, c.want)
		}
		if err != nil && content(dir) != c.text {
			t.Errorf("%q: became %q", c.text, content(dir))
		}
		if k != nil {
			if err := k.Release(); err != nil || content(dir) != "none" {
				t.Errorf("%q: release: %v, %q", c.text, err, content(dir))
			}
		}
	}
}

// What a power failure has left of a lock file is in nobody's way for long.
func TestTornFile(t *testing.T) {
	for _, text := range []string{"", "7", "x\n", "-1\n", "\x00\x00\x00"} {
		for _, age := range []time.Duration{-time.Hour, tornAge} { // also after the clock was put back
			dir := t.TempDir()
			put(t, dir, FileName, text)
			when := time.Now().Add(-age)
			if err := os.Chtimes(filepath.Join(dir, FileName), when, when); err != nil {
				t.Fatal(err)
			}
			var got collect
			k, err := newTestLocker(&got).Acquire(context.Background(), dir, "X", Intent{})
			if err != nil || content(dir) != "4242\n" {
				t.Fatalf("%q: %v, file %q", text, err, content(dir))
			}
			want := Torn{filepath.Join(dir, FileName), strings.TrimSpace(text)}
			if len(got.events) != 1 || got.events[0] != want {
				t.Errorf("%q: events %v, want %v", text, got.events, want)
			}
			if err := k.Release(); err != nil {
				t.Error(err)
			}
		}
	}
}

// But not while its writer has the flock.
func TestTornFileInUse(t *testing.T) {
	dir := t.TempDir()
	k, err := newTestLocker(event.Discard).Acquire(context.Background(), dir, "X", Intent{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Release() }()
	for _, text := range []string{"", "x\n"} {
		put(t, dir, FileName, text)
		when := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, FileName), when, when); err != nil {
			t.Fatal(err)
		}
		if _, err := newTestLocker(event.Discard).Acquire(context.Background(), dir, "X", Intent{}); err == nil || content(dir) != text {
			t.Errorf("%q was taken over: %v", text, err)
		}
	}
}

func replaceDir(s, dir string) string {
	const mark = "DIR"
	for i := range s {
		if len(s) >= i+len(mark) && s[i:i+len(mark)] == mark {
			return s[:i] + dir + s[i+len(mark):]
		}
	}
	return s
}

// TestTwoLockersOfOneProcess: the PID in the file is our own, and only the
// flock tells that it is in use.
func TestTwoLockersOfOneProcess(t *testing.T) {
	dir := t.TempDir()
	k, err := newTestLocker(event.Discard).Acquire(context.Background(), dir, "X", Intent{})
	if err != nil {
		t.Fatal(err)
	}
	var got collect
	if _, err := newTestLocker(&got).Acquire(context.Background(), dir, "X", Intent{}); !errors.Is(err, ErrHeld) {
		t.Fatal(err)
	}
	if len(got.events) != 1 || got.events[0] != (ProcessAlive{4242, "X"}) {
		t.Error(got.events)
	}
	if err := k.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := newTestLocker(event.Discard).Acquire(context.Background(), dir, "X", Intent{}); err != nil {
		t.Error(err)
	}
}

// TestReleaseLeavesTheLockOfAnother: a C tool took our file for stale.
func TestReleaseLeavesTheLockOfAnother(t *testing.T) {
	dir := t.TempDir()
	k, err := newTestLocker(event.Discard).Acquire(context.Background(), dir, "X", Intent{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, FileName)); err != nil {
		t.Fatal(err)
	}
	put(t, dir, FileName, "7\n")
	if err := k.Release(); err != nil || content(dir) != "7\n" {
		t.Error(err, content(dir))
	}
}

func TestReleaseAfterDirectoryIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	k, err := newTestLocker(event.Discard).Acquire(context.Background(), dir, "X", Intent{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := k.Release(); err != nil {
		t.Error(err)
	}
}

func TestReaders(t *testing.T) {
	for _, c := range []struct {
		text        string
		destructive bool
		held        bool
		left        bool // backup_ro.pid still there
	}{
		{text: "777\n888\n", destructive: true},
		{text: "777\n7\n", destructive: true, held: true, left: true},
		{text: "4242\n", destructive: true},
		{text: "", destructive: true},
		{text: "7\n", destructive: false, left: true},
	} {
		dir := t.TempDir()
		put(t, dir, SharedFileName, c.text)
		var got collect
		_, err := newTestLocker(&got).Acquire(context.Background(), dir, "X", Intent{Destructive: c.destructive})
		if errors.Is(err, ErrHeld) != c.held || (err != nil) != c.held {
			t.Errorf("%+v: %v", c, err)
		}
		if c.held && (content(dir) != "none" || got.events[0] != (SharedProcessAlive{7, "X"})) {
			t.Errorf("%+v: file %q, events %v", c, content(dir), got.events)
		}
		if _, err := os.Stat(filepath.Join(dir, SharedFileName)); (err == nil) != c.left {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// errFS fails to open files for writing.
type errFS struct {
	fsx.FS
	err error
}

func (f errFS) OpenFile(name string, flag int, perm os.FileMode) (fsx.File, error) {
	return nil, &os.PathError{Op: "open", Path: name, Err: f.err}
}

func TestNoPlaceForTheFile(t *testing.T) {
	for _, c := range []struct {
		err    error
		intent Intent
		text   string // "" = granted
	}{
		{syscall.EROFS, Intent{}, ""},
		{syscall.EROFS, Intent{Destructive: true}, `Could not create lock file "/b/backup.pid": Read-only file system`},
		{syscall.ENOSPC, Intent{Destructive: true, WithoutSpace: true}, ""},
		{syscall.ENOSPC, Intent{Destructive: true}, `Could not create lock file "/b/backup.pid": No space left on device`},
		{syscall.ENOENT, Intent{}, `Could not create lock file "/b/backup.pid": No such file or directory`},
		{syscall.EACCES, Intent{}, `Could not create lock file "/b/backup.pid": Permission denied`},
	} {
		l := New(errFS{fsx.OS(), c.err}, event.Discard)
		k, err := l.Acquire(context.Background(), "/b", "X", c.intent)
		var ue *usererr.Error
		if c.text == "" {
			if err != nil || k.Release() != nil {
				t.Errorf("%v: %v", c, err)
			}
		} else if !errors.As(err, &ue) || ue.Text != c.text {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("interrupted")
	cancel(cause)
	if _, err := newTestLocker(event.Discard).Acquire(ctx, t.TempDir(), "X", Intent{}); !errors.Is(err, cause) {
		t.Error(err)
	}
}

func FuzzPIDFile(f *testing.F) {
	f.Add([]byte("123\n"))
	f.Add([]byte(" +5"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := atoi(string(data)); n < 0 || (n > 0 && len(strconv.Itoa(n)) > len(data)) {
			t.Fatal(n)
		}
	})
}
