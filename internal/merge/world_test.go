package merge_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/merge"
	"gsprobackup/test/checker"
	"gsprobackup/test/golden"
)

// world is a small catalog of the C tool and what was said.
type world struct {
	t  testing.TB
	m  golden.Machine
	c  golden.Catalog
	fs fsx.FS
	// cut tells that the backups lack what the checker looks for.
	cut bool

	mu     sync.Mutex
	events []event.Event
}

func newWorld(t testing.TB, name string) *world {
	t.Helper()
	m, c := golden.Start(t, name)
	return &world{t: t, m: m, c: c, fs: m.FS()}
}

func (w *world) Emit(e event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) instance() *catalog.Instance {
	w.t.Helper()
	inst, err := catalog.Open(w.fs, w.c.Dir, catalog.Options{Sink: w, Location: time.UTC}).Instance(w.c.Instance)
	w.must(err)
	return inst
}

func id(t testing.TB, s string) catalog.ID {
	t.Helper()
	v, err := catalog.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) merge(target string) error {
	w.t.Helper()
	deps := merge.Deps{FS: w.fs, Instance: w.instance(), Sink: w, Now: func() time.Time { return time.Unix(1800000000, 0) }}
	return merge.Run(context.Background(), deps, merge.Options{ID: id(w.t, target), Threads: 2})
}

// path is the real place of a file in a backup's directory.
func (w *world) path(id, rel string) string {
	return filepath.Join(w.m.Path(w.c.BackupDir(id)), rel)
}

// statuses tells directories and states, oldest first.
func (w *world) statuses() string {
	w.t.Helper()
	list, err := w.instance().Backups(context.Background())
	w.must(err)
	var out []string
	for _, b := range slices.Backward(list) {
		out = append(out, fmt.Sprintf("%s %s %s", filepath.Base(b.Dir), b.Mode, b.Status))
	}
	return strings.Join(out, ", ")
}

// content is what the backups, FULL first, restore to: for each listed file
// its type and a checksum of its bytes, by a naive reading of formats.md §5.7.
// Row-compressed relations are told block by block.
func content(t testing.TB, fsys fsx.FS, dirs ...string) string {
	t.Helper()
	type member struct {
		dir     string
		entries map[string]catalog.Entry
	}
	var members []member
	for _, dir := range dirs {
		list, err := catalog.LoadContent(fsys, &catalog.Backup{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		m := member{dir, map[string]catalog.Entry{}}
		for _, e := range list {
			m.entries[fmt.Sprint(e.ExternalDir, " ", e.Path)] = e
		}
		members = append(members, m)
	}
	var out []string
	for key, e := range members[len(members)-1].entries {
		line := fmt.Sprintf("%s %o", key, e.Mode)
		if e.IsRegular() {
			var data []byte
			for _, m := range members {
				x, ok := m.entries[key]
				if !ok || x.Size < 0 || x.Size == 0 && e.IsDatafile {
					continue
				}
				var raw []byte
				if x.Size > 0 {
					var err error
					if raw, err = fsx.ReadFile(fsys, filepath.Join((&catalog.Backup{Dir: m.dir}).EntryDir(x.ExternalDir), x.Path), x.Size); err != nil {
						t.Fatal(err)
					}
				}
				if !e.IsDatafile {
					data = raw
					continue
				}
				data = overlay(t, data, raw, x.CompressAlg)
			}
			if e.IsDatafile && (e.Size == 0 || len(data) > e.NBlocks*8192) {
				data = data[:min(len(data), e.NBlocks*8192)]
			}
			if e.IsDatafile && e.Size == 0 {
				data = nil
			}
			line += fmt.Sprintf(" %d %08x", len(data), crc32.ChecksumIEEE(data))
		}
		out = append(out, line)
	}
	sort.Strings(out)
	return strings.Join(out, "\n") + "\n"
}

func overlay(t testing.TB, data, stored []byte, alg compress.Algorithm) []byte {
	t.Helper()
	codec, err := compress.New(alg, 1)
	if err != nil {
		t.Fatal(err)
	}
	for len(stored) > 0 {
		block, n := blockfile.FrameHeader(stored)
		end := (int(block) + 1) * 8192
		if len(data) < end {
			data = append(data, make([]byte, end-len(data))...)
		}
		if err := blockfile.Decode(codec, data[end-8192:end], stored[8:8+n]); err != nil {
			t.Fatal(err)
		}
		stored = stored[8+n:]
	}
	return data
}

// chain is the content of a backup before anything is merged.
func (w *world) chain(last string) string {
	w.t.Helper()
	var dirs []string
	for _, b := range w.c.Backups {
		dirs = append(dirs, w.c.BackupDir(b))
		if b == last {
			break
		}
	}
	return content(w.t, w.fs, dirs...)
}

// sound expects the merged backup to have this content, nothing else in its
// directory, and no fault.
func (w *world) sound(id, want string) {
	w.t.Helper()
	diff(w.t, content(w.t, w.fs, w.c.BackupDir(id)), want)
	if !w.cut {
		w.check(id)
	}
	w.complete(id)
}

// check is the second opinion on the format.
func (w *world) check(id string) {
	w.t.Helper()
	problems, _, err := checker.CheckBackup(w.path(id, ""), checker.Options{Foreign: true})
	w.must(err)
	for _, p := range checker.Errors(problems) {
		w.t.Error(p)
	}
}

// complete expects the listed files and no others.
func (w *world) complete(id string) {
	w.t.Helper()
	dir := w.c.BackupDir(id)
	own := catalog.Backup{Dir: dir}
	listed := map[string]bool{own.ControlPath(): true, own.ContentPath(): true, own.HeaderMapPath(): true}
	list, err := catalog.LoadContent(w.fs, &own)
	w.must(err)
	for _, e := range list {
		if e.IsRegular() && e.Size > 0 {
			listed[filepath.Join(own.EntryDir(e.ExternalDir), e.Path)] = true
		}
	}
	w.must(w.walk(dir, func(name string) {
		if !listed[name] {
			w.t.Errorf("left over: %s", name)
		}
	}))
}

// walk names the files below a directory.
func (w *world) walk(dir string, file func(name string)) error {
	list, err := w.fs.ReadDir(dir)
	for _, d := range list {
		name := filepath.Join(dir, d.Name())
		if d.IsDir() {
			err = errors.Join(err, w.walk(name, file))
		} else {
			file(name)
		}
	}
	return err
}

func diff(t testing.TB, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, n := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range g {
		if !slices.Contains(n, line) {
			t.Errorf("has  %s", line)
		}
	}
	for _, line := range n {
		if !slices.Contains(g, line) {
			t.Errorf("want %s", line)
		}
	}
}

// memory is the world in memory, which can crash. Nothing in it has another
// name outside.
func (w *world) memory() *crashfs.FS {
	w.t.Helper()
	f, err := crashfs.CopyOf(w.fs, w.c.Dir)
	w.must(err)
	return f
}

// on is the world on another file system.
func (w *world) on(t testing.TB, fsys fsx.FS) *world {
	return &world{t: t, c: w.c, fs: fsys, cut: w.cut}
}

var errKilled = errors.New("killed")
