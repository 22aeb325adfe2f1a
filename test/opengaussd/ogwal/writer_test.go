package ogwal

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

const systemID = 215046882207064539

func readerOptions() wal.ReaderOptions {
	return wal.ReaderOptions{Format: wal.OpenGauss(), Timeline: Timeline, SegSize: SegSize, SystemID: systemID}
}

// TestRecordsAsRecorded encodes the records of a recorded backup and compares
// them with the bytes the server sent (11_wire/b_ptrack_stream_ha_01.txt).
func TestRecordsAsRecorded(t *testing.T) {
	cases := []struct {
		name string
		rec  Record
		prev wal.LSN
		want string
	}{
		{"standby CSN", StandbyCSN(0x3239), 0x4C077138,
			"2a0000000100000000000000000000003871074c00000000300800007fc3e779ff083932000000000000"},
		{"backup end", BackupEnd(0x4D000028), 0x4D000148,
			"2a0000000100000000000000000000004801004d0000000050000000c1531a33ff082800004d00000000"},
		{"switch", switchRecord(), 0x4D0001B8,
			"20000000010000000000000000000000b801004d000000004000000028df8055"},
	}
	for _, tc := range cases {
		if got := hex.EncodeToString(tc.rec.encode(tc.prev)); got != tc.want {
			t.Errorf("%s: %s, recorded %s", tc.name, got, tc.want)
		}
	}
}

// TestReadBack: the product's reader accepts any log this writer makes, record
// by record, over page and segment borders.
func TestReadBack(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "wal")
		if err != nil {
			t.Fatal(err)
		}
		w, err := New(dir, systemID, 0x5D000000)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		type rec struct{ start, end wal.LSN }
		var want []rec
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(7000, 40000)), 1, 40).Draw(t, "sizes")
		switchAt := rapid.IntRange(0, len(sizes)).Draw(t, "switch at")
		for i, n := range sizes {
			if i == switchAt {
				if _, err := w.Switch(); err != nil {
					t.Fatal(err)
				}
			}
			start, end, err := w.Append(Noop(uint64(i), bytes.Repeat([]byte{byte(i)}, n)))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, rec{start, end})
		}
		last := want[len(want)-1]
		src := wal.Dir{FS: fsx.OS(), Path: dir}
		if stats, err := wal.CheckRange(context.Background(), src, want[0].start, last.start, wal.CheckOptions{ReaderOptions: readerOptions()}); err != nil {
			t.Fatal(err)
		} else if stats.Records < int64(len(want)) || stats.End != last.end {
			t.Fatalf("read %d records up to %s, wrote %d up to %s", stats.Records, stats.End, len(want), last.end)
		}
	})
}

// TestRecordOverSegments: one record longer than a segment.
func TestRecordOverSegments(t *testing.T) {
	dir := t.TempDir()
	w, err := New(dir, systemID, 0xFF000000) // the name's middle part changes too
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	first, _, err := w.Append(Noop(1, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Append(Noop(2, make([]byte, SegSize+12345))); err != nil {
		t.Fatal(err)
	}
	last, _, err := w.Append(Noop(3, nil))
	if err != nil {
		t.Fatal(err)
	}
	src := wal.Dir{FS: fsx.OS(), Path: dir}
	stats, err := wal.CheckRange(context.Background(), src, first, last, wal.CheckOptions{ReaderOptions: readerOptions()})
	if err != nil || stats.Records != 3 || stats.Segments != 2 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// TestBackupPositions: the positions of a whole idle backup are those of the
// recording (formats.md §10.5).
func TestBackupPositions(t *testing.T) {
	w, err := New(t.TempDir(), systemID, 0x4D000000)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ckpt, err := CheckpointOnline(make([]byte, 88))
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		rec  Record
		want wal.LSN
	}{
		{StandbyCSN(1), 0x4D000028}, {RunningXacts(5), 0x4D000058}, {ckpt, 0x4D0000A8},
		{RestorePoint(time.Unix(1e9, 0), "pg_probackup, backup_id TOWB5G"), 0x4D000148}, {BackupEnd(0x4D000028), 0x4D0001B8},
	}
	for i, s := range steps {
		start, _, err := w.Append(s.rec)
		if err != nil {
			t.Fatal(err)
		}
		if start != s.want {
			t.Errorf("record %d at %s, recorded %s", i, start, s.want)
		}
	}
	start, err := w.Switch()
	if err != nil {
		t.Fatal(err)
	}
	if start != 0x4D0001E8 || w.End() != 0x4E000000 {
		t.Errorf("switch at %s, end %s", start, w.End())
	}
}
