package pagecopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
)

const pageSize = blockfile.PageSize

// failer is what helpers need of *testing.T and *rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// tree is a data directory in memory with the tasks to copy it.
type tree struct {
	fs    fsx.FS
	tasks []Task
}

func newTree(tb failer, fsys fsx.FS) *tree {
	tb.Helper()
	for _, dir := range []string{"/data", "/data/base", "/data/pg_xact", "/out", "/out/base", "/out/pg_xact"} {
		if err := fsys.Mkdir(dir, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	return &tree{fs: fsys}
}

func (tr *tree) write(tb failer, path string, content []byte) {
	tb.Helper()
	f, err := tr.fs.OpenFile(filepath.Join("/data", path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}

// add writes a file and a task for it.
func (tr *tree) add(tb failer, path string, kind Kind, content []byte) *Task {
	tb.Helper()
	tr.write(tb, path, content)
	tr.tasks = append(tr.tasks, Task{Dirs: &Dirs{Source: "/data", Dest: "/out"}, Path: path, Size: int64(len(content)), Mode: 0o100640, Kind: kind})
	return &tr.tasks[len(tr.tasks)-1]
}

// relation is the content of a data file of n sound pages.
func relation(n int, seed uint64) []byte {
	content := make([]byte, n*pageSize)
	rng := rand.New(rand.NewPCG(seed, 0))
	for b := range n {
		page := content[b*pageSize:][:pageSize]
		if rng.IntN(10) > 0 { // the others stay zero
			fillPage(page, uint32(b), rng)
		}
	}
	return content
}

// outcome is all that a copy leaves behind.
type outcome struct {
	results map[string]Result
	maps    []byte
	order   []string
}

func (tr *tree) copy(ctx context.Context, change func(*Options)) (outcome, error) {
	out := outcome{results: map[string]Result{}}
	var maps bytes.Buffer
	opts := Options{
		Source: remote.Local(tr.fs), Out: tr.fs, Workers: 3, Headers: blockfile.NewMapWriter(&maps),
		Alg: compress.None, Rules: pgdata.PageRules{Family: pgdata.PostgreSQL, Checksums: true},
		Done: func(t *Task, r Result) error {
			if _, again := out.results[t.Path]; again {
				return fmt.Errorf("%s reported twice", t.Path)
			}
			out.results[t.Path] = r
			out.order = append(out.order, t.Path)
			return nil
		},
	}
	if change != nil {
		change(&opts)
	}
	err := Copy(ctx, opts, tr.tasks)
	out.maps = maps.Bytes()
	return out, err
}

func read(tb failer, fsys fsx.FS, path string) []byte {
	tb.Helper()
	b, err := fsx.ReadFile(fsys, path, 1<<30)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// check compares what is stored for a task with its source.
func check(tb failer, fsys fsx.FS, t *Task, source []byte, out outcome, alg compress.Algorithm) {
	tb.Helper()
	res, ok := out.results[t.Path]
	if !ok {
		tb.Fatalf("%s: not reported", t.Path)
	}
	stored := read(tb, fsys, t.dest())
	if int64(len(stored)) != res.Size || res.Size > 0 && res.CRC != crc32c.Sum(stored) || res.Size == 0 && res.CRC != 0 {
		tb.Fatalf("%s: %d bytes stored, %+v", t.Path, len(stored), res)
	}
	if res.Size > 0 {
		if fi, err := fsys.Stat(t.dest()); err != nil || fi.Mode().Perm() != 0o640 {
			tb.Fatalf("%s: mode %v, %v", t.Path, fi.Mode(), err)
		}
	}
	if t.Kind == Plain {
		if !bytes.Equal(stored, source) || res.Alg != compress.None {
			tb.Fatalf("%s: copy differs", t.Path)
		}
		return
	}
	want := 0
	for b := range uint32(len(source) / pageSize) {
		if b < t.Blocks() && t.Map.Has(b) {
			want++
		}
	}
	if res.Headers.N != want || res.Copied != int64(want)*pageSize || want > 0 && res.Alg != alg {
		tb.Fatalf("%s: %+v, want %d pages", t.Path, res, want)
	}
	if want == 0 {
		return
	}
	headers, total, err := blockfile.ReadHeaders(bytes.NewReader(out.maps), res.Headers)
	if err != nil || total != res.Size {
		tb.Fatalf("%s: headers: %v", t.Path, err)
	}
	codec, err := compress.New(alg, 1)
	if err != nil {
		tb.Fatal(err)
	}
	r := blockfile.NewMappedReader(bytes.NewReader(stored), headers, total)
	page := make([]byte, pageSize)
	for {
		h, payload, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			tb.Fatalf("%s: %v", t.Path, err)
		}
		if err := blockfile.Decode(codec, page, payload); err != nil {
			tb.Fatal(err)
		}
		if !t.Map.Has(h.Block) || !bytes.Equal(page, source[int(h.Block)*pageSize:][:pageSize]) {
			tb.Fatalf("%s: block %d differs", t.Path, h.Block)
		}
	}
}

// Whatever the files, workers and algorithm: everything is stored as it is,
// the bytes do not depend on the number of workers, and all of it survives a
// crash right after Copy.
func TestCopyProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := crashfs.New()
		tr := &tree{fs: mem}
		for _, dir := range []string{"/data", "/data/base", "/out", "/out2", "/out/base", "/out2/base"} {
			if err := mem.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		alg := rapid.SampledFrom([]compress.Algorithm{compress.None, compress.LZ4}).Draw(t, "alg")
		sources := map[string][]byte{}
		for i := range rapid.IntRange(0, 6).Draw(t, "files") {
			pages := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 400)).Draw(t, "pages")
			content := relation(pages, uint64(i))
			if rapid.IntRange(0, 4).Draw(t, "tail") == 0 {
				content = append(content, make([]byte, 100)...)
			}
			task := tr.add(t, fmt.Sprintf("base/%d", i), rapid.SampledFrom([]Kind{Plain, Pages, Pages}).Draw(t, "kind"), content)
			sources[task.Path] = content
			if task.Kind == Pages && rapid.Bool().Draw(t, "map") {
				task.Map = new(ptrack.PageMap)
				for range rapid.IntRange(0, 200).Draw(t, "marked") {
					task.Map.Add(rapid.Uint32Range(0, 410).Draw(t, "block"))
				}
			}
		}
		mem.SyncAll()
		workers := rapid.IntRange(1, 5).Draw(t, "workers")
		one, err := tr.copy(context.Background(), func(o *Options) { o.Workers, o.Alg, o.Level = 1, alg, 1 })
		if err != nil {
			t.Fatal(err)
		}
		first := map[string][]byte{}
		for i := range tr.tasks {
			task := &tr.tasks[i]
			first[task.Path] = read(t, mem, task.dest())
			task.Dirs = &Dirs{Source: "/data", Dest: "/out2"}
		}
		many, err := tr.copy(context.Background(), func(o *Options) { o.Workers, o.Alg, o.Level = workers, alg, 1 })
		if err != nil {
			t.Fatal(err)
		}
		after := mem.Crash()
		for i := range tr.tasks {
			task := &tr.tasks[i]
			check(t, after, task, sources[task.Path], many, alg)
			if !bytes.Equal(first[task.Path], read(t, after, task.dest())) {
				t.Fatalf("%s depends on the number of workers", task.Path)
			}
			a, b := one.results[task.Path], many.results[task.Path]
			a.Headers.Off, b.Headers.Off = 0, 0
			if a != b {
				t.Fatalf("%s: %+v with one worker, %+v with %d", task.Path, a, b, workers)
			}
		}
		if len(many.results) != len(tr.tasks) {
			t.Fatalf("%d results of %d", len(many.results), len(tr.tasks))
		}
	})
}

// No failing step of the output goes unnoticed, wherever it happens, and none
// makes the copy hang or leaves a file open.
func TestEveryWriteErrorEndsTheCopy(t *testing.T) {
	for step := 1; ; step++ {
		tr := newTree(t, crashfs.New())
		tr.add(t, "base/1", Pages, relation(300, 1))
		tr.add(t, "base/2", Pages, relation(2, 2))
		tr.add(t, "pg_xact/0000", Plain, relation(200, 3))
		fault := faultfs.New(tr.fs)
		fault.FailFrom(step, syscall.ENOSPC)
		out, err := tr.copy(context.Background(), func(o *Options) { o.Out, o.Workers = fault, 2 })
		open := 0
		for _, op := range fault.Ops() {
			switch {
			case op.Kind == faultfs.Create && op.Err == nil:
				open++
			case op.Kind == faultfs.Close:
				open--
			}
		}
		if open != 0 {
			t.Errorf("step %d: %d files left open", step, open)
		}
		if err == nil {
			if len(out.results) != 3 || step < 15 {
				t.Errorf("step %d: no error, %d results", step, len(out.results))
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("step %d: %v", step, err)
		}
		if !strings.Contains(err.Error(), "/data/") && !strings.Contains(err.Error(), "/out") {
			t.Errorf("step %d: %v names no file", step, err)
		}
	}
}

func TestHeaderMapErrorEndsTheCopy(t *testing.T) {
	tr := newTree(t, crashfs.New())
	tr.add(t, "base/1", Pages, relation(3, 1))
	_, err := tr.copy(context.Background(), func(o *Options) { o.Headers = blockfile.NewMapWriter(fullDisk{}) })
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestCopyStopsAtTheFirstError(t *testing.T) {
	tr := newTree(t, crashfs.New())
	bad := relation(300, 1)
	clear(bad[200*pageSize : 200*pageSize+24])
	bad[200*pageSize+4000] = 1
	tr.add(t, "base/1", Pages, bad)
	for i := range 50 {
		tr.add(t, fmt.Sprintf("base/1%d", i), Plain, []byte("x"))
	}
	_, err := tr.copy(context.Background(), nil)
	var corrupt *pgdata.CorruptionError
	if !errors.As(err, &corrupt) || corrupt.Block != 200 || !strings.HasSuffix(corrupt.Path, "base/1") {
		t.Errorf("got %v", err)
	}

	stop := errors.New("stop")
	_, err = tr.copy(context.Background(), func(o *Options) { o.Done = func(*Task, Result) error { return stop } })
	if !errors.Is(err, stop) && !errors.As(err, &corrupt) {
		t.Errorf("error of Done: %v", err)
	}
	if _, err := tr.copy(context.Background(), func(o *Options) { o.Workers = 0 }); err == nil {
		t.Error("no workers accepted")
	}
}

func TestCancel(t *testing.T) {
	const workers = 3
	stop := errors.New("stop")
	for _, at := range []int32{1, 2, 3, 5} {
		tr := newTree(t, crashfs.New())
		tr.add(t, "base/1", Pages, relation(600, 1))
		tr.add(t, "base/2", Plain, relation(400, 1))
		ctx, cancel := context.WithCancelCause(context.Background())
		out := faultfs.New(tr.fs)
		var writes atomic.Int32
		out.Before(func(op faultfs.Op) error {
			if op.Kind == faultfs.Write && writes.Add(1) == at {
				cancel(stop)
			}
			return nil
		})
		_, err := tr.copy(ctx, func(o *Options) { o.Out, o.Workers = out, workers })
		if !errors.Is(err, stop) {
			t.Errorf("cancelled in write %d: %v", at, err)
		}
		// Each worker may have had one write before it.
		if n := writes.Load(); n > at+workers {
			t.Errorf("cancelled in write %d: %d writes", at, n)
		}
	}
}
