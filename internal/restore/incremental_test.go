package restore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/fsx"
	pg "gsprobackup/internal/pgdata"
	"gsprobackup/internal/restore"
	"gsprobackup/test/golden"
)

const page = 8192

// again is a second restore over the result of the first one.
func (w *world) again(id string, mode restore.Incremental) restore.Options {
	opts := w.options(id)
	opts.NoValidate = true
	opts.Incremental = mode
	return opts
}

// tree reads everything below the machine's /home/omm but the catalog: names,
// kinds, modes, contents.
func (w *world) tree() map[string]string {
	w.t.Helper()
	root := w.m.Path("/home/omm")
	out := map[string]string{}
	w.must(filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == w.m.Path(w.c.Dir) {
			return filepath.SkipDir
		}
		fi, err := os.Lstat(name)
		if err != nil {
			return err
		}
		text := fi.Mode().String()
		switch {
		case fi.Mode().IsRegular():
			content, err := digest(name)
			if err != nil {
				return err
			}
			text += content
		case fi.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(name)
			if err != nil {
				return err
			}
			text += to
		}
		out[strings.TrimPrefix(name, root)] = text
		return nil
	}))
	return out
}

// digest is the length of a file and a sum of its content. Zeros are left
// out, for there are hundreds of megabytes of holes.
func digest(name string) (string, error) {
	f, err := fsx.OS().Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := fsx.WalkSparse(context.Background(), f, make([]byte, page), fsx.Walker{
		Data: func(off int64, p []byte) error {
			for part := range slices.Chunk(p, 512) { // where holes are does not count
				if !pg.IsZero(part) {
					fmt.Fprint(h, off)
					h.Write(part)
				}
				off += int64(len(part))
			}
			return nil
		},
		Hole: func(int64, int64) error { return nil },
	})
	return fmt.Sprintf(" %d bytes, sum %x", n, h.Sum(nil)), err
}

// sameTree wants two trees to be alike.
func (w *world) sameTree(got, want map[string]string) {
	w.t.Helper()
	for name, text := range want {
		if got[name] == text {
			continue
		}
		w.t.Errorf("%s: %s, want %s", name, got[name], text)
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			w.t.Errorf("%s should not be there", name)
		}
	}
}

// A restore over any other state of the cluster ends where a restore from
// nothing does, to the last byte.
func TestIncrementalGolden(t *testing.T) {
	for _, c := range golden.Small {
		for i, id := range c.Backups {
			if i%3 == 1 { // the middle of a chain shows nothing new
				continue
			}
			t.Run(c.Name+"/"+id, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, c.Name)
				if c.Name != golden.Raw && c.Name != golden.Mixed {
					w.recordedMappings()
				}
				plain := w.options(id)
				plain.NoValidate = true
				w.must(w.run(plain))
				want := w.tree()
				w.compare(id)
				rng := rand.New(rand.NewPCG(uint64(i), 7))
				for round := range 2 {
					// The first round starts from another backup.
					if other := c.Backups[(i+1)%len(c.Backups)]; round == 0 && other != id {
						w.must(w.run(w.again(other, restore.IncrementalChecksum)))
					}
					w.disturb(rng)
					w.events = nil
					w.must(w.run(w.again(id, restore.IncrementalChecksum)))
					w.sameTree(w.tree(), want)
				}
				w.compare(id)
				w.events = nil
				w.must(w.run(w.again(id, restore.IncrementalChecksum)))
				w.sameTree(w.tree(), want)
				if n := w.writtenBytes(); n > 200_000 {
					t.Errorf("%d bytes written over the same", n)
				}
			})
		}
	}
}

func (w *world) writtenBytes() int64 {
	for _, e := range w.events {
		if e, ok := e.(restore.FilesFinished); ok {
			return e.Written
		}
	}
	return -1
}

// disturb changes the restored directories in all ways a server, a crash or a
// person could.
func (w *world) disturb(rng *rand.Rand) {
	w.t.Helper()
	var files, dirs []string
	for _, root := range []string{pgdata, "/home/omm/ext1_r"} {
		err := filepath.WalkDir(w.m.Path(root), func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && !strings.HasSuffix(name, "/global/pg_control") {
				files = append(files, name)
			}
			if err == nil && d.IsDir() && name != w.m.Path(root) {
				dirs = append(dirs, name)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatal(err)
		}
	}
	slices.Sort(files)
	for _, name := range files {
		switch rng.IntN(14) {
		case 0:
			w.must(os.Remove(name))
		case 1:
			w.must(os.WriteFile(name, nil, 0o600))
		case 2:
			w.must(os.Chmod(name, 0o644))
		case 3, 4, 5, 6, 7:
			w.disturbContent(rng, name)
		case 8:
			w.must(os.Remove(name))
			w.must(os.MkdirAll(name+"/deep/.hidden", 0o700))
		case 9:
			w.must(os.Remove(name))
			w.must(os.Symlink("/nowhere", name))
		}
	}
	for _, dir := range dirs {
		if _, err := os.Lstat(dir); err != nil {
			continue
		}
		switch rng.IntN(5) {
		case 0:
			w.must(os.WriteFile(filepath.Join(dir, fmt.Sprint(rng.IntN(1000)+900000)), []byte("new"), 0o600))
		case 1:
			w.must(os.MkdirAll(filepath.Join(dir, "new/deep"), 0o700))
			w.must(os.WriteFile(filepath.Join(dir, "new/deep/file"), []byte("new"), 0o600))
		case 2:
			w.must(os.Chmod(dir, 0o755))
		case 3:
			link := filepath.Join(dir, "newlink")
			w.must(os.RemoveAll(link))
			w.must(os.Symlink(dir, link))
		}
	}
}

// disturbContent changes some pages of a file, or its length.
func (w *world) disturbContent(rng *rand.Rand, name string) {
	w.t.Helper()
	fi, err := os.Stat(name)
	w.must(err)
	if fi.Size() > 20<<20 { // a double-write file: touch it where it is
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		w.must(err)
		_, err = f.WriteAt([]byte("something"), rng.Int64N(fi.Size()))
		w.must(errors.Join(err, f.Close()))
		return
	}
	content, err := os.ReadFile(name)
	w.must(err)
	pages := len(content) / page
	switch rng.IntN(6) {
	case 0:
		content = content[:rng.IntN(len(content)+1)]
	case 1:
		content = append(content, bytes.Repeat([]byte{1, 2, 3}, rng.IntN(10000))...)
	case 2:
		content = append(content, make([]byte, page)...)
	default:
		if pages == 0 {
			content = append(content, 'x')
			break
		}
		for range rng.IntN(4) + 1 {
			p := content[rng.IntN(pages)*page:][:page]
			switch rng.IntN(4) {
			case 0:
				clear(p)
			case 1: // a torn page
				copy(p[page/2:], bytes.Repeat([]byte{0xA5}, page/2))
			case 2: // another content, sound, with the same LSN: a hint bit
				p[page-100] ^= 4
				binary.LittleEndian.PutUint16(p[8:], pg.PageChecksum(p, 0, pg.OpenGauss))
			case 3:
				p[rng.IntN(page)] ^= 0x40
			}
		}
	}
	w.must(os.WriteFile(name, content, fi.Mode()))
}
