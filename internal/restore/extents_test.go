package restore_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	pg "gsprobackup/internal/pgdata"
	"gsprobackup/test/golden"
)

// A relation of openGauss 7.0, which the list tells by one more key, gets the
// same blocks in extents of 128 pages.
func TestExtentsOf7(t *testing.T) {
	t.Parallel()
	const rel = "base/16384/16397_compress"
	read := func(pages string) (*pg.CompressedFile, *bytes.Reader) {
		w := newWorld(t, golden.Raw)
		if pages != "" {
			const key = `"compressedChunkSize":"2048","compressedAlgorithm":"2"`
			w.editList("TOWDFI", key, key+`,"compressedExtentPages":"`+pages+`"`)
		}
		opts := w.options("TOWDFI")
		opts.NoValidate = true
		err := w.run(opts)
		if pages == "127" {
			if err == nil {
				t.Error("unknown extents were restored")
			}
			return nil, nil
		}
		w.must(err)
		raw, err := os.ReadFile(w.m.Path(pgdata + "/" + rel))
		w.must(err)
		f, err := pg.OpenCompressed(bytes.NewReader(raw), int64(len(raw)))
		w.must(err)
		return f, bytes.NewReader(raw)
	}
	old, _ := read("")
	now, raw := read("128")
	if old.Layout() != pg.Extents129 || now.Layout() != pg.Extents128 || old.Blocks() != now.Blocks() || old.Blocks() < 150 {
		t.Fatalf("%d blocks in layout %d, %d in layout %d", old.Blocks(), old.Layout(), now.Blocks(), now.Layout())
	}
	if raw.Size()%(1<<20) != 0 {
		t.Errorf("file of %d bytes", raw.Size())
	}
	a, b := make([]byte, pg.BlockSize), make([]byte, pg.BlockSize)
	for blk := range old.Blocks() {
		if err := old.ReadBlock(blk, a); err != nil {
			t.Fatal(err)
		}
		if err := now.ReadBlock(blk, b); err != nil || !bytes.Equal(a, b) {
			t.Fatalf("block %d differs: %v", blk, err)
		}
	}
	read("127")
}

// Pages that C 3.0 read through _pca and _pcd must not become anything else.
func TestCompressedOf3(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Raw)
	const rel = "base/16384/16397"
	w.editList("TOWDFI", rel+"_compress", rel)
	w.must(os.Rename(w.path("TOWDFI", "database/"+rel+"_compress"), w.path("TOWDFI", "database/"+rel)))
	opts := w.options("TOWDFI")
	opts.NoValidate = true
	if err := w.run(opts); err == nil || !strings.Contains(err.Error(), "openGauss 3.0") {
		t.Errorf("restore ended with %v", err)
	}
}
