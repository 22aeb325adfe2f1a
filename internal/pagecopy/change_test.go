package pagecopy

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// hookSource lets a test change the answers of a source.
type hookSource struct {
	remote.Source
	run  func(req *remote.RunRequest, run *remote.Run, err error) error
	file func(content []byte) []byte
}

func (s hookSource) NewReader() (remote.Reader, error) {
	r, err := s.Source.NewReader()
	return hookReader{r, s}, err
}

func (s hookSource) ReadFile(ctx context.Context, path string, max int64) ([]byte, error) {
	b, err := s.Source.ReadFile(ctx, path, max)
	return s.file(b), err
}

type hookReader struct {
	remote.Reader
	hook hookSource
}

func (r hookReader) ReadRun(ctx context.Context, req *remote.RunRequest, run *remote.Run) error {
	return r.hook.run(req, run, r.Reader.ReadRun(ctx, req, run))
}

func TestVanishedFiles(t *testing.T) {
	tr := newTree(t, crashfs.New())
	tr.add(t, "base/1", Pages, relation(3, 1))
	tr.add(t, "base/2", Plain, []byte("abc"))
	tr.add(t, "base/3", Pages, relation(400, 3))
	for _, gone := range []string{"/data/base/1", "/data/base/2"} {
		if err := tr.fs.Remove(gone); err != nil {
			t.Fatal(err)
		}
	}
	// base/3 goes away after its first run was stored.
	source := hookSource{Source: remote.Local(tr.fs), run: func(req *remote.RunRequest, _ *remote.Run, err error) error {
		if req.From >= 128 {
			return remote.ErrVanished
		}
		return err
	}}
	for _, workers := range []int{1, 3} {
		out, err := tr.copy(context.Background(), func(o *Options) { o.Source, o.Workers = source, workers })
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tr.tasks {
			if out.results[task.Path] != (Result{Outcome: Vanished, Alg: compress.None}) {
				t.Errorf("%s: %+v", task.Path, out.results[task.Path])
			}
			if _, err := tr.fs.Stat(task.dest()); err == nil {
				t.Errorf("%s: copy left behind", task.Path)
			}
		}
	}
}

func TestTruncatedFiles(t *testing.T) {
	tr := newTree(t, crashfs.New())
	tr.add(t, "base/1", Pages, relation(300, 1)).Size = 500 * pageSize
	tr.add(t, "base/2", Pages, nil).Size = 200 * pageSize
	tr.add(t, "base/3", Pages, relation(2, 1)[:pageSize+100]).Size = 2 * pageSize
	tr.add(t, "base/4", Plain, []byte("short")).Size = 100
	tr.add(t, "base/5", Pages, relation(1, 1)[:100])
	tr.add(t, "base/6", Pages, append(relation(2, 1), 1, 2, 3))
	tr.add(t, "base/7", Plain, nil)
	out, err := tr.copy(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path      string
		size      int64
		blocks    uint32
		truncated bool
		partial   int
		alg       compress.Algorithm
	}{
		{"base/1", 300 * blockfile.MaxFrameSize, 300, true, 0, compress.None},
		{"base/2", 0, 0, true, 0, compress.None},
		{"base/3", blockfile.MaxFrameSize, 1, true, 100, compress.None},
		{"base/4", 5, 0, true, 0, compress.None},
		{"base/5", 0, 0, false, 100, compress.None},
		{"base/6", 2 * blockfile.MaxFrameSize, 2, false, 3, compress.None},
		{"base/7", 0, 0, false, 0, compress.None},
	}
	for _, tt := range tests {
		r := out.results[tt.path]
		if r.Size != tt.size || r.Blocks != tt.blocks || r.Truncated != tt.truncated || r.Partial != tt.partial || r.Alg != tt.alg {
			t.Errorf("%s: %+v", tt.path, r)
		}
		if _, err := tr.fs.Stat("/out/" + tt.path); (err == nil) != (tt.size > 0) {
			t.Errorf("%s: Stat: %v", tt.path, err)
		}
	}
}

// A file that ended in one run stays ended, also when it has grown again
// before a later run is read: the stored file must have no gap.
func TestTruncatedAndGrownAgain(t *testing.T) {
	tr := newTree(t, crashfs.New())
	tr.add(t, "base/1", Pages, relation(600, 1))
	source := hookSource{Source: remote.Local(tr.fs), run: func(req *remote.RunRequest, run *remote.Run, err error) error {
		if req.From == 128 {
			run.Reset()
			run.EOF, run.End = true, 128
		}
		return err
	}}
	for _, workers := range []int{1, 4} {
		out, err := tr.copy(context.Background(), func(o *Options) { o.Source, o.Workers = source, workers })
		if err != nil {
			t.Fatal(err)
		}
		if r := out.results["base/1"]; r.Blocks != 128 || r.Headers.N != 128 || !r.Truncated {
			t.Errorf("%d workers: %+v", workers, r)
		}
	}
}

// serverControl is a real pg_control, from pgdata's test data.
func serverControl(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../pgdata/testdata/control.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, digits, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			file := make([]byte, pgdata.ControlFileSize)
			if _, err := hex.Decode(file, []byte(digits)); err != nil {
				t.Fatal(err)
			}
			return file
		}
	}
	t.Fatal("no control file")
	return nil
}

func TestControlFile(t *testing.T) {
	raw := serverControl(t)
	want, control, err := pgdata.BackupCopy(raw)
	if err != nil {
		t.Fatal(err)
	}
	tr := newTree(t, crashfs.New())
	tr.add(t, "pg_control", Control, raw)
	tr.add(t, "base/1", Plain, []byte("x"))
	reads := 0
	source := hookSource{Source: remote.Local(tr.fs), file: func(b []byte) []byte {
		if reads++; reads < 3 { // the server is just writing it
			b[20] ^= 1
		}
		return b
	}}
	out, err := tr.copy(context.Background(), func(o *Options) { o.Source, o.Workers = source, 1 })
	if err != nil {
		t.Fatal(err)
	}
	res := out.results["pg_control"]
	if res.CRC != control.CRC || res.Size != 8192 || res.Control == nil || res.Control.SystemID != control.SystemID {
		t.Errorf("result %+v", res)
	}
	if got := read(t, tr.fs, "/out/pg_control"); !bytes.Equal(got, want) {
		t.Error("copy differs")
	}

	source.file = func(b []byte) []byte { b[20] ^= 1; return b }
	if _, err := tr.copy(context.Background(), func(o *Options) { o.Source = source }); err == nil {
		t.Error("damaged pg_control accepted")
	}
	if err := tr.fs.Remove("/data/pg_control"); err != nil {
		t.Fatal(err)
	}
	source.file = func(b []byte) []byte { return b }
	if _, err := tr.copy(context.Background(), func(o *Options) { o.Source = source }); !errors.Is(err, remote.ErrVanished) {
		t.Errorf("missing pg_control: %v", err)
	}
}

func TestLargestFirst(t *testing.T) {
	tr := newTree(t, crashfs.New())
	tr.add(t, "small", Plain, []byte("x"))
	tr.add(t, "control", Control, serverControl(t))
	tr.add(t, "big", Pages, relation(300, 1))
	tr.add(t, "middle", Plain, relation(10, 1))
	s := newScheduler(tr.tasks)
	var got []string
	e := &engine{Options: Options{Alg: compress.None}}
	for {
		u, ok := s.claim(nil, e.newPageFile)
		if !ok {
			break
		}
		got = append(got, u.task.Path)
	}
	// Without a worker that sticks to it, the big file's other runs come
	// when nothing else is left.
	want := []string{"big", "middle", "small", "control", "big", "big"}
	if !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// With --no-sync nothing is synced; everything is stored all the same.
func TestNoSync(t *testing.T) {
	tr := newTree(t, crashfs.New())
	content := relation(3, 1)
	task := tr.add(t, "base/1", Pages, content)
	out, err := tr.copy(context.Background(), func(o *Options) { o.NoSync = true })
	if err != nil {
		t.Fatal(err)
	}
	check(t, tr.fs, task, content, out, compress.None)
	if b := read(t, tr.fs.(*crashfs.FS).Crash(), task.dest()); b != nil {
		t.Error("something was synced")
	}
}

// On a real file system holes of plain files stay holes.
func TestHolesStayHoles(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(dir + "/src")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("page"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(64 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.Mkdir(dir+"/out", 0o700); err != nil {
		t.Fatal(err)
	}
	tr := &tree{fs: fsx.OS(), tasks: []Task{{Dirs: &Dirs{Source: dir, Dest: dir + "/out"}, Path: "src", Size: 64 << 20, Mode: 0o100640}}}
	out, err := tr.copy(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(dir + "/src")
	check(t, fsx.OS(), &tr.tasks[0], want, out, compress.None)
	src, _ := os.Stat(dir + "/src")
	dst, _ := os.Stat(dir + "/out/src")
	if a, b := used(src), used(dst); b > a {
		t.Errorf("copy takes %d blocks, source %d", b, a)
	}
}

func used(fi os.FileInfo) int64 { return fi.Sys().(*syscall.Stat_t).Blocks }
