package crashfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"gsprobackup/internal/fsx"
)

// names are few, so that operations meet.
var names = []string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "l", "l/a"}

// errno reduces an error to what callers look at.
func errno(err error) string {
	var e unix.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, fs.ErrExist):
		// Linux is free to say EEXIST or ENOTEMPTY for a full directory.
		return "exists"
	case errors.As(err, &e):
		return unix.ErrnoName(e)
	}
	return err.Error()
}

// dump lists a tree with contents, not following links.
func dump(fsys fsx.FS, root, name string) string {
	var b strings.Builder
	entries, err := fsys.ReadDir(filepath.Join(root, name))
	if err != nil {
		return fmt.Sprintf("%s: %s\n", name, errno(err))
	}
	for _, e := range entries {
		path := filepath.Join(name, e.Name())
		full := filepath.Join(root, path)
		fi, err := fsys.Lstat(full)
		if err != nil {
			return errno(err)
		}
		fmt.Fprintf(&b, "%s %v", path, fi.Mode())
		switch {
		case fi.IsDir():
			b.WriteString("\n" + dump(fsys, root, path))
			continue
		case fi.Mode().IsRegular():
			data, err := fsx.ReadFile(fsys, full, 1<<20)
			fmt.Fprintf(&b, " %q %v", data, err)
		default:
			target, err := fsys.Readlink(full)
			fmt.Fprintf(&b, " -> %s %v", target, err)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The double answers like Linux does: random operations give the same errors
// and the same tree on both.
func TestSameAsOS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "crashfs")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		type world struct {
			fs   fsx.FS
			root string
		}
		worlds := []world{{fsx.OS(), dir}, {New(), "/"}}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			other := rapid.SampledFrom(names).Draw(t, "other")
			kind := rapid.IntRange(0, 9).Draw(t, "kind")
			flag := rapid.SampledFrom([]int{
				os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_EXCL,
				os.O_WRONLY | os.O_CREATE | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_RDWR | fsx.NoFollow,
			}).Draw(t, "flag")
			off := rapid.Int64Range(0, 12).Draw(t, "off")
			var got []string
			for _, w := range worlds {
				got = append(got, act(w.fs, w.root, kind, name, other, flag, off))
			}
			if got[0] != got[1] {
				t.Fatalf("kind %d %s %s flag %x: Linux says %q, the double %q", kind, name, other, flag, got[0], got[1])
			}
		}
		want, got := dump(worlds[0].fs, dir, "."), dump(worlds[1].fs, "/", ".")
		if got != want {
			t.Fatalf("Linux has\n%s\nthe double\n%s", want, got)
		}
	})
}

func act(fsys fsx.FS, root string, kind int, name, other string, flag int, off int64) string {
	path, to := filepath.Join(root, name), filepath.Join(root, other)
	switch kind {
	case 0:
		return errno(fsys.Mkdir(path, 0o700))
	case 1:
		return errno(fsys.Rename(path, to))
	case 2:
		return errno(fsys.Remove(path))
	case 3:
		return errno(fsys.Link(path, to))
	case 4:
		return errno(fsys.Symlink(other, path))
	case 5:
		fi, err := fsys.Stat(path)
		if err != nil {
			return errno(err)
		}
		return fmt.Sprint(fi.Name(), fi.IsDir())
	case 6:
		return errno(fsys.SyncDir(path))
	}
	f, err := fsys.OpenFile(path, flag, 0o600)
	if err != nil {
		return errno(err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.IsDir() {
		return fmt.Sprint("directory ", errno(err))
	}
	buf := make([]byte, 8)
	var said []string
	say := func(n int64, err error) {
		if err == io.EOF {
			said = append(said, "EOF")
		} else {
			said = append(said, fmt.Sprint(n, errno(err)))
		}
	}
	write := func(n int, err error) { say(int64(n), err) }
	if kind == 7 {
		write(f.Write([]byte("hello")))
		say(f.Seek(-2, io.SeekCurrent))
		write(f.Read(buf))
	}
	if kind == 8 && flag&os.O_APPEND == 0 {
		write(f.WriteAt([]byte("at"), off))
		write(f.ReadAt(buf, off/2))
		said = append(said, string(buf))
	}
	if kind == 9 {
		say(0, f.Truncate(off))
		say(f.Seek(0, io.SeekEnd))
		say(0, f.Sync())
	}
	return strings.Join(said, " ")
}
