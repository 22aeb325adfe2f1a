package pgdata

import (
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// controlFiles are whole pg_control files by name, from testdata.
func controlFiles(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/control.txt")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		file := make([]byte, ControlFileSize)
		if _, err := hex.Decode(file, []byte(digits)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files[name] = file
	}
	return files
}

func TestParseControl(t *testing.T) {
	pg := func(id uint64, version, catalog uint32, ckpt, redo wal.LSN, segSize, sums uint32) Control {
		return Control{
			Family: PostgreSQL, SystemID: id, ControlVersion: version, CatalogVersion: catalog,
			State: StateInProduction, Checkpoint: ckpt, Redo: redo, Timeline: 1,
			BlockSize: 8192, RelSegBlocks: 131072, XLogBlockSize: 8192, WALSegSize: segSize,
			DataChecksumVersion: sums, CRCOffset: 288, StructSize: 296,
		}
	}
	const seg = 16 << 20
	want := map[string]Control{
		"openGauss": {
			Family: OpenGauss, SystemID: 215046882207064539, ControlVersion: 923, CatalogVersion: 201611171,
			State: StateInProduction, Checkpoint: 0x5D0001C8, Redo: 0x5D000148, Timeline: 1,
			BlockSize: 8192, RelSegBlocks: 131072, XLogBlockSize: 8192, WALSegSize: seg,
			DataChecksumVersion: 1, CRCOffset: 224, StructSize: 232,
		},
		"pg12": pg(7710992016035781704, 1201, 201909212, 0x1867B10, 0x1867AD8, seg, 1),
		"pg13": pg(7710992019926719597, 1300, 202007201, 0x15C49F8, 0x15C49C0, seg, 0),
		"pg14": pg(7710992023586778258, 1300, 202107181, 0x1943220, 0x19431E8, seg, 1),
		"pg15": pg(7710992027631967415, 1300, 202209061, 0x15007C8, 0x1500790, seg, 0),
		"pg16": pg(7710992031050648795, 1300, 202307071, 0x4721078, 0x4721040, 64<<20, 1),
		"pg17": pg(7710992039194574079, 1700, 202406281, 0x14D8AC0, 0x14D8A68, seg, 0),
		"pg18": pg(7710992046560451875, 1800, 202506291, 0x174B360, 0x174B308, seg, 1),
	}
	w := want["pg18"]
	w.CRCOffset = 292
	want["pg18"] = w
	files := controlFiles(t)
	if len(files) != len(want) {
		t.Fatalf("%d files in testdata, want %d", len(files), len(want))
	}
	for name, file := range files {
		c, err := ParseControl(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := *c
		if got.CRC == 0 {
			t.Errorf("%s: no CRC", name)
		}
		got.CRC = 0
		if got != want[name] {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want[name])
		}
		if err := c.CheckBlockSizes(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if lsn, tli := c.RedoPoint(); lsn != c.Redo || tli != 1 {
			t.Errorf("%s: redo point %v on %d", name, lsn, tli)
		}
	}
}

func TestParseControlErrors(t *testing.T) {
	file := controlFiles(t)["openGauss"]
	for name, tc := range map[string]struct {
		spoil func([]byte) []byte
		text  string
		user  bool
	}{
		"short": {func(b []byte) []byte { return b[:100] }, "unexpected control file size 100, expected 8192", true},
		"empty": {func([]byte) []byte { return nil }, "unexpected control file size 0, expected 8192", true},
		"crc": {func(b []byte) []byte { b[150]++; return b },
			"Calculated CRC checksum does not match value stored in file.\n" +
				"Either the file is corrupt, or it has a different layout than this program\n" +
				"is expecting. The results below are untrustworthy.", true},
		"version": {func(b []byte) []byte { b[8]++; return b }, "read control file: unknown pg_control version 924", false},
	} {
		_, err := ParseControl(tc.spoil(append([]byte(nil), file...)))
		if err == nil || err.Error() != tc.text {
			t.Errorf("%s: error %v, want %q", name, err, tc.text)
			continue
		}
		var ue *usererr.Error
		if errors.As(err, &ue) != tc.user {
			t.Errorf("%s: user error: want %v", name, tc.user)
		}
		var ce *CorruptionError
		if errors.As(err, &ce) != (name == "crc") {
			t.Errorf("%s: corruption error: %v", name, ce)
		}
	}
}

func TestBackupCopy(t *testing.T) {
	for name, file := range controlFiles(t) {
		src := append([]byte(nil), file...)
		for i := 1000; i < len(src); i++ {
			src[i] = 0xAA
		}
		out, c, err := BackupCopy(src)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := src
		if c.Family == OpenGauss {
			want = file // garbage behind the struct must not get out
		}
		if string(out) != string(want) {
			t.Errorf("%s: copy differs", name)
		}
	}
}

func TestSetMinRecoveryPoint(t *testing.T) {
	for name, file := range controlFiles(t) {
		before, err := ParseControl(file)
		if err != nil {
			t.Fatal(err)
		}
		crc, err := SetMinRecoveryPoint(file, 0x123456789A, 7)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after, err := ParseControl(file)
		if err != nil {
			t.Fatalf("%s: patched: %v", name, err)
		}
		want := *before
		want.MinRecoveryPoint, want.CRC = 0x123456789A, crc
		if want.Family == PostgreSQL {
			want.MinRecoveryTimeline = 7
		}
		if !reflect.DeepEqual(*after, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, *after, want)
		}
	}
	if _, err := SetMinRecoveryPoint(make([]byte, 10), 1, 1); err == nil {
		t.Error("short buffer accepted")
	}
}

func TestRedoPoint(t *testing.T) {
	for _, tc := range []struct {
		c   Control
		lsn wal.LSN
		tli wal.Timeline
	}{
		{Control{Redo: 50, Timeline: 2}, 50, 2},
		{Control{Redo: 50, Timeline: 2, MinRecoveryPoint: 60, MinRecoveryTimeline: 3}, 50, 2},
		{Control{Redo: 50, Timeline: 2, MinRecoveryPoint: 40, MinRecoveryTimeline: 3}, 40, 3},
		{Control{Redo: 50, Timeline: 2, MinRecoveryPoint: 40}, 40, 2},
		{Control{Redo: 50, Timeline: 2, MinRecoveryPoint: 40, MinRecoveryTimeline: 3, BackupStartPoint: 30}, 30, 2},
	} {
		if lsn, tli := tc.c.RedoPoint(); lsn != tc.lsn || tli != tc.tli {
			t.Errorf("%+v: %d on %d", tc.c, lsn, tli)
		}
	}
}

func FuzzParseControl(f *testing.F) {
	for _, file := range controlFiles(f) {
		f.Add(file[:300])
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		b := make([]byte, ControlFileSize)
		copy(b, head)
		c, err := ParseControl(b)
		if err != nil {
			return
		}
		if c.WALSegSize == 0 || c.RelSegBlocks == 0 {
			t.Fatalf("accepted %+v", c)
		}
		if _, err := SetMinRecoveryPoint(b, 1, 1); err != nil {
			t.Fatal(err)
		}
	})
}
