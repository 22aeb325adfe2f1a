package walarchive

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/internal/fsx"
)

func TestLineages(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	if _, err := zw.Write([]byte("1\t0/3000000\ty\n")); err != nil || zw.Close() != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"00000002.history":         "1\t0/3000000\tno recovery target specified\n",
		"0000000A.history":         "1\t0/3000000\tx\n\n2\t0/5000100\tx\n",
		"00000003.history":         "2\t0/zz\n",
		"00000004.history":         "",
		"00000005.history.part":    "1\t0/3000000\tx\n",
		"000000020000000000000003": "",
		"00000002.history.gz":      packed.String(), // beside the plain one
		"0000000B.history.gz":      packed.String(),
		"0000000C.history.gz":      packed.String()[:20],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bad := 0
	all, err := Lineages(fsx.OS(), dir, func(error) { bad++ })
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(all); got != "[{11 [{1 0/3000000 y}]} {10 [{1 0/3000000 x} {2 0/5000100 x}]} {2 [{1 0/3000000 no recovery target specified}]}]" {
		t.Error(got)
	}
	if bad != 3 {
		t.Errorf("%d bad files, want 3", bad)
	}
	if l, found, err := ReadLineage(fsx.OS(), dir, 7); found || err != nil || l.TLI != 7 {
		t.Errorf("no file: %v, %v, %v", l, found, err)
	}
	if _, _, err := ReadLineage(fsx.OS(), dir, 4); err == nil {
		t.Error("an empty history was accepted")
	}
	if all, err := Lineages(fsx.OS(), filepath.Join(dir, "no"), nil); all != nil || err != nil {
		t.Errorf("no directory: %v, %v", all, err)
	}
}
