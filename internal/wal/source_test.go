package wal

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"gsprobackup/internal/fsx"
)

func TestDirFindsSegmentPartialGzip(t *testing.T) {
	src, o := goldenPG(t)
	dir := t.TempDir()
	put := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pack := func(b []byte) []byte {
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		_, _ = zw.Write(b)
		_ = zw.Close()
		return z.Bytes()
	}
	seg := func(last string) []byte { return src["00000001000000000000000"+last] }
	put("000000010000000000000009", seg("9"))
	put("000000010000000000000009.gz", []byte("never looked at"))
	put("00000001000000000000000A.partial", seg("A"))
	put("00000001000000000000000B.gz", pack(seg("B")))
	d := Dir{FS: fsx.OS(), Path: dir}
	for _, parallel := range []int{1, 3} {
		if _, err := CheckRange(t.Context(), d, 0x900028, 0xBF9DB0, CheckOptions{ReaderOptions: o, Parallel: parallel}); err != nil {
			t.Fatal(err)
		}
	}
	// A compressed segment cannot seek: reading from its middle must work too.
	if _, err := FindRecord(t.Context(), d, o, 0xBF9DB0); err != nil {
		t.Error(err)
	}
	if _, err := LastRecordBefore(t.Context(), d, o, 0xBF9DB0, 0x900028); err != nil {
		t.Error(err)
	}

	whole := pack(seg("B"))
	bad := bytes.Clone(whole)
	bad[len(bad)/2] ^= 0x40
	for name, b := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)/3], "damaged": bad} {
		put("00000001000000000000000B.gz", b)
		var damage *CorruptionError
		_, err := CheckRange(t.Context(), d, 0x900028, 0xBF9DB0, CheckOptions{ReaderOptions: o})
		if !errors.As(err, &damage) || damage.Segment != "00000001000000000000000B" {
			t.Errorf("%s gzip: %v", name, err)
		}
	}
	_, err := FindRecord(t.Context(), d, o, 0xC00028)
	if !errors.Is(err, fs.ErrNotExist) || !Incomplete(err) {
		t.Errorf("absent segment: %v", err)
	}
}

func TestSegmentNames(t *testing.T) {
	for _, c := range []struct {
		tli  Timeline
		lsn  LSN
		size uint32
		want string
	}{
		{1, 0x5A000028, 16 << 20, "00000001000000000000005A"},
		{0x1A, 0x1_FF000000, 16 << 20, "0000001A00000001000000FF"},
		{1, 0x1_40000000, 1 << 30, "000000010000000100000001"},
		{1, 0xBF9DB0, 1 << 20, "00000001000000000000000B"},
	} {
		name := SegmentNameAt(c.tli, c.lsn, c.size)
		if name != c.want {
			t.Errorf("%s: %s, want %s", c.lsn, name, c.want)
		}
		tli, segno, err := ParseSegmentName(name, c.size)
		if err != nil || tli != c.tli || segno != SegmentNumber(c.lsn, c.size) {
			t.Errorf("parse %s: %d %d %v", name, tli, segno, err)
		}
	}
	for _, bad := range []string{"", "00000001000000000000005a", "00000001000000000000005", "00000001000000000000005A.gz", "000000010000000000000100", "00000001 00000000000005A"} {
		if _, _, err := ParseSegmentName(bad, 16<<20); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if tli, err := ParseHistoryName("0000000A.history"); err != nil || tli != 10 || HistoryName(tli) != "0000000A.history" {
		t.Errorf("history name: %d, %v", tli, err)
	}
	for _, bad := range []string{"0000000a.history", "0000000A", "A.history"} {
		if _, err := ParseHistoryName(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for size, ok := range map[uint32]bool{0: false, 1 << 19: false, 1 << 20: true, 3 << 20: false, 1 << 30: true, 1 << 31: false} {
		if ValidSegSize(size) != ok {
			t.Errorf("segment size %d: want %v", size, ok)
		}
	}
}

func TestHistory(t *testing.T) {
	text := "1\t0/3000000\tno recovery target specified\n\n2\t0/5000158\tbefore 2000-01-01 05:00:00+00\n"
	want := []HistoryEntry{
		{1, 0x3000000, "no recovery target specified"},
		{2, 0x5000158, "before 2000-01-01 05:00:00+00"},
	}
	got, err := ParseHistory([]byte("# comment\n"+text), 3)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if s := string(FormatHistory(got)); s != text {
		t.Errorf("written back: %q", s)
	}
	for _, bad := range []string{"1\n", "x\t0/1\n", "0\t0/1\n", "1\t0-1\n", "3\t0/1\n", "2\t0/1\n1\t0/2\n", "1\t0/1\n1\t0/2\n"} {
		if _, err := ParseHistory([]byte(bad), 3); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
