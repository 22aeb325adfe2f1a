package walstream

import (
	"context"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

const mib = 1 << 20

// fakeStream is a server played by a test.
type fakeStream struct {
	in     chan []byte // payloads; closed: the stream ends with end
	end    error
	sendTo func(payload []byte) error

	mu   sync.Mutex
	sent []Status
	d    Dialect
}

func newFake(d Dialect) *fakeStream {
	return &fakeStream{in: make(chan []byte), d: d}
}

func (f *fakeStream) Receive(ctx context.Context) ([]byte, error) {
	select {
	case b, ok := <-f.in:
		if !ok {
			return nil, f.end
		}
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fakeStream) Send(_ context.Context, payload []byte) error {
	f.mu.Lock()
	f.sent = append(f.sent, parseStatus(payload))
	f.mu.Unlock()
	if f.sendTo != nil {
		return f.sendTo(payload)
	}
	return nil
}

func (f *fakeStream) statuses() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Status(nil), f.sent...)
}

// parseStatus reads a status reply as a server would (server.md §4.2, §4.6).
func parseStatus(b []byte) Status {
	switch len(b) {
	case 65:
		le := binary.LittleEndian
		return Status{
			Write: wal.LSN(le.Uint64(b[9:])), Flush: wal.LSN(le.Uint64(b[17:])), Apply: wal.LSN(le.Uint64(b[25:])),
			SendTime: wal.ServerTime(int64(le.Uint64(b[49:]))), ReplyRequested: b[57] == 1,
		}
	case 34:
		be := binary.BigEndian
		return Status{
			Write: wal.LSN(be.Uint64(b[1:])), Flush: wal.LSN(be.Uint64(b[9:])), Apply: wal.LSN(be.Uint64(b[17:])),
			SendTime: wal.ServerTime(int64(be.Uint64(b[25:]))), ReplyRequested: b[33] == 1,
		}
	}
	panic("status of unknown length")
}

// walMessage and keepalive build what a server sends.
func walMessage(d Dialect, start wal.LSN, data []byte) []byte {
	if d.name == "openGauss" {
		b := make([]byte, 65, 65+len(data))
		b[0] = 'w'
		binary.LittleEndian.PutUint64(b[1:], uint64(start))
		binary.LittleEndian.PutUint64(b[9:], uint64(start)+uint64(len(data)))
		return append(b, data...)
	}
	b := make([]byte, 25, 25+len(data))
	b[0] = 'w'
	binary.BigEndian.PutUint64(b[1:], uint64(start))
	binary.BigEndian.PutUint64(b[9:], uint64(start)+uint64(len(data)))
	return append(b, data...)
}

func keepalive(d Dialect, end wal.LSN, reply bool) []byte {
	if d.name == "openGauss" {
		b := make([]byte, 33)
		b[0] = 'k'
		binary.LittleEndian.PutUint64(b[1:], uint64(end))
		b[25] = flag(reply)
		return b
	}
	b := make([]byte, 18)
	b[0] = 'k'
	binary.BigEndian.PutUint64(b[1:], uint64(end))
	b[17] = flag(reply)
	return b
}

// eventLog collects events.
type eventLog struct {
	mu  sync.Mutex
	all []event.Event
}

func (l *eventLog) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

func (l *eventLog) list() []event.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]event.Event(nil), l.all...)
}

func count[E event.Event](l *eventLog) (n int, last E) {
	for _, e := range l.list() {
		if x, ok := e.(E); ok {
			n, last = n+1, x
		}
	}
	return n, last
}

// brokenFS fails chosen operations, can hold up syncs and notes what is done.
type brokenFS struct {
	fsx.FS
	mu     sync.Mutex
	log    []string
	write  func(off int64) error
	sync   func() error
	rename error
}

func (b *brokenFS) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	b.note("open", name)
	f, err := b.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &brokenFile{File: f, b: b}, nil
}

func (b *brokenFS) Rename(o, n string) error {
	b.note("rename", o)
	if b.rename != nil {
		return b.rename
	}
	return b.FS.Rename(o, n)
}

func (b *brokenFS) SyncDir(name string) error {
	b.note("syncdir", "")
	return b.FS.SyncDir(name)
}

func (b *brokenFS) note(op, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, strings.TrimSpace(op+" "+strings.TrimLeft(filepath.Ext(name), ".")))
}

type brokenFile struct {
	fsx.File
	b *brokenFS
}

func (f *brokenFile) Truncate(size int64) error {
	f.b.note("truncate", "")
	return f.File.Truncate(size)
}

func (f *brokenFile) Close() error {
	f.b.note("close", "")
	return f.File.Close()
}

func (f *brokenFile) WriteAt(p []byte, off int64) (int, error) {
	f.b.note("write", "")
	if f.b.write != nil {
		if err := f.b.write(off); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(p, off)
}

func (f *brokenFile) Sync() error {
	f.b.note("sync", "")
	if f.b.sync != nil {
		if err := f.b.sync(); err != nil {
			return err
		}
	}
	return f.File.Sync()
}

func options(d Dialect, dir string) Options {
	return Options{Dialect: d, FS: fsx.OS(), Dir: dir, Timeline: 1, SegSize: mib, Start: 5 * mib}
}

func mustStart(t testing.TB, s CopyStream, o Options) *Receiver {
	t.Helper()
	r, err := Start(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ls(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func unzstd(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("..", "testdata", name))
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
