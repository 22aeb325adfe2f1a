package pgdata

import (
	"errors"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gsprobackup/internal/usererr"
)

// goldenLabel is golden 13_raw_server_files/files/backup_label.from_full_backup.
const goldenLabel = `START WAL LOCATION: 0/1D000028 (file 00000001000000000000001D)
CHECKPOINT LOCATION: 0/1D0000A8
BACKUP METHOD: pg_start_backup
BACKUP FROM: master
START TIME: 2026-11-22 08:33:50 UTC
LABEL: 2026-11-22 08:33:50+00 with pg_probackup
`

const pg17Label = `START WAL LOCATION: 1A/2000028 (file 0000000C0000001A00000002)
CHECKPOINT LOCATION: 1A/2000080
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-22 08:33:50 UTC
LABEL: a: b
START TIMELINE: 12
INCREMENTAL FROM LSN: 0/1
`

func TestParseBackupLabel(t *testing.T) {
	for text, want := range map[string]BackupLabel{
		goldenLabel: {StartLSN: 0x1D000028, WALFile: "00000001000000000000001D", Timeline: 1, Checkpoint: 0x1D0000A8,
			Method: "pg_start_backup", From: "master", StartTime: "2026-11-22 08:33:50 UTC",
			Label: "2026-11-22 08:33:50+00 with pg_probackup"},
		pg17Label: {StartLSN: 0x1A02000028, WALFile: "0000000C0000001A00000002", Timeline: 12, Checkpoint: 0x1A02000080,
			Method: "streamed", From: "primary", StartTime: "2026-11-22 08:33:50 UTC", Label: "a: b"},
	} {
		got, err := ParseBackupLabel([]byte(text))
		if err != nil || *got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
	for _, bad := range []string{
		"",
		"LABEL: x\n",
		"START WAL LOCATION: 0/1 (file 00000001000000000000001D)\n",
		"CHECKPOINT LOCATION: 0/1\n",
		strings.Replace(goldenLabel, "0/1D000028", "0/xyz", 1),
		strings.Replace(goldenLabel, "00000001000000000000001D", "00000001", 1),
		strings.Replace(goldenLabel, "00000001000000000000001D", "0000000100000000000000ZZ", 1),
		strings.Replace(goldenLabel, "0/1D0000A8", "7", 1),
	} {
		if got, err := ParseBackupLabel([]byte(bad)); err == nil {
			t.Errorf("%q accepted: %+v", bad, got)
		}
	}
}

func FuzzParseBackupLabel(f *testing.F) {
	f.Add([]byte(goldenLabel))
	f.Add([]byte(pg17Label))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseBackupLabel(b); err == nil && len(l.WALFile) != 24 {
			t.Fatalf("accepted %+v", l)
		}
	})
}

func TestParseTablespaceMap(t *testing.T) {
	og, pg13, pg15 := NewLayout(OpenGauss, 9), NewLayout(PostgreSQL, 13), NewLayout(PostgreSQL, 15)
	golden := "16386 /home/omm/data/pg_location/tsrel/ts2\n16385 /home/omm/ts1\n"
	for _, tc := range []struct {
		name string
		l    Layout
		in   string
		want []Tablespace
	}{
		{"golden", og, golden, []Tablespace{{16386, "/home/omm/data/pg_location/tsrel/ts2"}, {16385, "/home/omm/ts1"}}},
		{"empty", og, "", nil},
		{"no line feed", og, "1 /a", []Tablespace{{1, "/a"}}},
		{"tolerant", og, "\n  1 \t /a//b/./c/ \n", []Tablespace{{1, "/a/b/c/ "}}},
		{"blank in path", pg15, "1 /a b/c\n", []Tablespace{{1, "/a b/c"}}},
		{"escapes", pg15, "1 /a\\\nb\\\\c\n2 /d\n", []Tablespace{{1, "/a\nb\\c"}, {2, "/d"}}},
		{"old escapes", pg13, "1 /a\\\nb\\c\n2 /d\n", []Tablespace{{1, "/a\nb\\c"}, {2, "/d"}}},
		{"last backslash", pg15, "1 /a\\", []Tablespace{{1, "/a\\"}}},
	} {
		got, err := tc.l.ParseTablespaceMap([]byte(tc.in), "f")
		if err != nil || len(got) != len(tc.want) {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
			continue
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("%s: %+v, want %+v", tc.name, got[i], tc.want[i])
			}
		}
	}
	for _, bad := range []string{"1\n", "1 \n", "x /a\n", "-1 /a\n", "99999999999 /a\n"} {
		_, err := og.ParseTablespaceMap([]byte(bad), "/b/tablespace_map")
		var ue *usererr.Error
		if !errors.As(err, &ue) || ue.Text != `invalid format found in "/b/tablespace_map"` {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTablespaceMapRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewLayout(PostgreSQL, rapid.IntRange(MinPostgreSQL, MaxPostgreSQL).Draw(t, "major"))
		alphabet := []rune("/ab .\n\rü")
		if l.escapesBackslash() {
			alphabet = append(alphabet, '\\')
		}
		names := rapid.StringOfN(rapid.RuneFrom(alphabet), 0, 12, -1)
		var list []Tablespace
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			list = append(list, Tablespace{
				Oid:  rapid.Uint32Min(1).Draw(t, "oid"),
				Path: path.Clean("/" + names.Draw(t, "path")),
			})
		}
		got, err := l.ParseTablespaceMap(l.FormatTablespaceMap(list), "f")
		if err != nil || len(got) != len(list) {
			t.Fatalf("%+v: %+v, %v", list, got, err)
		}
		for i := range got {
			if got[i] != list[i] {
				t.Fatalf("%+v became %+v", list[i], got[i])
			}
		}
	})
}

func FuzzParseTablespaceMap(f *testing.F) {
	f.Add([]byte("1 /a\\\nb\n2 /c d"), 15)
	f.Add([]byte(" \t1\t/a"), 9)
	f.Fuzz(func(t *testing.T, b []byte, major int) {
		l := NewLayout(PostgreSQL, major)
		list, err := l.ParseTablespaceMap(b, "f")
		if err != nil {
			return
		}
		for _, e := range list {
			if e.Oid == 0 || e.Path == "" {
				t.Fatalf("accepted %+v", e)
			}
		}
	})
}

func TestParsePIDFile(t *testing.T) {
	for in, want := range map[string]int{
		"4790\n/home/omm/data\n1795337126\n": 4790,
		"17":                                 17,
		"-17\n":                              17,
		" 9 x":                               9,
		"":                                   0,
		"abc\n":                              0,
		"12x\n":                              0,
		"0\n":                                0,
		"99999999999\n":                      0,
	} {
		got, err := ParsePIDFile([]byte(in))
		if got != want || (want == 0) != errors.Is(err, ErrMangledPIDFile) {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
}

func FuzzParsePIDFile(f *testing.F) {
	f.Add([]byte("4790\n/home/omm/data\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if pid, err := ParsePIDFile(b); (err == nil) != (pid > 0) {
			t.Fatalf("%d, %v", pid, err)
		}
	})
}

func TestParseVersionFile(t *testing.T) {
	for in, want := range map[string]struct {
		f     Family
		major int
	}{"9.2\n": {OpenGauss, 9}, "12\n": {PostgreSQL, 12}, "18": {PostgreSQL, 18}} {
		f, major, err := ParseVersionFile([]byte(in))
		if err != nil || f != want.f || major != want.major {
			t.Errorf("%q: %v %d, %v", in, f, major, err)
		}
	}
	for _, bad := range []string{"", "9.6\n", "11\n", "19\n", "x"} {
		if _, _, err := ParseVersionFile([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestCorruptionError(t *testing.T) {
	e := &CorruptionError{Path: "base/1/2", Block: 3, Expected: 4, Found: 5, Reason: "why"}
	if got := e.Error(); got != `corrupt data in file "base/1/2", block 3: why (expected 4, found 5)` {
		t.Error(got)
	}
	if got := (&CorruptionError{Reason: "why"}).Error(); got != "corrupt data: why" {
		t.Error(got)
	}
}
