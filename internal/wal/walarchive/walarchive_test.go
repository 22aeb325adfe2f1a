package walarchive

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

func TestScan(t *testing.T) {
	dir := t.TempDir()
	const mb = 1 << 20
	for name, size := range map[string]int64{
		"000000010000000000000013":                 mb,
		"000000010000000000000014":                 mb,
		"000000010000000000000014.gz":              1000,
		"000000010000000000000017.gz":              5000,
		"000000010000000000000018.partial":         mb,
		"000000010000000000000018.gz.partial":      mb,
		"000000010000000000000019.part":            mb, // archive-push is at work
		"000000010000000000000019.gz.part":         mb,
		"README.partial":                           40,
		"000000010000000000000013.00000028.backup": 300,
		"00000002000000000000001A":                 mb,
		"00000002000000000000FFFF":                 mb, // impossible with segments of 1 MB: the last part ends at FFF
		"00000002.history":                         40,
		"0000000100000000000000zz":                 mb,
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := os.Mkdir(filepath.Join(dir, "000000010000000000000015"), 0o700); err != nil {
		t.Fatal(err)
	}
	var unexpected []string
	got, err := Scan(fsx.OS(), dir, event.Func(func(e event.Event) {
		unexpected = append(unexpected, e.(UnexpectedFile).Name)
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := &Archive{SegSize: mb, Timelines: []Timeline{
		{TLI: 2, Min: 0x1a, Max: 0x1a, Segments: 1, Size: mb},
		{TLI: 1, Min: 0x13, Max: 0x17, Segments: 3, Size: 2*mb + 6000, Lost: []Gap{{0x15, 0x16}}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if s := fmt.Sprint(unexpected); s != "[000000010000000000000015 0000000100000000000000zz 00000002.history README.partial 00000002000000000000FFFF]" {
		t.Errorf("unexpected files %s", s)
	}
}

func TestScanWithoutDirectory(t *testing.T) {
	got, err := Scan(fsx.OS(), filepath.Join(t.TempDir(), "no"), event.Discard)
	if err != nil || len(got.Timelines) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}
