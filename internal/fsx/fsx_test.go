package fsx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteFileSetsExactMode(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	for _, perm := range []fs.FileMode{0o666, 0o400, 0o600} { // umask does not matter, nor do old modes
		for _, noSync := range []bool{false, true} {
			err := fsx.WriteFile(fsx.OS(), name, fsx.WriteOptions{Perm: perm, NoSync: noSync}, text("x"))
			if err != nil {
				t.Fatal(err)
			}
			fi, err := os.Stat(name)
			if err != nil || fi.Mode() != perm {
				t.Errorf("mode %v, %v; want %v", fi.Mode(), err, perm)
			}
		}
	}
}

func TestWriteFileNoSyncSyncsNothing(t *testing.T) {
	f := faultfs.New(crashfs.New())
	if err := fsx.WriteFile(f, "/a", fsx.WriteOptions{Perm: 0o600, NoSync: true}, text("x")); err != nil {
		t.Fatal(err)
	}
	const want = "create /a.tmp\nchmod 0600 /a.tmp\nwrite /a.tmp 1\nclose /a.tmp\nrename /a.tmp -> /a\n"
	if got := f.Log(); got != want {
		t.Errorf("log\n%swant\n%s", got, want)
	}
}

func TestWriteFileCallbackFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	if err := fsx.WriteFileDurable(fsx.OS(), name, 0o600, text("old")); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	err := fsx.WriteFileDurable(fsx.OS(), name, 0o600, func(w io.Writer) error {
		w.Write([]byte("half"))
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("%v, want %v", err, stop)
	}
	if got := mustRead(t, name); got != "old" {
		t.Errorf("file holds %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// A left-over temporary name must not lead the writer to another file.
func TestWriteFileReplacesLeftOver(t *testing.T) {
	dir := t.TempDir()
	name, victim := filepath.Join(dir, "a"), filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, plant := range map[string]func(tmp string) error{
		"symbolic link": func(tmp string) error { return os.Symlink(victim, tmp) },
		"hard link":     func(tmp string) error { return os.Link(victim, tmp) },
		"read-only":     func(tmp string) error { return os.WriteFile(tmp, []byte("longer than the new one"), 0o400) },
	} {
		if err := plant(name + ".tmp"); err != nil {
			t.Fatal(err)
		}
		if err := fsx.WriteFileDurable(fsx.OS(), name, 0o600, text("new")); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := mustRead(t, name); got != "new" {
			t.Errorf("%s: file holds %q", what, got)
		}
		if got := mustRead(t, victim); got != "precious" {
			t.Fatalf("%s: victim holds %q", what, got)
		}
	}
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(name, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, max := range []int64{5, 6, 1 << 40} {
		if got, err := fsx.ReadFile(fsx.OS(), name, max); err != nil || string(got) != "12345" {
			t.Errorf("max %d: %q, %v", max, got, err)
		}
	}
	for _, max := range []int64{0, 4} {
		if got, err := fsx.ReadFile(fsx.OS(), name, max); !errors.Is(err, fsx.ErrTooLarge) {
			t.Errorf("max %d: %q, %v, want ErrTooLarge", max, got, err)
		}
	}
	// A file that tells size 0 and holds more.
	if got, err := fsx.ReadFile(fsx.OS(), "/proc/self/status", 1<<20); err != nil || len(got) == 0 {
		t.Errorf("proc file: %d bytes, %v", len(got), err)
	}
	if _, err := fsx.ReadFile(fsx.OS(), "/proc/self/status", 10); !errors.Is(err, fsx.ErrTooLarge) {
		t.Errorf("proc file over the limit: %v", err)
	}
	if _, err := fsx.ReadFile(fsx.OS(), filepath.Dir(name), 10000); !errors.Is(err, unix.EISDIR) {
		t.Errorf("directory: %v", err)
	}
	f := faultfs.New(fsx.OS())
	f.FailWhen(func(op faultfs.Op) bool { return op.Kind == faultfs.Read }, unix.EIO)
	if _, err := fsx.ReadFile(f, name, 100); !errors.Is(err, unix.EIO) {
		t.Errorf("read error: %v", err)
	}
}

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	f := faultfs.New(fsx.OS()).Root(root)
	in := func(name string) string { return filepath.Join(root, name) }
	if err := fsx.MkdirAllDurable(f, in("a/b/"), 0o700); err != nil {
		t.Fatal(err)
	}
	const want = `mkdir 0700 a/b: no such file or directory
mkdir 0700 a
syncdir .
mkdir 0700 a/b
syncdir a
`
	if got := f.Log(); got != want {
		t.Errorf("log\n%swant\n%s", got, want)
	}
	if err := os.Symlink("a/b", in("l")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{in("a"), in("a/b"), in("l"), in("l/c"), root, "/", "."} {
		if err := fsx.MkdirAll(fsx.OS(), dir, 0o700); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range []string{in("file"), in("file/c")} {
		if err := fsx.MkdirAll(fsx.OS(), dir, 0o700); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s: %v, want ENOTDIR", dir, err)
		}
	}
}

func plantTree(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"ID", "ID/database", "ID/database/base", "other"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"ID/backup.control", "ID/backup.pid", "ID/backup_content.control", "ID/page_header_map",
		"ID/database/base/1", "ID/database/a", "other/keep",
	} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../other", filepath.Join(root, "ID/database/link")); err != nil {
		t.Fatal(err)
	}
}

func TestRemoveTreeOrder(t *testing.T) {
	root := t.TempDir()
	plantTree(t, root)
	f := faultfs.New(fsx.OS()).Root(root)
	if err := fsx.RemoveTree(context.Background(), f, filepath.Join(root, "ID")); err != nil {
		t.Fatal(err)
	}
	const want = `remove ID/page_header_map
remove ID/database/link
remove ID/database/base/1
remove ID/database/base
remove ID/database/a
remove ID/database
remove ID/backup_content.control
remove ID/backup.pid
remove ID/backup.control
remove ID
`
	if got := f.Log(); got != want {
		t.Errorf("log\n%swant\n%s", got, want)
	}
	if _, err := os.Stat(filepath.Join(root, "other/keep")); err != nil {
		t.Errorf("behind the link: %v", err)
	}
	if err := fsx.RemoveTree(context.Background(), f, filepath.Join(root, "ID")); err != nil {
		t.Errorf("missing tree: %v", err)
	}
	if err := fsx.RemoveTree(context.Background(), f, filepath.Join(root, "other/keep")); err != nil {
		t.Errorf("a file: %v", err)
	}
}

func TestRemoveTreeStops(t *testing.T) {
	root := t.TempDir()
	plantTree(t, root)
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	f := faultfs.New(fsx.OS()).Root(root)
	f.Before(func(op faultfs.Op) error {
		if op.Path == "ID/database" {
			cancel(stop)
		}
		return nil
	})
	if err := fsx.RemoveTree(ctx, f, filepath.Join(root, "ID")); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "ID/backup.control")); err != nil {
		t.Errorf("control file: %v", err)
	}

	f = faultfs.New(fsx.OS()).Root(root)
	f.FailAt(1, unix.EIO)
	if err := fsx.RemoveTree(context.Background(), f, filepath.Join(root, "ID")); !errors.Is(err, unix.EIO) {
		t.Errorf("failing remove: %v", err)
	}
	if len(f.Ops()) != 1 {
		t.Errorf("went on after an error:\n%s", f.Log())
	}
}

func TestOS(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	sys := fsx.OS()
	f, err := sys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte("x"), 10000)); err != nil {
		t.Fatal(err)
	}
	if err := f.StartWriteback(0, 0); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("StartWriteback: %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
	if err := sys.SyncDir(dir); err != nil {
		t.Errorf("SyncDir: %v", err)
	}
	if err := sys.SyncDir(name); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("SyncDir of a file: %v", err)
	}
	if err := sys.SyncDir(filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SyncDir of nothing: %v", err)
	}
	space, err := sys.Statfs(dir)
	if err != nil || space.BlockSize <= 0 || space.Blocks <= 0 || space.Avail() > space.Blocks*space.BlockSize {
		t.Errorf("Statfs: %+v, %v", space, err)
	}
	var pathErr *fs.PathError
	if _, err := sys.Statfs(filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pathErr) {
		t.Errorf("Statfs of nothing: %v", err)
	}
	if g, err := sys.Open(filepath.Join(dir, "gone")); g != nil || err == nil {
		t.Errorf("Open of nothing: %v, %v", g, err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	if _, err := sys.OpenFile(filepath.Join(dir, "l"), os.O_RDONLY|fsx.NoFollow, 0); !errors.Is(err, unix.ELOOP) {
		t.Errorf("NoFollow: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.StartWriteback(0, 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("StartWriteback after Close: %v", err)
	}
}
