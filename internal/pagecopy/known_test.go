package pagecopy

import (
	"context"
	"math/rand/v2"
	"testing"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
)

// A plain file the parent backup has is stored again only if its content is
// another one.
func TestKnownFiles(t *testing.T) {
	tr := newTree(t, crashfs.New())
	content := []byte("max_connections = 100\n")
	known := func(path string, kind []byte, crc uint32) {
		task := tr.add(t, path, Plain, kind)
		task.Known, task.KnownCRC = true, crc
	}
	known("base/same", content, crc32c.Sum(content))
	known("base/other", content, crc32c.Sum(content)+1)
	known("base/empty", nil, 0)
	known("base/gone", content, crc32c.Sum(content))
	tr.add(t, "base/new", Plain, content)
	if err := tr.fs.Remove("/data/base/gone"); err != nil {
		t.Fatal(err)
	}
	out, err := tr.copy(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, crc := int64(len(content)), crc32c.Sum(content)
	want := map[string]Result{
		"base/same":  {Outcome: Unchanged, CRC: crc, Alg: compress.None},
		"base/other": {Size: n, Copied: n, CRC: crc, Alg: compress.None},
		"base/empty": {Alg: compress.None},
		"base/gone":  {Outcome: Vanished, Alg: compress.None},
		"base/new":   {Size: n, Copied: n, CRC: crc, Alg: compress.None},
	}
	for path, w := range want {
		if out.results[path] != w {
			t.Errorf("%s: %+v, want %+v", path, out.results[path], w)
		}
		_, err := tr.fs.Stat("/out/" + path)
		if stored := err == nil; stored != (w.Size > 0) {
			t.Errorf("%s: stored %v", path, stored)
		}
	}
}

// All pages of a file are read when only their LSNs can tell what changed, and
// the file's length is known then.
func TestFloorOfTask(t *testing.T) {
	tr := newTree(t, crashfs.New())
	old := make([]byte, 0, 300*pageSize)
	for b := range 300 {
		page := make([]byte, pageSize)
		fillPage(page, uint32(b), rand.New(rand.NewPCG(1, uint64(b))))
		old = append(old, page...)
	}
	tr.add(t, "base/1", Pages, old).Floor = remote.Floor{LSN: 1 << 62, Known: 299}
	tr.add(t, "base/2", Pages, relation(300, 1)).Map = new(ptrack.PageMap)
	out, err := tr.copy(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, pages := range map[string]int{"base/1": 1, "base/2": 0} {
		if r := out.results[path]; r.Headers.N != pages || r.Blocks != 300 {
			t.Errorf("%s: %+v, want %d pages of 300", path, r, pages)
		}
	}
}
