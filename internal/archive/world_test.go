package archive_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"gsprobackup/internal/archive"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// The recorded segments of a PostgreSQL 15 server, 1 MB each; B ends the log
// with a switch.
const (
	seg9    = "000000010000000000000009"
	segA    = "00000001000000000000000A"
	segB    = "00000001000000000000000B"
	pgFile  = "../wal/testdata/pg15_"
	ogFile  = "../wal/testdata/og6_"
	history = "00000002.history"
)

func recorded(t testing.TB, file string) []byte {
	t.Helper()
	packed, err := os.ReadFile(file + ".zst")
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b, err := d.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// world is a catalog and a server's directory of WAL on any file system.
type world struct {
	t      testing.TB
	fs     fsx.FS
	inst   *catalog.Instance
	source string // the server's pg_wal

	mu     sync.Mutex // files are archived several at a time
	events []event.Event
}

const (
	root   = "/b"
	source = "/data/pg_wal"
)

// build makes an empty catalog and pg_wal below dir.
func build(fsys fsx.FS, dir string) error {
	c := catalog.Open(fsys, dir+root, catalog.Options{Location: time.UTC})
	if err := fsx.MkdirAll(fsys, dir+source+"/archive_status", 0o700); err != nil {
		return err
	}
	if err := c.Init(); err != nil {
		return err
	}
	_, err := c.AddInstance(context.Background(), "n1", catalog.NewConfig())
	return err
}

func open(t testing.TB, fsys fsx.FS, dir string) *world {
	t.Helper()
	inst, err := catalog.Open(fsys, dir+root, catalog.Options{Location: time.UTC}).Instance("n1")
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, fs: fsys, inst: inst, source: dir + source}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	if err := build(fsx.OS(), dir); err != nil {
		t.Fatal(err)
	}
	return open(t, fsx.OS(), dir)
}

func write(fsys fsx.FS, name string, data []byte) error {
	f, err := fsys.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// serve puts a file into pg_wal and marks it as ready.
func (w *world) serve(name string, data []byte) {
	w.t.Helper()
	w.must(write(w.fs, filepath.Join(w.source, name), data))
	w.must(write(w.fs, filepath.Join(w.source, "archive_status", name+".ready"), nil))
}

// put puts a file into the archive by other means.
func (w *world) put(name string, data []byte) {
	w.t.Helper()
	w.must(write(w.fs, w.archived(name), data))
}

func (w *world) archived(name string) string { return filepath.Join(w.inst.WALDir(), name) }

func (w *world) push(name string, change ...func(*archive.PushOptions)) error {
	o := archive.PushOptions{Instance: w.inst, WALDir: w.source, Name: name}
	for _, c := range change {
		c(&o)
	}
	return archive.Push(context.Background(), archive.Deps{FS: w.fs, Sink: event.Func(w.note)}, o)
}

func (w *world) get(name string, change ...func(*archive.GetOptions)) ([]byte, error) {
	target := filepath.Join(w.source, "RECOVERYXLOG")
	o := archive.GetOptions{Instance: w.inst, Name: name, Target: target}
	for _, c := range change {
		c(&o)
	}
	if err := archive.Get(context.Background(), archive.Deps{FS: w.fs, Sink: event.Func(w.note)}, o); err != nil {
		if _, serr := w.fs.Lstat(target); !errors.Is(serr, fs.ErrNotExist) {
			w.t.Errorf("%s: a file was left although the answer was %v", name, err)
		}
		return nil, err
	}
	data, err := fsx.ReadFile(w.fs, target, 64<<20)
	w.must(err)
	w.must(w.fs.Remove(target))
	return data, nil
}

func (w *world) note(e event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// list names the files of a directory.
func list(t testing.TB, fsys fsx.FS, dir string) string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Name(), "00000001000000000000000"))
	}
	return strings.Join(names, " ")
}

func wantText(t testing.TB, err error, text string) {
	t.Helper()
	var user *usererr.Error
	if !errors.As(err, &user) || !strings.Contains(user.Text, text) {
		t.Errorf("error %v, want %q", err, text)
	}
}
