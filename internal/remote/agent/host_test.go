package agent_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/usererr"
	"gsprobackup/test/agenttest"
)

const program = "2.4.2"

// connect starts an agent in this process that serves dirs.
func connect(t *testing.T, link *agenttest.Pipe, opts agent.ConnectOptions, dirs ...string) remote.Host {
	t.Helper()
	if opts.Where == "" {
		opts.Where = "far"
	}
	opts.Program, link.Options.Program = program, program
	opts.Channels = max(opts.Channels, 1)
	host, err := agent.Connect(context.Background(), link, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range link.Channels() {
			<-c.Ended()
		}
	})
	if err := host.Admit(context.Background(), dirs...); err != nil {
		t.Fatal(err)
	}
	return host
}

func mustWrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// tree is a data directory of sorts.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "data/PG_VERSION"), []byte("17\n"))
	mustWrite(t, filepath.Join(dir, "data/big"), noise(5<<20+17))
	mustWrite(t, filepath.Join(dir, "data/empty"), nil)
	mustWrite(t, filepath.Join(dir, "data/odd\xff name"), []byte("x"))
	mustWrite(t, filepath.Join(dir, "data/sub/a"), []byte("a"))
	mustWrite(t, filepath.Join(dir, "spc/PG_17/1/2"), []byte("in a tablespace"))
	mustWrite(t, filepath.Join(dir, "wal/0001"), []byte("wal"))
	for name, target := range map[string]string{
		"data/pg_tblspc/16384": filepath.Join(dir, "spc"),
		"data/pg_wal":          filepath.Join(dir, "wal"),
		"data/dangling":        filepath.Join(dir, "none"),
		"data/inner":           "sub",
	} {
		link := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	sparse, err := os.Create(filepath.Join(dir, "data/sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer sparse.Close()
	if _, err := sparse.WriteAt([]byte("end"), 9<<20); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func listAll(t *testing.T, h remote.Host, req remote.ListRequest) (all []remote.FileInfo) {
	t.Helper()
	err := h.List(context.Background(), req, func(fi remote.FileInfo) error {
		fi.MTime = fi.MTime.UTC()
		all = append(all, fi)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The far host answers as the near one does.
func TestSourceAsLocal(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), tree(t)
	near, far := remote.Local(fsx.OS()), connect(t, &agenttest.Pipe{}, agent.ConnectOptions{}, dir)
	for _, req := range []remote.ListRequest{
		{Root: dir}, {Root: dir, FollowLinks: true}, {Root: dir, FollowLinks: true, Prune: []string{"pg_tblspc", "sub"}},
		{Root: filepath.Join(dir, "pg_tblspc/16384")},
	} {
		if a, b := listAll(t, near, req), listAll(t, far, req); !reflect.DeepEqual(a, b) || len(a) == 0 {
			t.Errorf("%+v: %v, want %v", req, b, a)
		}
	}
	for _, name := range []string{"big", "empty", "sub", "odd\xff name", "pg_tblspc/16384/PG_17/1/2", "inner/a", "pg_wal/0001", "none", "big/x"} {
		path := filepath.Join(dir, name)
		a, aerr := near.Stat(ctx, path)
		b, berr := far.Stat(ctx, path)
		if !a.MTime.Equal(b.MTime) {
			t.Errorf("Stat %s: %v, want %v", name, b.MTime, a.MTime)
		}
		a.MTime, b.MTime = time.Time{}, time.Time{}
		if a != b {
			t.Errorf("Stat %s: %+v, want %+v", name, b, a)
		}
		sameError(t, "Stat "+name, aerr, berr)
		ac, aerr := near.ReadFile(ctx, path, 6<<20)
		bc, berr := far.ReadFile(ctx, path, 6<<20)
		if !bytes.Equal(ac, bc) {
			t.Errorf("ReadFile %s: %d bytes, want %d", name, len(bc), len(ac))
		}
		sameError(t, "ReadFile "+name, aerr, berr)
		ac, as, aerr := near.ReadAt(ctx, path, 3, 100)
		bc, bs, berr := far.ReadAt(ctx, path, 3, 100)
		if aerr == nil && (!bytes.Equal(ac, bc) || as != bs) {
			t.Errorf("ReadAt %s: %q of %d, want %q of %d", name, bc, bs, ac, as)
		}
		sameError(t, "ReadAt "+name, aerr, berr)
		compareReaders(t, near, far, path)
	}
	_, aerr := near.ReadFile(ctx, filepath.Join(dir, "big"), 100)
	_, berr := far.ReadFile(ctx, filepath.Join(dir, "big"), 100)
	sameError(t, "ReadFile with a limit", aerr, berr)
	if target, err := far.Readlink(ctx, filepath.Join(dir, "inner")); target != "sub" || err != nil {
		t.Errorf("Readlink: %q, %v", target, err)
	}
}

// sink notes what it gets.
type sink struct {
	data  []byte
	holes int64
}

func (s *sink) Data(p []byte) error { s.data = append(s.data, p...); return nil }
func (s *sink) Hole(n int64) error {
	s.data, s.holes = append(s.data, make([]byte, n)...), s.holes+n
	return nil
}

func compareReaders(t *testing.T, near, far remote.Host, path string) {
	t.Helper()
	ctx := context.Background()
	var got [2]sink
	var errs, sumErrs [2]error
	var crc [2]uint32
	for i, h := range []remote.Host{near, far} {
		r, err := h.NewReader()
		if err != nil {
			t.Fatal(err)
		}
		_, errs[i] = r.CopyFile(ctx, remote.CopyRequest{Path: path}, &got[i])
		crc[i], _, sumErrs[i] = r.Checksum(ctx, path)
		sums, err := r.FileSums(ctx, []string{path, path + "-"})
		if i == 1 && err == nil && (len(sums) != 2 || !sums[1].Missing) {
			t.Errorf("FileSums %s: %+v", path, sums)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(got[0].data, got[1].data) || got[0].holes != got[1].holes || crc[0] != crc[1] {
		t.Errorf("CopyFile %s: %d bytes, %d in holes, CRC %x; want %d, %d, %x", path,
			len(got[1].data), got[1].holes, crc[1], len(got[0].data), got[0].holes, crc[0])
	}
	sameError(t, "CopyFile "+path, errs[0], errs[1])
	sameError(t, "Checksum "+path, sumErrs[0], sumErrs[1])
}

// sameError wants what callers ask of an error to be the same.
func sameError(t *testing.T, what string, near, far error) {
	t.Helper()
	if (near == nil) != (far == nil) {
		t.Errorf("%s: %v, want %v", what, far, near)
		return
	}
	if near == nil {
		return
	}
	for _, target := range []error{remote.ErrVanished, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fsx.ErrTooLarge, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY} {
		if errors.Is(near, target) != errors.Is(far, target) {
			t.Errorf("%s: is it %v? %v, want %v", what, target, far, near)
		}
	}
	if a, b := usererr.SystemText(near), usererr.SystemText(far); a != b {
		t.Errorf("%s: %q, want %q", what, b, a)
	}
}

// relation writes a data file of n sound pages, every third of them noise.
func relation(t *testing.T, path string, n int) {
	t.Helper()
	content := noise(n * pgdata.BlockSize)
	for i := range n {
		page := content[i*pgdata.BlockSize:][:pgdata.BlockSize]
		if i%3 != 0 {
			clear(page[24:])
		}
		sealPage(page, uint32(i))
	}
	mustWrite(t, path, content)
}

func sealPage(page []byte, block uint32) {
	le := func(off int, v uint16) { page[off], page[off+1] = byte(v), byte(v>>8) }
	clear(page[:24])
	le(4, uint16(block)*100+100) // LSN
	le(12, 24)
	le(14, 4000)
	le(16, pgdata.BlockSize)
	le(18, pgdata.BlockSize|4)
	le(8, pgdata.PageChecksum(page, block, pgdata.PostgreSQL))
}

// Runs come as the local reader makes them, announced or not, and a run that
// was written there is the same file again.
func TestRunsAsLocal(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	path := filepath.Join(dir, "1")
	relation(t, path, 600)
	near, far := remote.Local(fsx.OS()), connect(t, &agenttest.Pipe{}, agent.ConnectOptions{Channels: 2}, dir)
	marked := ptrack.NewPageMap(0)
	for _, b := range []uint32{0, 5, 128, 599} {
		marked.Add(b)
	}
	nr, err := near.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	fr, err := far.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	ahead := fr.(remote.Ahead)
	var reqs []remote.RunRequest
	for _, alg := range []compress.Algorithm{compress.None, compress.Zstd, compress.LZ4} {
		for from := uint32(0); from < 700; from += remote.MaxRunPages {
			reqs = append(reqs, remote.RunRequest{
				Path: path, From: from, To: from + remote.MaxRunPages, Alg: alg, Level: 1,
				Rules: pgdata.PageRules{Family: pgdata.PostgreSQL, Checksums: true},
			})
		}
	}
	reqs = append(reqs, remote.RunRequest{Path: path, To: 600, Map: marked, Floor: remote.Floor{LSN: 1 << 40, Known: 129}, Rules: reqs[0].Rules})
	reqs = append(reqs, remote.RunRequest{Path: path + "-", To: 1}, reqs[0])
	announcedTo := 0
	for i := range reqs {
		for announcedTo = max(announcedTo, i); i%5 != 4 && announcedTo < len(reqs) && ahead.Room(); announcedTo++ {
			if err := ahead.AnnounceRun(ctx, &reqs[announcedTo]); err != nil {
				t.Fatal(err)
			}
		}
		var a, b remote.Run
		aerr := nr.ReadRun(ctx, &reqs[i], &a)
		berr := fr.ReadRun(ctx, &reqs[i], &b)
		sameError(t, "ReadRun", aerr, berr)
		if aerr == nil && !reflect.DeepEqual(a, b) {
			t.Errorf("run %d: %d pages %v, want %d %v", i, b.Pages, b.Headers, a.Pages, a.Headers)
		}
	}
	if err := fr.Close(); err != nil {
		t.Error(err)
	}
	copyRuns(t, nr, far, path, filepath.Join(dir, "2"))
}

// copyRuns writes a relation through a host, with several writers.
func copyRuns(t *testing.T, from remote.Reader, to remote.Host, source, target string) {
	t.Helper()
	ctx := context.Background()
	out, err := to.CreateFile(ctx, target, remote.CreateOptions{Mode: 0o640})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	var writers []remote.Writer
	for range 3 {
		w, err := to.NewWriter()
		if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	for i, at := 0, uint32(0); at < 600; i, at = i+1, at+100 {
		var run remote.Run
		if err := from.ReadRun(ctx, &remote.RunRequest{Path: source, From: at, To: at + 100, Alg: compress.Zstd, Level: 1}, &run); err != nil {
			t.Fatal(err)
		}
		if err := writers[i%3].WriteRun(ctx, &remote.WriteRequest{Path: target, Frames: run.Frames, Headers: run.Headers, Alg: compress.Zstd}); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range writers {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	want, _ := os.ReadFile(source)
	got, err := os.ReadFile(target)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, want %d; %v", len(got), len(want), err)
	}
	if fi, err := os.Stat(target); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestTargetAsLocal(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	root := filepath.Join(dir, "not/yet")
	far := connect(t, &agenttest.Pipe{}, agent.ConnectOptions{}, root)
	at := func(name string) string { return filepath.Join(root, name) }
	steps := []error{
		far.MkdirAll(ctx, at("a/b"), 0o750),
		far.Mkdir(ctx, at("a"), 0o700),
		far.Symlink(ctx, at("a/b"), at("link")),
		far.Chmod(ctx, at("a"), 0o711),
		far.SyncDir(ctx, root), far.SyncDir(ctx, filepath.Dir(root)),
	}
	w, err := far.CreateFile(ctx, at("link/f"), remote.CreateOptions{Mode: 0o604})
	if err != nil {
		t.Fatal(err)
	}
	big := noise(3<<20 + 5)
	steps = append(steps, w.Data(big), w.Hole(1<<20), w.Data([]byte("x")), w.Sync(), w.Hole(7), w.Close(),
		far.SyncFile(ctx, at("a/b/f")), far.Rename(ctx, at("a/b/f"), at("a/g")), far.Remove(ctx, at("none")))
	for i, err := range steps {
		if err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	want := slices.Concat(big, make([]byte, 1<<20), []byte("x"), make([]byte, 7))
	if got, err := os.ReadFile(at("a/g")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o750, "a": 0o711, "a/b": 0o750, "a/g": 0o604} {
		if fi, err := os.Stat(at(name)); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, fi.Mode(), err)
		}
	}
	v, err := far.Volume(ctx, at("not/there"))
	if near, nerr := remote.Local(fsx.OS()).Volume(ctx, dir); err != nil || nerr != nil || v.ID != near.ID || v.Avail <= 0 {
		t.Errorf("Volume: %+v, %v", v, err)
	}
	if alive, err := far.Alive(ctx, os.Getpid()); err != nil || !alive {
		t.Errorf("Alive: %v, %v", alive, err)
	}
	if err := far.RemoveAll(ctx, []string{at("a/g"), at("link"), at("a/b"), at("a"), root}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// What goes wrong there keeps its kind: C's words, damage, system errors.
func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	bad := filepath.Join(dir, "bad")
	relation(t, bad, 3)
	content, _ := os.ReadFile(bad)
	content[pgdata.BlockSize+5000] ^= 1
	mustWrite(t, bad, content)
	far := connect(t, &agenttest.Pipe{}, agent.ConnectOptions{}, dir)
	r, err := far.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	var run remote.Run
	err = r.ReadRun(ctx, &remote.RunRequest{Path: bad, To: 3, Rules: pgdata.PageRules{Family: pgdata.PostgreSQL, Checksums: true}}, &run)
	var user *usererr.Error
	var damage *pgdata.CorruptionError
	if !errors.As(err, &user) || !errors.As(err, &damage) || damage.Block != 1 || damage.Path != bad || damage.Expected == damage.Found {
		t.Errorf("damaged page: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	w, err := far.CreateFile(ctx, filepath.Join(dir, "none/file"), remote.CreateOptions{Mode: 0o600})
	if err == nil {
		for range 1000 {
			if err = w.Data(make([]byte, 1<<20)); err != nil {
				break
			}
		}
		if err == nil {
			t.Error("a gigabyte went to a file that could not be made")
		}
		if cerr := w.Close(); !errors.Is(err, fs.ErrNotExist) || !errors.Is(cerr, fs.ErrNotExist) {
			t.Errorf("file in a missing directory: %v, %v", err, cerr)
		}
	}
	var path *fs.PathError
	if err := far.Mkdir(ctx, bad, 0o700); !errors.As(err, &path) || path.Path != bad || !errors.Is(err, syscall.EEXIST) {
		t.Errorf("Mkdir over a file: %v", err)
	}
	if err := far.Remove(ctx, filepath.Join(dir, "bad/x")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("Remove below a file: %v", err)
	}
}
