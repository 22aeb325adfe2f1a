package backup

import (
	"encoding/binary"
	"os"
	"path"
	"slices"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/server"
	"gsprobackup/internal/wal"
)

// controlImage is an openGauss pg_control (spec/formats.md §9.1).
func controlImage(minRecovery wal.LSN) []byte {
	b := make([]byte, pgdata.ControlFileSize)
	le := binary.LittleEndian
	le.PutUint32(b[8:], 923)
	le.PutUint64(b[136:], uint64(minRecovery))
	le.PutUint32(b[192:], 8192)
	le.PutUint32(b[196:], 131072)
	le.PutUint32(b[200:], 8192)
	le.PutUint32(b[204:], 16<<20)
	le.PutUint32(b[224:], crc32c.Sum(b[:224]))
	return b
}

// A backup from a standby stores a pg_control that demands recovery up to the
// stop position; that of a primary stays as it was copied.
func TestRequireRecovery(t *testing.T) {
	tests := []struct {
		name               string
		replica            bool
		current, stop, min wal.LSN
	}{
		{"standby", true, 0x1000, 0x2000, 0x2000},
		{"copied after the answer", true, 0x3000, 0x2000, 0x3000},
		{"primary", false, 0x1000, 0x2000, 0x1000},
	}
	for _, tt := range tests {
		fsys := crashfs.New()
		b := &catalog.Backup{Dir: "/b", FromReplica: tt.replica, StopLSN: tt.stop - 8}
		name := path.Join(b.DatabaseDir(), pgdata.ControlPath)
		if err := fsx.MkdirAll(fsys, path.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		image := controlImage(tt.current)
		if _, err := f.Write(image); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		crc := binary.LittleEndian.Uint32(image[224:])
		var events []event.Event
		r := &run{
			deps:    Deps{FS: fsys, Sink: event.Func(func(e event.Event) { events = append(events, e) })},
			backup:  b,
			stopped: &server.StopResult{LSN: tt.stop},
			source:  &listing{items: []*listed{{Entry: contentlist.Entry{Path: pgdata.ControlPath, Mode: 0o100600, CRC: crc}}}},
		}
		if err := r.requireRecovery(); err != nil {
			t.Fatal(err)
		}
		stored, err := fsx.ReadFile(fsys, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		c, err := pgdata.ParseControl(stored)
		if err != nil || c.MinRecoveryPoint != tt.min || c.CRC != r.source.items[0].CRC {
			t.Errorf("%s: %+v, %v; list has %d", tt.name, c, err, r.source.items[0].CRC)
		}
		want := []event.Event{MinRecoveryPoint{Current: tt.current, Set: tt.min}}
		if !tt.replica {
			want = nil
		}
		if !slices.Equal(events, want) {
			t.Errorf("%s: events %v, want %v", tt.name, events, want)
		}
	}
	r := &run{backup: &catalog.Backup{FromReplica: true}, source: &listing{}}
	if err := r.requireRecovery(); err == nil || err.Error() != `Failed to find file "global/pg_control" in backup filelist.` {
		t.Errorf("without pg_control: %v", err)
	}
}
