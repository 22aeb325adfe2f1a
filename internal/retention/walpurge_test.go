package retention

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"
)

// buildArchive adds segments 10 to 13 of timeline 1 and a foreign file, and
// lets F2, the oldest backup, start in segment 12.
func buildArchive(f fsx.FS, root string) error {
	if err := build(f, root); err != nil {
		return err
	}
	inst, err := instance(f, root, event.Discard)
	if err != nil {
		return err
	}
	list, err := inst.Backups(ctx)
	if err != nil {
		return err
	}
	for _, b := range list {
		if b.ID < idF2 {
			err = inst.DeleteBackup(ctx, inst.NewLocker(), b)
		} else {
			err = inst.UpdateControl(b, func(b *catalog.Backup) {
				b.Timeline, b.StartLSN, b.Stream = 1, wal.SegmentStart(12, testSeg)+40, true
			})
		}
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"00000001000000000000000A.gz", "00000001000000000000000B", "00000001000000000000000C",
		"00000001000000000000000B.00000028.backup", "00000001000000000000000D.partial", "00000002.history"} {
		file, err := f.OpenFile(filepath.Join(inst.WALDir(), name), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, "B") || strings.HasSuffix(name, "C") {
			if err := file.Truncate(testSeg); err != nil {
				return err
			}
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

func purgeWAL(f fsx.FS, opts WALOptions, sink event.Sink) (bool, error) {
	inst, err := instance(f, "/b", sink)
	if err != nil {
		return false, err
	}
	return PurgeWAL(ctx, Deps{FS: f, Instance: inst, Sink: sink, Now: func() time.Time { return today }}, opts)
}

func archived(t *testing.T, f fsx.FS) string {
	t.Helper()
	entries, err := f.ReadDir("/b/wal/n1")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Name(), "00000001000000000000000"))
	}
	return strings.Join(names, " ")
}

func TestPurgeWAL(t *testing.T) {
	f := crashfs.New()
	if err := buildArchive(f, "/b"); err != nil {
		t.Fatal(err)
	}
	var foreign []string
	sink := event.Func(func(e event.Event) {
		if u, ok := e.(walarchive.UnexpectedFile); ok {
			foreign = append(foreign, u.Name)
		}
	})
	before := archived(t, f)
	if removed, err := purgeWAL(f, WALOptions{DryRun: true}, sink); removed || err != nil || archived(t, f) != before {
		t.Errorf("dry run: %t, %v, %s", removed, err, archived(t, f))
	}
	const after = "C D.partial 00000002.history"
	if removed, err := purgeWAL(f, WALOptions{}, sink); !removed || err != nil || archived(t, f) != after {
		t.Errorf("%t, %v, %s", removed, err, archived(t, f))
	}
	if removed, err := purgeWAL(f, WALOptions{}, sink); removed || err != nil || archived(t, f) != after {
		t.Errorf("again: %t, %v, %s", removed, err, archived(t, f))
	}
	if s := strings.Join(foreign, " "); s != "00000002.history 00000002.history 00000002.history" {
		t.Errorf("unexpected files %s", s)
	}
}

func TestCrashWhilePurgingWAL(t *testing.T) {
	crashfs.EachStep(t, func(f fsx.FS) error { return buildArchive(f, "/b") }, func(f fsx.FS) error {
		_, err := purgeWAL(f, WALOptions{}, event.Discard)
		return err
	}, func(s crashfs.Step, f *crashfs.FS) {
		if got := archived(t, f); !strings.HasSuffix(got, "C D.partial 00000002.history") {
			t.Errorf("%s: %s", s, got)
		}
		if _, err := purgeWAL(f, WALOptions{}, event.Discard); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if got := archived(t, f); got != "C D.partial 00000002.history" {
			t.Errorf("%s: left over: %s", s, got)
		}
	})
}

// A segment that was cut short must not make the others look old, and without
// any evidence nothing goes.
func TestSegmentSize(t *testing.T) {
	plain := func(size int64) walarchive.File { return walarchive.File{Size: size} }
	packed := walarchive.File{Size: 16 << 20, Compressed: true}
	for _, tt := range []struct {
		files []walarchive.File
		want  uint32
	}{
		{[]walarchive.File{plain(1 << 20), plain(16 << 20), plain(8192)}, 16 << 20},
		{[]walarchive.File{packed, plain(64 << 20)}, 64 << 20},
		{[]walarchive.File{packed, plain(1 << 40), plain(3 << 20)}, 0},
	} {
		if got := segmentSize(crashfs.New(), tt.files, nil); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.files, got, tt.want)
		}
	}
}

// Backups that the C tool has encrypted cannot be asked what WAL they need.
func TestPurgeWALBesideEncryptedBackups(t *testing.T) {
	f := crashfs.New()
	if err := buildArchive(f, "/b"); err != nil {
		t.Fatal(err)
	}
	before := archived(t, f)
	file, err := f.OpenFile("/b/backups/n1/TOW9UX_enc", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	removed, err := purgeWAL(f, WALOptions{}, event.Discard)
	if removed || err == nil || !strings.Contains(err.Error(), "encrypted backups") {
		t.Errorf("%v, %v", removed, err)
	}
	if got := archived(t, f); got != before {
		t.Errorf("left: %s", got)
	}
}
