package faultfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx"
)

func newFS(t *testing.T) (*FS, string) {
	t.Helper()
	dir := t.TempDir()
	return New(fsx.OS()).Root(dir), dir
}

func writeTwice(first, second string) func(io.Writer) error {
	return func(w io.Writer) error {
		if _, err := io.WriteString(w, first); err != nil {
			return err
		}
		_, err := io.WriteString(w, second)
		return err
	}
}

// The log is the order of durable steps of WriteFileDurable.
func TestLogOfWriteFileDurable(t *testing.T) {
	f, dir := newFS(t)
	name := filepath.Join(dir, "sub", "control")
	if err := fsx.MkdirAllDurable(f, filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := fsx.WriteFileDurable(f, name, 0o640, writeTwice("some ", "text")); err != nil {
		t.Fatal(err)
	}
	const want = `mkdir 0700 sub
syncdir .
create sub/control.tmp
chmod 0640 sub/control.tmp
write sub/control.tmp 9
sync sub/control.tmp
close sub/control.tmp
rename sub/control.tmp -> sub/control
syncdir sub
`
	if got := f.Log(); got != want {
		t.Errorf("log\n%swant\n%s", got, want)
	}
}

func TestLogOfEverythingElse(t *testing.T) {
	f, dir := newFS(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	w, err := f.OpenFile(in("a"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	calls := []error{w.Truncate(100), fsx.PunchHole(w, 0, 10)}
	for _, s := range []string{"one", "two"} {
		_, err := w.Write([]byte(s))
		calls = append(calls, err)
	}
	_, err = w.WriteAt([]byte("three"), 50)
	calls = append(calls, err)
	_, err = w.ReadAt(make([]byte, 5), 50)
	calls = append(calls, err, w.StartWriteback(0, 0), w.Close(),
		f.Link(in("a"), in("b")), f.Symlink("a", in("l")), f.Chmod(in("a"), 0o400), f.Remove(in("b")))
	for i, err := range calls {
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if err := f.Remove(in("gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove: %v", err)
	}
	got := f.Log()
	// A temporary directory may be on a file system that punches no holes.
	got = strings.Replace(got, "punch a 0+10: operation not supported\n", "punch a 0+10\n", 1)
	const want = `create a
truncate a 100
punch a 0+10
write a 11
close a
link a -> b
symlink l -> a
chmod 0400 a
remove b
remove gone: no such file or directory
`
	if got != want {
		t.Errorf("log\n%swant\n%s", got, want)
	}
}

// Every step of WriteFileDurable that fails is reported, and leaves the old
// file and no temporary one, as long as the rename was not done.
func TestWriteFileDurableFailsAtEveryStep(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.EIO} {
		for n := 1; ; n++ {
			f, dir := newFS(t)
			name := filepath.Join(dir, "a")
			if err := fsx.WriteFileDurable(f, name, 0o600, writeTwice("old", "")); err != nil {
				t.Fatal(err)
			}
			f.Reset()
			f.FailAt(n, errno)
			err := fsx.WriteFileDurable(f, name, 0o600, writeTwice("new", ""))
			if len(f.Ops()) < n {
				if err != nil {
					t.Errorf("no fault, but %v", err)
				}
				break
			}
			if !errors.Is(err, errno) {
				t.Errorf("fault in step %d: %v\n%s", n, err, f.Log())
			}
			want := "old"
			if f.Ops()[n-1].Kind == SyncDir {
				want = "new"
			}
			if got, _ := os.ReadFile(name); string(got) != want {
				t.Errorf("fault in step %d: file holds %q\n%s", n, got, f.Log())
			}
			if _, err := os.Lstat(name + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("fault in step %d: temporary file: %v\n%s", n, err, f.Log())
			}
		}
	}
}

func TestFaults(t *testing.T) {
	f, dir := newFS(t)
	name := filepath.Join(dir, "a")
	w, err := f.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	isWrite := func(op Op) bool { return op.Kind == Write && op.Path == "a" }
	f.Inject(Fault{Match: isWrite, Nth: 2, Sticky: true, Err: unix.ENOSPC})
	var total int
	for i, wantErr := range []error{nil, unix.ENOSPC, unix.ENOSPC} {
		n, err := w.Write([]byte("12345678"))
		if !errors.Is(err, wantErr) {
			t.Errorf("write %d: %v, want %v", i, err, wantErr)
		}
		total += n
	}
	if fi, err := os.Stat(name); err != nil || fi.Size() != 12 || total != 12 {
		t.Errorf("%d bytes written, file %v, %v; want 8 and half of 8", total, fi.Size(), err)
	}
	if got, want := f.Log(), "create a\nwrite a 16: no space left on device\nwrite a 8: no space left on device\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}

	f.Reset()
	f.FailWhen(func(op Op) bool { return op.Kind == Read && op.Off == 4 }, unix.EIO)
	if _, err := w.ReadAt(make([]byte, 4), 0); err != nil {
		t.Errorf("read at 0: %v", err)
	}
	var pathErr *fs.PathError
	if _, err := w.ReadAt(make([]byte, 4), 4); !errors.Is(err, unix.EIO) || !errors.As(err, &pathErr) {
		t.Errorf("read at 4: %v", err)
	}
	if _, err := w.ReadAt(make([]byte, 4), 4); err != nil {
		t.Errorf("second read at 4: %v", err)
	}
	if ops := f.Ops(); len(ops) != 0 {
		t.Errorf("reads were logged: %v", ops)
	}
}

func TestHook(t *testing.T) {
	f, dir := newFS(t)
	name := filepath.Join(dir, "a")
	var seen []string
	stop := errors.New("stop")
	f.Before(func(op Op) error {
		// The step has not happened yet.
		_, err := os.Lstat(name)
		seen = append(seen, op.String()+" "+map[bool]string{true: "there", false: "absent"}[err == nil])
		if op.Kind == SyncDir {
			return stop
		}
		return nil
	})
	if err := fsx.WriteFile(f, name, fsx.WriteOptions{Perm: 0o600, TempSuffix: "_new"}, writeTwice("x", "")); !errors.Is(err, stop) {
		t.Errorf("WriteFile: %v", err)
	}
	want := []string{
		"create a_new absent", "chmod 0600 a_new absent", "write a_new 1 absent", "sync a_new absent",
		"close a_new absent", "rename a_new -> a absent", "syncdir . there",
	}
	if got, want := strings.Join(seen, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("hook saw\n%s\nwant\n%s", got, want)
	}
}
