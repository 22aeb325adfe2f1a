package pagecopy

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
)

func serverFile(t *testing.T) []byte {
	t.Helper()
	f, err := os.Open("../pgdata/testdata/16639_compress.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A row-compressed relation is stored as its images, packed even if nothing
// else is, and shared between workers like any data file.
func TestCompressedRelation(t *testing.T) {
	one := serverFile(t)
	c, err := pgdata.OpenCompressed(bytes.NewReader(one), int64(len(one)))
	if err != nil {
		t.Fatal(err)
	}
	var images, file []byte
	img := make([]byte, pageSize)
	for blk := range c.Blocks() {
		if err := c.ReadBlock(blk, img); err != nil {
			t.Fatal(err)
		}
		images = append(images, img...)
	}
	const extents = 5
	for range extents { // all but the last are full
		file = append(file, one...)
	}
	blocks := int(extents-1)*pgdata.ExtentBlocks + int(c.Blocks())
	marked := new(ptrack.PageMap)
	marked.Add(1)
	marked.Add(pgdata.ExtentBlocks)
	tr := newTree(t, crashfs.New())
	add := func(path string, m *ptrack.PageMap, blocks int) *Task {
		task := tr.add(t, path, Pages, file)
		task.Size, task.Map = int64(blocks)*pageSize, m
		task.Compressed = &remote.CompressedFile{Rel: 16639, MoveDir: "/data/global/pg_dw_ext_chunk"}
		return task
	}
	add("base/1_compress", nil, blocks)
	add("base/2_compress", marked, blocks)
	add("base/3_compress", new(ptrack.PageMap), blocks)
	add("base/4_compress", nil, blocks+200).Alg = compress.LZ4
	for _, workers := range []int{1, 4} {
		out, err := tr.copy(context.Background(), func(o *Options) {
			o.Workers, o.Rules = workers, pgdata.PageRules{Family: pgdata.OpenGauss, Checksums: true}
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]struct {
			alg            compress.Algorithm
			blocks, stored int
			ended          bool
		}{
			"base/1_compress": {compress.PGLZ, blocks, blocks, false},
			"base/2_compress": {compress.PGLZ, blocks, 2, false},
			"base/3_compress": {compress.None, blocks, 0, false},
			"base/4_compress": {compress.LZ4, blocks, blocks, true},
		}
		for path, w := range want {
			r := out.results[path]
			if r.Alg != w.alg || int(r.Blocks) != w.blocks || r.Headers.N != w.stored || r.Truncated != w.ended || r.Copied != int64(w.stored)*pageSize {
				t.Errorf("%s: %+v, want %+v", path, r, w)
			}
			checkStored(t, tr.fs, "/out/"+path, r, images, int(c.Blocks()))
		}
	}
}

// checkStored compares stored pages with images that repeat in each extent.
func checkStored(t *testing.T, fsys fsx.FS, path string, r Result, images []byte, per int) {
	t.Helper()
	stored := read(t, fsys, path)
	if int64(len(stored)) != r.Size || crc32c.Sum(stored) != r.CRC {
		t.Errorf("%s: %d bytes, want %d", path, len(stored), r.Size)
	}
	if r.Size == 0 {
		return
	}
	codec, err := compress.New(r.Alg, 1)
	if err != nil {
		t.Fatal(err)
	}
	page, zero := make([]byte, pageSize), make([]byte, pageSize)
	for f := blockfile.NewReader(bytes.NewReader(stored)); ; {
		h, payload, err := f.Next()
		if err == io.EOF {
			return
		}
		if err == nil {
			err = blockfile.Decode(codec, page, payload)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := zero
		if at := int(h.Block) % pgdata.ExtentBlocks; at < per {
			want = images[at*pageSize:][:pageSize]
		}
		if !bytes.Equal(page, want) {
			t.Errorf("%s: block %d differs", path, h.Block)
		}
	}
}

// dwHeader is a header page of golden 02_backups.
func dwHeader(t *testing.T, head, tail string) []byte {
	t.Helper()
	page := make([]byte, pageSize)
	for _, off := range []int{0, 4096, 7680} {
		for at, s := range map[int]string{off: head, off + 508: tail} {
			b, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			copy(page[at:], b)
		}
	}
	return page
}

// Double-write files are stored as new ones, mostly holes, and are unchanged
// in the next backup whatever the server has done with them.
func TestDoubleWrite(t *testing.T) {
	dir := t.TempDir()
	single := dwHeader(t, "000021000000020011690100", "55032100")
	batch := dwHeader(t, "00000000b621020011690100", "f4da0000")
	files := map[string]struct {
		size    int64
		pages   map[int64][]byte
		emptied bool
	}{
		"pg_dw_single": {256 << 20, map[int64][]byte{0: single, 31739: single, 17: batch}, true},
		"pg_dw_0":      {16 << 20, map[int64][]byte{0: batch, 1: single, 5: batch}, true},
		"pg_dw_1":      {1 << 20, map[int64][]byte{0: make([]byte, pageSize), 1: batch}, false},
		"pg_dw_meta":   {3 * pageSize, map[int64][]byte{0: batch}, false},
	}
	var tasks []Task
	for name, f := range files {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Truncate(f.size); err != nil {
			t.Fatal(err)
		}
		for at, page := range f.pages {
			if _, err := file.WriteAt(page, at*pageSize); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, Task{Dirs: &Dirs{Source: dir, Dest: filepath.Join(dir, "out")}, Path: name, Size: f.size, Mode: 0o100600, Kind: DoubleWrite})
	}
	tasks = append(tasks, Task{Dirs: &Dirs{Source: dir, Dest: filepath.Join(dir, "out")}, Path: "pg_dw_2", Size: 1 << 20, Kind: DoubleWrite})
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	tr := &tree{fs: fsx.OS(), tasks: tasks}
	out, err := tr.copy(context.Background(), func(o *Options) { o.NoSync = true })
	if err != nil {
		t.Fatal(err)
	}
	if r := out.results["pg_dw_2"]; r.Outcome != Vanished {
		t.Errorf("missing file: %+v", r)
	}
	for name, f := range files {
		r := out.results[name]
		path := filepath.Join(dir, "out", name)
		stored, err := os.ReadFile(path)
		if err != nil || int64(len(stored)) != f.size || r.Size != f.size || r.Copied != f.size || crc32c.Sum(stored) != r.CRC {
			t.Errorf("%s: %d bytes, %+v, %v", name, len(stored), r, err)
			continue
		}
		source, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(stored, source) == f.emptied {
			t.Errorf("%s: emptied %v, want %v", name, !f.emptied, f.emptied)
		}
		if fi, err := os.Stat(path); err != nil || f.emptied && fi.Sys().(*syscall.Stat_t).Blocks > 64 {
			t.Errorf("%s takes %d blocks, %v", name, fi.Sys().(*syscall.Stat_t).Blocks, err)
		}
	}
	for i := range tr.tasks {
		task := &tr.tasks[i]
		task.Known, task.KnownCRC = true, out.results[task.Path].CRC
	}
	if again, err := tr.copy(context.Background(), nil); err != nil || again.results["pg_dw_single"].Outcome != Unchanged || again.results["pg_dw_0"].Outcome != Unchanged {
		t.Errorf("second copy: %+v, %v", again.results, err)
	}
}
