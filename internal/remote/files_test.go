package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
)

func mustWrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, req ListRequest) []string {
	t.Helper()
	var got []string
	err := Local(fsx.OS()).List(context.Background(), req, func(fi FileInfo) error {
		got = append(got, fmt.Sprintf("%s kind=%d size=%d mode=%o link=%s", fi.Path, fi.Kind, size(fi), fi.Mode, fi.LinkTarget))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// size leaves out what the file system chooses.
func size(fi FileInfo) int64 {
	if fi.Kind != KindFile {
		return 0
	}
	return fi.Size
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	root, space := filepath.Join(dir, "data"), filepath.Join(dir, "space")
	mustWrite(t, filepath.Join(root, "b/2"), "22")
	mustWrite(t, filepath.Join(root, "b/1"), "1")
	mustWrite(t, filepath.Join(root, "b.c"), "")
	mustWrite(t, filepath.Join(root, "log/deep/x"), "x")
	mustWrite(t, filepath.Join(space, "v/5"), "55555")
	if err := os.Mkdir(filepath.Join(root, "t"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"t/1": space, "t/dangling": "/nowhere", "t/file": "../b/1"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "b"), 0o750|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"b kind=1 size=0 mode=42750 link=",
		"b/1 kind=0 size=1 mode=100600 link=",
		"b/2 kind=0 size=2 mode=100600 link=",
		"b.c kind=0 size=0 mode=100600 link=",
		"fifo kind=3 size=0 mode=10600 link=",
		"log kind=1 size=0 mode=40700 link=",
		"t kind=1 size=0 mode=40700 link=",
		"t/1 kind=1 size=0 mode=40700 link=" + space,
		"t/1/v kind=1 size=0 mode=40700 link=",
		"t/1/v/5 kind=0 size=5 mode=100600 link=",
		"t/dangling kind=2 size=0 mode=120777 link=/nowhere",
		"t/file kind=0 size=1 mode=100600 link=../b/1",
	}
	if got := list(t, ListRequest{Root: root, FollowLinks: true, Prune: []string{"log/"}}); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, line := range list(t, ListRequest{Root: root}) {
		if strings.HasPrefix(line, "t/") && !strings.Contains(line, "kind=2") {
			t.Errorf("link followed: %s", line)
		}
	}
}

func TestListEnds(t *testing.T) {
	root := t.TempDir()
	mustWrite(t, filepath.Join(root, "a/f"), "")
	if err := os.Symlink("..", filepath.Join(root, "a/up")); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	none := func(FileInfo) error { return nil }
	if err := Local(fsx.OS()).List(ctx, ListRequest{Root: root, FollowLinks: true}, none); err == nil {
		t.Error("endless tree was listed")
	}
	stop := errors.New("stop")
	if err := Local(fsx.OS()).List(ctx, ListRequest{Root: root}, func(FileInfo) error { return stop }); err != stop {
		t.Errorf("error of fn: %v", err)
	}
	done, cancel := context.WithCancelCause(ctx)
	cancel(stop)
	if err := Local(fsx.OS()).List(done, ListRequest{Root: root}, none); err != stop {
		t.Errorf("cancelled: %v", err)
	}
	if err := Local(fsx.OS()).List(ctx, ListRequest{Root: root + "x"}, none); err == nil {
		t.Error("missing root was listed")
	}
}

// A sparse file arrives as data and holes, sums up as if read, and is sparse
// again at the target.
func TestSparseFileRoundTrip(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	f, err := os.Create(src)
	if err != nil {
		t.Fatal(err)
	}
	const size = 3 << 20
	if _, err := f.WriteAt([]byte("head"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("middle"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	ctx := context.Background()
	host := Local(fsx.OS())
	r, err := host.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dst := filepath.Join(dir, "dst")
	mustWrite(t, dst, "something longer than nothing")
	w, err := host.CreateFile(ctx, dst, CreateOptions{Mode: 0o604})
	if err != nil {
		t.Fatal(err)
	}
	fi, err := r.CopyFile(ctx, CopyRequest{Path: src}, w)
	if err != nil || fi.Size != size {
		t.Fatal(fi, err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(src)
	got, _ := os.ReadFile(dst)
	if !bytes.Equal(got, want) {
		t.Error("content differs")
	}
	info, _ := os.Stat(dst)
	if info.Mode() != 0o604 {
		t.Errorf("mode %v", info.Mode())
	}
	srcInfo, _ := os.Stat(src)
	if b, limit := info.Sys().(*syscall.Stat_t).Blocks, srcInfo.Sys().(*syscall.Stat_t).Blocks; b > limit {
		t.Errorf("%d blocks, the source has %d", b, limit)
	}
	crc, n, err := r.Checksum(ctx, dst)
	if err != nil || n != size || crc != crc32c.Sum(want) {
		t.Errorf("Checksum: %d, %d, %v", crc, n, err)
	}
	if _, _, err := r.Checksum(ctx, dst+"x"); !errors.Is(err, ErrVanished) {
		t.Errorf("Checksum of nothing: %v", err)
	}
}

func TestWriteRun(t *testing.T) {
	path, content := relation(t, 300)
	ctx := context.Background()
	host := Local(fsx.OS())
	for _, alg := range []compress.Algorithm{compress.None, compress.LZ4} {
		target := filepath.Join(t.TempDir(), "restored")
		fw, err := host.CreateFile(ctx, target, CreateOptions{Mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		w, err := host.NewWriter()
		if err != nil {
			t.Fatal(err)
		}
		for from := uint32(0); from < 300; from += MaxRunPages {
			run, err := readRun(t, host, RunRequest{Path: path, From: from, To: min(300, from+MaxRunPages), Alg: alg})
			if err != nil {
				t.Fatal(err)
			}
			// Write the odd pages first, then the others: pages are
			// chosen by header, gaps stay.
			var odd, even []blockfile.Header
			for _, h := range run.Headers {
				if h.Block%2 == 1 {
					odd = append(odd, h)
				} else {
					even = append(even, h)
				}
			}
			for _, headers := range [][]blockfile.Header{odd, even, run.Headers} {
				if err := w.WriteRun(ctx, &WriteRequest{Path: target, Frames: run.Frames, Headers: headers, Alg: alg}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := errors.Join(w.Close(), fw.Close(), host.SyncFile(ctx, target), host.SyncDir(ctx, filepath.Dir(target))); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(target); !bytes.Equal(got, content) {
			t.Errorf("%s: content differs", alg)
		}
	}
}

func TestWriteRunRejectsBadFrames(t *testing.T) {
	path, _ := relation(t, 2)
	ctx := context.Background()
	host := Local(fsx.OS())
	run, err := readRun(t, host, RunRequest{Path: path, To: 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, req := range map[string]WriteRequest{
		"other block":       {Headers: []blockfile.Header{{Block: 1}}},
		"negative position": {Headers: []blockfile.Header{{Pos: -1}}},
		"beyond the end":    {Headers: []blockfile.Header{{Block: 1, Pos: int32(len(run.Frames)) - 4}}},
		"short frame":       {Frames: run.Frames[:100], Headers: run.Headers[:1]},
		"missing file":      {Path: path + "x", Headers: run.Headers},
		"not compressed":    {Frames: blockfile.AppendFrame(nil, 0, []byte("junk")), Headers: run.Headers[:1]},
		"bad stream":        {Frames: blockfile.AppendFrame(nil, 0, []byte("junk")), Headers: run.Headers[:1], Alg: compress.Zstd},
	} {
		if req.Path == "" {
			req.Path = path
		}
		if req.Frames == nil {
			req.Frames = run.Frames
		}
		w, err := host.NewWriter()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteRun(ctx, &req); err == nil {
			t.Errorf("%s: accepted", name)
		}
		w.Close()
	}
}

func TestTargetOperations(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	host := Local(fsx.OS())
	at := func(name string) string { return filepath.Join(dir, name) }
	steps := []struct {
		name string
		err  error
	}{
		{"MkdirAll", host.MkdirAll(ctx, at("a/b/c"), 0o750)},
		{"Mkdir again", host.Mkdir(ctx, at("a/b"), 0o700)},
		{"Symlink", host.Symlink(ctx, "/somewhere", at("l"))},
		{"Rename", host.Rename(ctx, at("l"), at("m"))},
		{"Remove", host.Remove(ctx, at("l"))},
		{"Chmod", host.Chmod(ctx, at("a/b/c"), 0o701)},
		{"Close", host.Close()},
	}
	for _, s := range steps {
		if s.err != nil {
			t.Errorf("%s: %v", s.name, s.err)
		}
	}
	if target, err := host.Readlink(ctx, at("m")); err != nil || target != "/somewhere" {
		t.Errorf("Readlink: %q, %v", target, err)
	}
	for name, want := range map[string]os.FileMode{"a": 0o750, "a/b": 0o750, "a/b/c": 0o701} {
		if fi, err := os.Stat(at(name)); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
	here, err := host.Volume(ctx, dir)
	if err != nil || here.Avail <= 0 {
		t.Errorf("Volume: %+v, %v", here, err)
	}
	if there, err := host.Volume(ctx, at("not/yet/made")); err != nil || there.ID != here.ID {
		t.Errorf("Volume of a missing directory: %+v, want %+v, %v", there, here, err)
	}
	mustWrite(t, at("file"), "")
	if err := host.Mkdir(ctx, at("file"), 0o700); err == nil {
		t.Error("Mkdir over a file")
	}
}

func TestRemoveAll(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	mustWrite(t, filepath.Join(dir, "a/b"), "x")
	host := Local(fsx.OS())
	gone := []string{filepath.Join(dir, "none"), filepath.Join(dir, "a/b"), filepath.Join(dir, "a")}
	if err := host.RemoveAll(ctx, gone); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "full/file"), "x")
	if err := host.RemoveAll(ctx, []string{filepath.Join(dir, "full"), filepath.Join(dir, "full/file")}); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("directory with content: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "full/file")); err != nil {
		t.Errorf("went on after an error: %v", err)
	}
}

func TestAlive(t *testing.T) {
	ctx, host := context.Background(), Local(fsx.OS())
	if alive, err := host.Alive(ctx, os.Getpid()); err != nil || !alive {
		t.Errorf("own process: %v, %v", alive, err)
	}
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if alive, err := host.Alive(ctx, child.Process.Pid); err != nil || alive {
		t.Errorf("ended process: %v, %v", alive, err)
	}
}

// With Keep, what is not written stays.
func TestKeep(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "f")
	mustWrite(t, path, "0123456789abcdef")
	w, err := Local(fsx.OS()).CreateFile(ctx, path, CreateOptions{Mode: 0o600, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.Hole(3), w.Data([]byte("xyz")), w.Hole(2), w.Data([]byte("!")), w.Truncate(12), w.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "012xyz67!9ab" {
		t.Errorf("%q, %v", got, err)
	}
}
