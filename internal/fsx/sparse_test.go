package fsx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
)

// piece is a run of a test file; a hole when data is false.
type piece struct {
	data bool
	n    int
}

func drawPieces(t *rapid.T) []piece {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) piece {
		n := rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 40000), rapid.Just(4096), rapid.Just(65536))
		return piece{rapid.Bool().Draw(t, "data"), n.Draw(t, "n")}
	}), 0, 8).Draw(t, "pieces")
}

// build writes a file of pieces and returns it with its content.
func build(t fataler, fsys fsx.FS, name string, pieces []piece) (fsx.File, []byte) {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var content []byte
	for i, p := range pieces {
		run := make([]byte, p.n)
		if p.data {
			run = bytes.Repeat([]byte{byte(i + 1)}, p.n)
			if _, err := f.WriteAt(run, int64(len(content))); err != nil {
				t.Fatal(err)
			}
		}
		content = append(content, run...)
	}
	if err := f.Truncate(int64(len(content))); err != nil {
		t.Fatal(err)
	}
	return f, content
}

type fataler interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

// checkCopy copies src and checks the copy and everything observed.
func checkCopy(t fataler, fsys fsx.FS, src fsx.File, content []byte, dstName string) {
	dst, err := fsys.OpenFile(dstName, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	var seen int64
	var crc uint32
	n, err := fsx.CopySparse(context.Background(), dst, src, make([]byte, 8192), fsx.Walker{
		Data: func(off int64, p []byte) error {
			if off != seen || len(p) == 0 {
				t.Fatalf("data of %d bytes at %d, want %d", len(p), off, seen)
			}
			seen += int64(len(p))
			crc = crc32c.Update(crc, p)
			return nil
		},
		Hole: func(off, n int64) error {
			if off != seen || n <= 0 {
				t.Fatalf("hole of %d bytes at %d, want %d", n, off, seen)
			}
			seen += n
			crc = crc32c.Zeros(crc, n)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len(content)) || seen != n || crc != crc32c.Sum(content) {
		t.Fatalf("%d bytes copied, %d seen, crc %08X; want %d, %08X", n, seen, crc, len(content), crc32c.Sum(content))
	}
	got, err := fsx.ReadFile(fsys, dstName, 1<<30)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("copy of %d bytes differs (%v)", len(got), err)
	}
}

func TestCopySparseProperty(t *testing.T) {
	dir := t.TempDir()
	for name, world := range map[string]struct {
		fs  fsx.FS
		dir string
	}{"os": {fsx.OS(), dir}, "double": {crashfs.New(), "/"}} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				src, content := build(t, world.fs, filepath.Join(world.dir, "src"), drawPieces(t))
				defer src.Close()
				checkCopy(t, world.fs, src, content, filepath.Join(world.dir, "dst"))
			})
		})
	}
}

// A file nearly all hole is copied without reading or writing the hole.
func TestCopySparseKeepsHoles(t *testing.T) {
	dir := t.TempDir()
	const size = 1 << 36
	f, err := fsx.OS().OpenFile(filepath.Join(dir, "src"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("middle"), size/2); err != nil {
		t.Fatal(err)
	}
	dst, err := fsx.OS().OpenFile(filepath.Join(dir, "dst"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	var data int64
	n, err := fsx.CopySparse(context.Background(), dst, f, make([]byte, 8192), fsx.Walker{
		Data: func(_ int64, p []byte) error { data += int64(len(p)); return nil },
	})
	if err != nil || n != size {
		t.Fatalf("%d, %v", n, err)
	}
	if data > 1<<20 {
		t.Errorf("%d bytes of data went by", data)
	}
	got := make([]byte, 8)
	if _, err := dst.ReadAt(got, size/2-1); err != nil || string(got) != "\x00middle\x00" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNextDataKeepsOffset(t *testing.T) {
	f, _ := build(t, fsx.OS(), filepath.Join(t.TempDir(), "a"), []piece{{false, 65536}, {true, 10}})
	defer f.Close()
	if _, err := f.Seek(65540, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	start, end, err := f.NextData(0)
	if err != nil || start > 65536 || end < 65546 {
		t.Errorf("NextData(0) = %d, %d, %v", start, end, err)
	}
	if _, _, err := f.NextData(65546); err != io.EOF {
		t.Errorf("NextData at the end: %v, want EOF", err)
	}
	if pos, err := f.Seek(0, io.SeekCurrent); pos != 65540 || err != nil {
		t.Errorf("offset is %d, %v", pos, err)
	}
}

func TestPunchHole(t *testing.T) {
	for name, world := range map[string]struct {
		fs  fsx.FS
		dir string
	}{"os": {fsx.OS(), t.TempDir()}, "double": {crashfs.New(), "/"}} {
		f, content := build(t, world.fs, filepath.Join(world.dir, "a"), []piece{{true, 20000}})
		switch err := fsx.PunchHole(f, 4096, 8192); {
		case err == nil:
			clear(content[4096 : 4096+8192])
		case !errors.Is(err, errors.ErrUnsupported):
			t.Errorf("%s: %v", name, err)
		}
		got, err := fsx.ReadFile(world.fs, f.Name(), 1<<20)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: content differs (%v)", name, err)
		}
		checkCopy(t, world.fs, f, content, filepath.Join(world.dir, "b"))
		f.Close()
	}
}

func TestCopySparseErrors(t *testing.T) {
	fsys := crashfs.New()
	src, _ := build(t, fsys, "/src", []piece{{true, 10000}, {false, 10000}, {true, 5}})
	dst, _ := build(t, fsys, "/dst", nil)
	full, _ := build(t, fsys, "/full", []piece{{true, 1}})
	buf := make([]byte, 4096)
	stop := errors.New("stop")
	ctx := context.Background()

	if _, err := fsx.CopySparse(ctx, full, src, buf, fsx.Walker{}); err == nil {
		t.Error("a target with content was taken")
	}
	if _, err := fsx.CopySparse(ctx, dst, src, nil, fsx.Walker{}); err == nil {
		t.Error("an empty buffer was taken")
	}
	cancelled, cancel := context.WithCancelCause(ctx)
	cancel(stop)
	if n, err := fsx.CopySparse(cancelled, dst, src, buf, fsx.Walker{}); n != 0 || !errors.Is(err, stop) {
		t.Errorf("cancelled: %d, %v", n, err)
	}
	fail := func(int64, []byte) error { return stop }
	if n, err := fsx.CopySparse(ctx, dst, src, buf, fsx.Walker{Data: fail}); n != 0 || !errors.Is(err, stop) {
		t.Errorf("observer of data: %d, %v", n, err)
	}
	if err := dst.Truncate(0); err != nil {
		t.Fatal(err)
	}
	hole := func(int64, int64) error { return stop }
	if n, err := fsx.CopySparse(ctx, dst, src, buf, fsx.Walker{Hole: hole}); n != 12288 && n != 10000 || !errors.Is(err, stop) {
		t.Errorf("observer of holes: %d, %v", n, err)
	}
	empty, _ := build(t, fsys, "/empty", nil)
	empty.Close()
	ro, err := fsys.Open("/empty")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fsx.CopySparse(ctx, ro, src, buf, fsx.Walker{}); !errors.Is(err, unix.EBADF) {
		t.Errorf("read-only target: %v", err)
	}
}

// A file cut while it is copied ends the walk without an error.
func TestWalkSparseTruncatedMeanwhile(t *testing.T) {
	for name, world := range map[string]struct {
		fs  fsx.FS
		dir string
	}{"os": {fsx.OS(), t.TempDir()}, "double": {crashfs.New(), "/"}} {
		f, _ := build(t, world.fs, filepath.Join(world.dir, "a"), []piece{{true, 40960}, {false, 65536}, {true, 100}})
		n, err := fsx.WalkSparse(context.Background(), f, make([]byte, 4096), fsx.Walker{
			Data: func(off int64, p []byte) error { return f.Truncate(6000) },
			Hole: func(off, n int64) error { t.Errorf("%s: hole %d+%d", name, off, n); return nil },
		})
		if err != nil || n != 6000 {
			t.Errorf("%s: %d, %v; want 6000", name, n, err)
		}
		f.Close()
	}
}
