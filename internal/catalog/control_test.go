package catalog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/wal"

	"pgregory.net/rapid"
)

// collect is a sink that keeps everything; tests use it from one goroutine.
type collect struct{ events []event.Event }

func (c *collect) Emit(e event.Event) { c.events = append(c.events, e) }

func controlText(t testing.TB, b *Backup, loc *time.Location) string {
	t.Helper()
	var buf bytes.Buffer
	if err := WriteControl(&buf, b, loc); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

type namedFile struct {
	Name string
	Data []byte
}

// goldenControls splits the files of testdata at their "-- name --" lines.
func goldenControls(t testing.TB) []namedFile {
	t.Helper()
	data, err := os.ReadFile("testdata/controls.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var files []namedFile
	for _, part := range strings.Split(string(data), "\n-- ")[1:] {
		name, body, ok := strings.Cut(part, " --\n")
		if !ok {
			t.Fatalf("bad file heading in %q", part)
		}
		files = append(files, namedFile{name, []byte(strings.TrimSuffix(body, "\n") + "\n")})
	}
	return files
}

// TestGoldenControls rewrites every control file of the real tool.
func TestGoldenControls(t *testing.T) {
	files := goldenControls(t)
	if len(files) != 34 {
		t.Fatalf("%d files", len(files))
	}
	for _, f := range files {
		var got collect
		b, err := ParseControl(f.Data, f.Name, &got)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		if len(got.events) != 0 {
			t.Errorf("%s: %v", f.Name, got.events)
		}
		if text := controlText(t, b, time.UTC); text != string(f.Data) {
			t.Errorf("%s: rewritten as\n%s", f.Name, text)
		}
	}
}

func TestParseControlFields(t *testing.T) {
	b, err := ParseControl([]byte(`#Configuration
backup-mode = PTRACK
stream = true
compress-alg = zlib
compress-level = 9
from-replica = true
timelineid = 3
start-lsn = 1/11000028
stop-lsn = 1/110002F8
start-time = '2021-01-11 10:51:31+08'
recovery-xid = 18446744073709551615
status = ORPHAN
parent-backup-id = 'qmr0ze'
note = 'it''s # fine'
content-crc = 4294967295
`), "p", event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if b.ID.String() != "QMR19V" || b.ParentID.String() != "QMR0ZE" || b.Mode != ModePtrack || !b.Stream ||
		b.CompressAlg != compress.Zlib || b.CompressLevel != 9 || !b.FromReplica || b.Timeline != 3 ||
		b.StartLSN != 0x111000028 || b.Status != StatusOrphan || b.Note != "it's # fine" ||
		b.RecoveryXID != 1<<64-1 || b.ContentCRC != 1<<32-1 || b.DataBytes != -1 || b.BlockSize != 8192 ||
		b.StorageType != StorageAbsent || !b.EndTime.IsZero() {
		t.Errorf("%+v", b)
	}
	if text := controlText(t, b, time.UTC); strings.Contains(text, "storage") || strings.Contains(text, "\ndata-bytes") {
		t.Errorf("keys that were not there were written:\n%s", text)
	}
}

func TestControlWarnings(t *testing.T) {
	var got collect
	b, err := ParseControl([]byte("start-time = '2021-01-11 10:51:31+08'\nstatus = BOGUS\nstart-lsn = x\n"+
		"stop-lsn = 1/zz\nnew-key = 1\nnote = 'it's'\nexpire-time = '33658-09-27 01:46:40+00'\n"), "/c", &got)
	if err != nil {
		t.Fatal(err)
	}
	if b.CompressLevel != 1 {
		t.Errorf("level %d without one", b.CompressLevel)
	}
	want := []event.Event{
		InvalidStatus{"BOGUS"}, InvalidLSN{"START_LSN", "x"}, InvalidLSN{"STOP_LSN", "1/zz"},
		UnknownOption{Key: "new-key", File: "/c"}, ValueRepaired{"/c", "note", "it's"},
		ValueRepaired{"/c", "expire-time", "9999-12-30 00:00:00+00"},
	}
	if len(got.events) != len(want) {
		t.Fatalf("%v", got.events)
	}
	for i := range want {
		if got.events[i] != want[i] {
			t.Errorf("got %#v, want %#v", got.events[i], want[i])
		}
	}
	// Once rewritten, the C tool can read the file again.
	text := controlText(t, b, time.UTC)
	if !strings.Contains(text, "note = 'it''s'\n") || !strings.Contains(text, "expire-time = '9999-12-30 00:00:00+00'\n") {
		t.Errorf("got\n%s", text)
	}
}

func TestControlErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                      `Control file "/c" is empty`,
		"# only this\n":         `Control file "/c" is empty`,
		"status = OK\n":         `Invalid ID/start-time, control file "/c" is corrupted`,
		"garbage line\n":        `Syntax error in "garbage line"`,
		"stream = maybe\n":      "Option --stream should be a boolean: 'maybe'",
		"data-bytes = x\n":      "Option --data-bytes should be a 64bit signed integer: 'x'",
		"end-time = x\n":        "Option --end-time should be a time: 'x'",
		"note = ''\n":           "Option --note should be a valid string: ''",
		"backup-mode = P\n":     `Invalid ID/start-time, control file "/c" is corrupted`, // a prefix is enough
		"backup-mode = DELTA\n": `invalid backup-mode "DELTA"`,
		"start-time = '1969-12-31 23:59:59+00'\n": `Invalid ID/start-time, control file "/c" is corrupted`,
	} {
		_, err := ParseControl([]byte(text), "/c", event.Discard)
		wantText(t, err, want)
	}
	_, err := ReadControl(fsx.OS(), "/nonexistent/backup.control", event.Discard)
	wantText(t, err, `Control file "/nonexistent/backup.control" doesn't exist`)
}

// TestControlAcrossDST has an ID from the season with the other offset; the C
// tool reads such a file an hour off (spec/formats.md §14 row 12).
func TestControlAcrossDST(t *testing.T) {
	for _, id := range []ID{1610361930, 1626000000} { // January and July 2021
		b := NewBackup(id, ModeFull)
		for _, off := range []int{-5 * 3600, -4 * 3600, 20700} {
			back, err := ParseControl([]byte(controlText(t, b, time.FixedZone("", off))), "p", event.Discard)
			if err != nil || back.ID != id {
				t.Errorf("%d came back as %d, %v", id, back.ID, err)
			}
		}
	}
}

// TestDriftedTimes has what the C tool makes of a summer's backup with each
// validate in winter: all its times go an hour back, but for those of winter.
func TestDriftedTimes(t *testing.T) {
	const id = 1626000000 // July 2021
	summer, winter := time.FixedZone("", 2*3600), time.FixedZone("", 3600)
	b := NewBackup(id, ModePtrack)
	b.ParentID, b.Status, b.CompressAlg = id-86400, StatusOK, compress.None
	b.EndTime, b.RecoveryTime = time.Unix(id+60, 0).UTC(), time.Unix(id+50, 0).UTC()
	b.ExpireTime = time.Unix(id+180*86400, 0).UTC()
	drifted := *b
	drifted.ID, drifted.EndTime, drifted.RecoveryTime = id-2*3600, b.EndTime.Add(-2*time.Hour), b.RecoveryTime.Add(-2*time.Hour)
	expire := optvalue.FormatTime(b.ExpireTime, winter)
	text := strings.Replace(controlText(t, &drifted, summer), optvalue.FormatTime(b.ExpireTime, summer), expire, 1)
	path := "/c/backups/n/" + ID(id).String() + "/backup.control"
	var got collect
	back, err := ParseControl([]byte(text), path, &got)
	if err != nil || !reflect.DeepEqual(back, b) {
		t.Errorf("%v: got  %+v\nwant %+v", err, back, b)
	}
	if want := []event.Event{TimesDrifted{Path: path, Hours: 2}}; !reflect.DeepEqual(got.events, want) {
		t.Errorf("got %v", got.events)
	}
	// The FULL of a merge that was cut off may have drifted, too.
	drifted.MergeDestID = id + 86400
	back, err = ParseControl([]byte(controlText(t, &drifted, summer)), path, event.Discard)
	if err != nil || back.ID != id {
		t.Errorf("%v: with a merge %s", err, back.ID)
	}
	// Any other difference is none of the C tool's, and a merge names the
	// directory before it writes the file.
	for _, other := range []struct{ id, dest ID }{{id - 3601, 0}, {id - 2*3600, id}, {id - 3600*24, 0}, {id, 0}} {
		o := *b
		o.ID, o.MergeDestID = other.id, other.dest
		back, err := ParseControl([]byte(controlText(t, &o, summer)), path, event.Discard)
		if err != nil || !reflect.DeepEqual(back, &o) {
			t.Errorf("%v: got  %+v\nwant %+v", err, back, &o)
		}
	}
}

func drawBackup(t *rapid.T) *Backup {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab '\"#=:/é\t\\")), 0, 60, -1)
	at := rapid.Map(rapid.Int64Range(0, 253402200000), func(n int64) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return time.Unix(n, 0).UTC()
	})
	return &Backup{
		ID:                ID(rapid.Int64Range(1, 253402200000).Draw(t, "id")),
		ParentID:          ID(rapid.Int64Range(0, 253402200000).Draw(t, "parent")),
		Mode:              Mode(rapid.IntRange(1, 2).Draw(t, "mode")),
		Status:            Status(rapid.IntRange(0, 10).Draw(t, "status")),
		Stream:            rapid.Bool().Draw(t, "stream"),
		CompressAlg:       compress.Algorithm(rapid.IntRange(1, 5).Draw(t, "alg")),
		CompressLevel:     rapid.IntRange(0, 9).Draw(t, "level"),
		FromReplica:       rapid.Bool().Draw(t, "replica"),
		BlockSize:         rapid.Uint32().Draw(t, "blksz"),
		XLogBlockSize:     rapid.Uint32().Draw(t, "xblksz"),
		ChecksumVersion:   rapid.Uint32().Draw(t, "sum"),
		ProgramVersion:    text.Draw(t, "prog"),
		ServerVersion:     text.Draw(t, "server"),
		Timeline:          wal.Timeline(rapid.Uint32().Draw(t, "tli")),
		StartLSN:          wal.LSN(rapid.Uint64().Draw(t, "start")),
		StopLSN:           wal.LSN(rapid.Uint64().Draw(t, "stop")),
		MergeTime:         at.Draw(t, "merge"),
		EndTime:           at.Draw(t, "end"),
		RecoveryXID:       rapid.Uint64().Draw(t, "xid"),
		RecoveryTime:      at.Draw(t, "rec"),
		ExpireTime:        at.Draw(t, "exp"),
		RecoveryName:      text.Draw(t, "name"),
		MergeDestID:       ID(rapid.Int64Range(0, 253402200000).Draw(t, "dest")),
		DataBytes:         rapid.Int64Range(-1, 1<<62).Draw(t, "data"),
		WALBytes:          rapid.Int64Range(-1, 1<<62).Draw(t, "wal"),
		UncompressedBytes: rapid.Int64Range(0, 1<<62).Draw(t, "unc"),
		PGDataBytes:       rapid.Int64Range(0, 1<<62).Draw(t, "pgdata"),
		ExternalDirs:      text.Draw(t, "ext"),
		Note:              text.Draw(t, "note"),
		ContentCRC:        rapid.Uint32().Draw(t, "crc"),
		StorageType:       Storage(rapid.IntRange(0, 3).Draw(t, "storage")),
		S3Status:          S3Status(rapid.IntRange(0, 3).Draw(t, "s3")),
	}
}

func TestControlRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBackup(t)
		loc := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone"))
		var buf bytes.Buffer
		if err := WriteControl(&buf, b, loc); err != nil {
			t.Fatal(err)
		}
		var got collect
		back, err := ParseControl(buf.Bytes(), "p", &got)
		if err != nil || len(got.events) != 0 {
			t.Fatalf("%v %v\n%s", err, got.events, buf.String())
		}
		if *back != *b {
			t.Fatalf("wrote %+v\nread  %+v", b, back)
		}
	})
}

func TestControlRefusesWhatCannotBeReadBack(t *testing.T) {
	dir := t.TempDir()
	b := NewBackup(1610361930, ModeFull)
	b.Dir = dir
	if err := SaveControl(fsx.OS(), b, time.UTC); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(b.ControlPath())
	for _, note := range []string{"two\nlines", strings.Repeat("n", 1020), strings.Repeat("'", 510)} {
		b.Note = note
		var ve *keyfile.ValueError
		if err := SaveControl(fsx.OS(), b, time.UTC); !errors.As(err, &ve) {
			t.Errorf("note of %d bytes: %v", len(note), err)
		}
	}
	b.Note, b.ExpireTime = "", time.Date(31688, 1, 1, 0, 0, 0, 0, time.UTC)
	var ve *keyfile.ValueError
	if err := SaveControl(fsx.OS(), b, time.UTC); !errors.As(err, &ve) {
		t.Errorf("year 31688: %v", err)
	}
	if after, _ := os.ReadFile(b.ControlPath()); !bytes.Equal(before, after) {
		t.Error("a refused write changed the file")
	}
	fi, err := os.Stat(b.ControlPath())
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
}

func FuzzParseControl(f *testing.F) {
	for _, file := range goldenControls(f)[:3] {
		f.Add(file.Data)
	}
	f.Add([]byte("start-time = '2021-01-11 10:51:31+08'\nnote = 'it's'\nexpire-time=99999999"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseControl(data, "p", event.Discard)
		if err != nil {
			return
		}
		var buf bytes.Buffer
		if b.Mode == ModeInvalid || WriteControl(&buf, b, time.UTC) != nil {
			return
		}
		back, err := ParseControl(buf.Bytes(), "p", event.Discard)
		if err != nil {
			t.Fatalf("%v\n%s", err, buf.String())
		}
		if back.ID != b.ID || back.Note != b.Note || back.ExternalDirs != b.ExternalDirs || back.Status != b.Status {
			t.Fatalf("wrote %+v\nread %+v", b, back)
		}
	})
}
