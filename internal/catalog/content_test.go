package catalog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
)

func pointers(entries []Entry) func(func(*Entry) bool) {
	return func(yield func(*Entry) bool) {
		for i := range entries {
			if !yield(&entries[i]) {
				return
			}
		}
	}
}

func TestContent(t *testing.T) {
	b := NewBackup(1610361930, ModeFull)
	b.Dir = t.TempDir()
	entries := []Entry{
		{Path: "base", Mode: 0o40700, CompressAlg: compress.None},
		{Path: `a,b "c"`, Mode: 0o100600, Size: 5, CRC: 7, CompressAlg: compress.None},
	}
	if err := SaveContent(fsx.OS(), b, false, pointers(entries)); err != nil || b.ContentCRC == 0 {
		t.Fatal(b.ContentCRC, err)
	}
	fi, err := os.Stat(b.ContentPath())
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi, err)
	}
	got, err := LoadContent(fsx.OS(), b)
	if err != nil || !reflect.DeepEqual(got, entries) {
		t.Error(got, err)
	}
	got = nil
	err = ScanContent(fsx.OS(), b, func(e *Entry) error { got = append(got, *e); return nil })
	if err != nil || !reflect.DeepEqual(got, entries) {
		t.Error(got, err)
	}
	stop := errors.New("stop")
	if err := ScanContent(fsx.OS(), b, func(*Entry) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}

	// The copies written during a backup leave the CRC alone.
	crc := b.ContentCRC
	if err := SaveContent(fsx.OS(), b, true, pointers(entries[:1])); err != nil || b.ContentCRC != crc {
		t.Error(b.ContentCRC, err)
	}
	var ce *ContentCRCError
	if _, err := LoadContent(fsx.OS(), b); !errors.As(err, &ce) || ce.Want != crc || ce.Path != b.ContentPath() {
		t.Error(err)
	}
	if err := ScanContent(fsx.OS(), b, func(*Entry) error { return nil }); !errors.As(err, &ce) {
		t.Error(err)
	}
	b.ContentCRC = 0 // not checked
	if _, err := LoadContent(fsx.OS(), b); err != nil {
		t.Error(err)
	}

	bad := []Entry{{Path: "a\nb"}}
	var ue *contentlist.UnstorableError
	if err := SaveContent(fsx.OS(), b, false, pointers(bad)); !errors.As(err, &ue) {
		t.Error(err)
	}
	if got, err := LoadContent(fsx.OS(), b); err != nil || len(got) != 1 {
		t.Error("a refused list replaced the old one:", got, err)
	}
	if err := os.WriteFile(b.ContentPath(), []byte("junk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadContent(fsx.OS(), b); !errors.Is(err, contentlist.ErrFormat) {
		t.Error(err)
	}
	if err := os.Remove(b.ContentPath()); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadContent(fsx.OS(), b); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestDatabaseMap has the file of golden 02.
func TestDatabaseMap(t *testing.T) {
	const golden = `{"dbOid":"16384", "datname":"testdb"}
{"dbOid":"14876", "datname":"postgres"}
`
	dbs, err := ReadDatabaseMap(strings.NewReader(golden))
	if want := []Database{{16384, "testdb"}, {14876, "postgres"}}; err != nil || !slices.Equal(dbs, want) {
		t.Fatal(dbs, err)
	}
	var out bytes.Buffer
	if err := WriteDatabaseMap(&out, append(dbs, Database{1, "template1"}, Database{2, "template0"})); err != nil || out.String() != golden {
		t.Errorf("%v\n%s", err, out.String())
	}
	odd := []Database{{4294967295, `a","b"}`}, {3, `x", "datname":"y`}}
	out.Reset()
	if err := WriteDatabaseMap(&out, odd); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadDatabaseMap(&out); err != nil || !slices.Equal(back, odd) {
		t.Error(back, err)
	}
	out.Reset()
	if err := WriteDatabaseMap(&out, append([]Database{{1, "a\nb"}}, dbs...)); err != nil || out.String() != golden {
		t.Errorf("with a name with a line feed: %v\n%s", err, out.String())
	}
	for _, bad := range []string{"x", `{"dbOid":"-1", "datname":"y"}`, `{"dbOid":"1"}`} {
		if _, err := ReadDatabaseMap(strings.NewReader(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzReadDatabaseMap(f *testing.F) {
	f.Add([]byte(`{"dbOid":"16384", "datname":"testdb"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dbs, err := ReadDatabaseMap(bytes.NewReader(data))
		if err != nil {
			return
		}
		dbs = slices.DeleteFunc(dbs, func(d Database) bool { return strings.HasPrefix(d.Name, "template") || strings.Contains(d.Name, "\r") })
		var out bytes.Buffer
		if WriteDatabaseMap(&out, dbs) != nil {
			return
		}
		back, err := ReadDatabaseMap(&out)
		if err != nil || !slices.Equal(back, dbs) {
			t.Fatalf("wrote %v, read %v, %v", dbs, back, err)
		}
	})
}
