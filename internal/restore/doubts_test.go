package restore_test

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	pg "gsprobackup/internal/pgdata"
	"gsprobackup/internal/restore"
	"gsprobackup/test/golden"
)

// forge changes a page so that LSN and checksum stay the same.
func forge(t *testing.T, p []byte) {
	t.Helper()
	want := binary.LittleEndian.Uint16(p[8:])
	for n := uint32(1); n < 1<<24; n++ {
		binary.LittleEndian.PutUint32(p[page-64:], binary.LittleEndian.Uint32(p[page-64:])+n)
		if pg.PageChecksum(p, 0, pg.OpenGauss) == want {
			return
		}
	}
	t.Fatal("no page with this checksum found")
}

// forgePages forges the first page of every data file that wants says yes to.
func (w *world) forgePages(wants func(pg.PageHeader) bool) (n int) {
	w.t.Helper()
	name := regexp.MustCompile(`/[0-9]+$`)
	w.must(filepath.WalkDir(w.m.Path(pgdata+"/base"), func(full string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !name.MatchString(full) || n == 20 {
			return err
		}
		content, err := os.ReadFile(full)
		if err != nil || len(content) < page {
			return err
		}
		p := content[:page]
		if pg.CheckPage(p, 0, pg.PageRules{Family: pg.OpenGauss, Checksums: true}).Status != pg.PageValid || !wants(pg.DecodePageHeader(p)) {
			return nil
		}
		forge(w.t, p)
		n++
		return os.WriteFile(full, content, 0o600)
	}))
	return n
}

// By LSN, pages behind the shift LSN are compared by content: of another
// history, they may have the same LSN and even the same checksum.
func TestDoubts(t *testing.T) {
	const redo, shift = 0x130002F8, 0x120001E8
	t.Parallel()
	w := newWorld(t, golden.Zlib)
	w.recordedMappings()
	w.restored("TOWA5I")
	want := w.tree()
	if n := w.forgePages(func(h pg.PageHeader) bool { return h.LSN > shift }); n == 0 {
		t.Fatal("the catalog has no such page")
	}
	w.startedSince(redo)
	w.must(w.run(w.again("TOWA5I", restore.IncrementalLSN)))
	w.sameTree(w.tree(), want)
}
