package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/pieces"
	"gsprobackup/internal/remote"
)

// restoreOne restores the file of a chain into fsys, over here if that is not
// nil, and returns its content and the bytes written.
func restoreOne(t failer, fsys *crashfs.FS, list []*member, pgdataDir string, here []byte) (content []byte, written int64) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(pgdataDir, relPath)
	must(fsx.MkdirAll(fsys, filepath.Dir(target), 0o700))
	w := &writeOut{
		run: &run{
			deps: Deps{FS: fsys, Host: remote.Local(fsys), Sink: event.Discard}, opts: Options{PGData: pgdataDir, NoSync: true},
			dest: &catalog.Backup{}, layout: pgdata.NewLayout(pgdata.PostgreSQL, 15),
		},
		members: list, present: map[fileKey]present{},
	}
	dest := &w.destMember().entries[0]
	w.entries, w.same = append(w.entries, dest), []bool{false}
	if here != nil {
		w.mode = IncrementalChecksum
		must(fsx.WriteFileDurable(fsys, target, 0o600, func(out io.Writer) error { _, err := out.Write(here); return err }))
		w.present[keyOf(dest)] = present{size: int64(len(here)), mode: 0o600}
	}
	w.queue = pieces.New[*pageFile](1)
	w.syncer = newSyncer(context.Background(), w.deps.Host, true, 1)
	must(w.work(context.Background()))
	content, err := fsx.ReadFile(fsys, target, 1<<20)
	must(err)
	return content, w.written.Load()
}

// A data file that is written over another one is the same as one that is
// written anew, whatever chain and file are; and it is not written again.
func TestOverProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var chain []*generation
		backups := rapid.IntRange(1, 4).Draw(t, "backups")
		for i := range backups {
			g := &generation{blocks: rapid.IntRange(0, 12).Draw(t, "blocks")}
			for b := range g.blocks {
				if i == 0 || rapid.IntRange(0, 2).Draw(t, "stored") == 0 {
					g.stored = append(g.stored, uint32(b))
				}
			}
			chain = append(chain, g)
		}
		here := []byte{}
		for range rapid.IntRange(0, 14).Draw(t, "here") {
			letter := rapid.SampledFrom([]byte{0, 'A', 'B', 'C', 'D', 'x'}).Draw(t, "letter")
			here = append(here, bytes.Repeat([]byte{letter}, blockSize)...)
		}
		here = append(here, bytes.Repeat([]byte{'p'}, rapid.SampledFrom([]int{0, 0, 100}).Draw(t, "part"))...)

		fsys := crashfs.New()
		list := members(t, fsys, chain)
		want, _ := restoreOne(t, fsys, list, "/anew", nil)
		got, _ := restoreOne(t, fsys, list, "/over", slices.Clone(here))
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d, or other content", len(got), len(want))
		}
		again, written := restoreOne(t, fsys, list, "/over", want)
		if !bytes.Equal(again, want) || written > 0 && len(want) > 0 {
			t.Fatalf("%d bytes written again", written)
		}
	})
}

// What passes through a differ ends up in the file, whatever was there.
func TestDifferProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, fsys := context.Background(), crashfs.New()
		host := remote.Local(fsys)
		stretch := func() []byte {
			n := rapid.SampledFrom([]int{1, 100, 4096, blockSize, 3 * blockSize, 3*blockSize + 5}).Draw(t, "n")
			return bytes.Repeat([]byte{rapid.SampledFrom([]byte{0, 'a', 'b'}).Draw(t, "letter")}, n)
		}
		var old, want []byte
		for range rapid.IntRange(0, 4).Draw(t, "old") {
			old = append(old, stretch()...)
		}
		fail := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		fail(fsx.WriteFileDurable(fsys, "/f", 0o600, func(out io.Writer) error { _, err := out.Write(old); return err }))
		out, err := host.CreateFile(ctx, "/f", remote.CreateOptions{Mode: 0o600, Keep: true})
		fail(err)
		reader, err := host.NewReader()
		fail(err)
		d := newDiffer(ctx, reader, out, "/f", int64(len(old)))
		for range rapid.IntRange(0, 4).Draw(t, "new") {
			p := stretch()
			want = append(want, p...)
			if p[0] == 0 && rapid.Bool().Draw(t, "hole") {
				fail(d.Hole(int64(len(p))))
			} else {
				fail(d.Data(p))
			}
		}
		fail(d.finish())
		fail(errors.Join(out.Close(), reader.Close()))
		got, err := fsx.ReadFile(fsys, "/f", 1<<20)
		fail(err)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, want %d, or other content", len(got), len(want))
		}
		if bytes.Equal(old, want) && d.written >= blockSize {
			t.Fatalf("%d bytes written over the same", d.written)
		}
	})
}
