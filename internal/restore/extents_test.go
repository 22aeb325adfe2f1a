package restore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"gsprobackup/internal/crc32c"
	pg "gsprobackup/internal/pgdata"
	"gsprobackup/test/golden"
)

// A relation of openGauss 7.0, which the list tells by one more key, gets the
// same blocks in extents of 128 pages, and so does one in a list of C, which does
// not tell, if the backup's pg_class is that of a 7.0.
func TestExtentsOf7(t *testing.T) {
	t.Parallel()
	const rel = "base/16384/16397_compress"
	read := func(pages string) (*pg.CompressedFile, *bytes.Reader) {
		w := newWorld(t, golden.Raw)
		switch pages {
		case "":
		case "C 7.0":
			w.addClass("TOWDFI", "pg_class", "gs_matview_log")
		case "C 6.0":
			w.addClass("TOWDFI", "pg_class", "gs_dependencies")
		default:
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
	old, _ := read("C 6.0")
	now, raw := read("128")
	if old.Layout() != pg.Extents129 || now.Layout() != pg.Extents128 || old.Blocks() != now.Blocks() || old.Blocks() < 150 {
		t.Fatalf("%d blocks in layout %d, %d in layout %d", old.Blocks(), old.Layout(), now.Blocks(), now.Layout())
	}
	if raw.Size()%(1<<20) != 0 {
		t.Errorf("file of %d bytes", raw.Size())
	}
	if _, guessed := read("C 7.0"); guessed.Size() != raw.Size() {
		t.Errorf("%d bytes without the key, %d with it", guessed.Size(), raw.Size())
	} else if c, _ := pg.OpenCompressed(guessed, guessed.Size()); c.Layout() != pg.Extents128 {
		t.Errorf("layout %d without the key", c.Layout())
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

// addClass gives a backup a template1 with a pg_class of one page that has these
// names.
func (w *world) addClass(id string, names ...string) {
	w.t.Helper()
	relmap := binary.LittleEndian.AppendUint32(nil, 0x592718)
	for _, n := range []uint32{2, 1249, 14462, pg.PgClassOid, 14481} {
		relmap = binary.LittleEndian.AppendUint32(relmap, n)
	}
	class := make([]byte, 8+pg.BlockSize)
	binary.LittleEndian.PutUint32(class[4:], pg.BlockSize)
	for i, name := range names {
		copy(class[1000+64*i:], name)
	}
	const dir = "database/base/1/"
	w.must(os.MkdirAll(w.path(id, dir), 0o700))
	w.must(os.WriteFile(w.path(id, dir+"pg_filenode.map"), relmap, 0o600))
	w.must(os.WriteFile(w.path(id, dir+"14481"), class, 0o600))
	line := func(name string, content []byte, isData int) string {
		return fmt.Sprintf(`{"path":"base/1/%s", "size":"%d", "mode":"33152", "is_datafile":"%d", "is_cfs":"0", "crc":"%d", `+
			`"compress_alg":"none", "external_dir_num":"0", "dbOid":"1", "file_type":"0"`, name, len(content), isData, crc32c.Sum(content))
	}
	const behind = `{"path":"backup_label"`
	w.editList(id, behind, `{"path":"base/1", "size":"0", "mode":"16832", "is_datafile":"0", "is_cfs":"0", "crc":"0", `+
		`"compress_alg":"none", "external_dir_num":"0", "dbOid":"1", "file_type":"0"}`+"\n"+
		line("pg_filenode.map", relmap, 0)+"}\n"+line("14481", class, 1)+`,"segno":"0","n_blocks":"1"}`+"\n"+behind)
}

// A relation that C 3.0 has stored, listed by the name of its main file, comes
// back as that file, empty, with its addresses and its chunks beside it.
func TestCompressedOf3(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Raw)
	const rel = "base/16384/16397"
	w.must(w.run(w.options("TOWDFI")))
	raw, err := os.ReadFile(w.m.Path(pgdata + "/" + rel + "_compress"))
	w.must(err)
	want, err := pg.OpenCompressed(bytes.NewReader(raw), int64(len(raw)))
	w.must(err)
	w.must(os.RemoveAll(w.m.Path(pgdata)))

	w.editList("TOWDFI", rel+"_compress", rel)
	w.must(os.Rename(w.path("TOWDFI", "database/"+rel+"_compress"), w.path("TOWDFI", "database/"+rel)))
	w.must(w.run(w.options("TOWDFI"))) // validates
	main, err := os.ReadFile(w.m.Path(pgdata + "/" + rel))
	w.must(err)
	pca, err := os.ReadFile(w.m.Path(pgdata + "/" + rel + "_pca"))
	w.must(err)
	pcd, err := os.ReadFile(w.m.Path(pgdata + "/" + rel + "_pcd"))
	w.must(err)
	h, err := pg.ParsePCAHeader(pca)
	w.must(err)
	// The server maps addresses of 131072 blocks, 21 to each 512 bytes.
	if len(main) != 0 || len(pca) != 512*(1+131072/21)+24*(131072%21) || h.Blocks != want.Blocks() || h.ChunkSize != 2048 || h.Algorithm != 2 {
		t.Errorf("main file of %d bytes, addresses of %d, %+v, want %d blocks", len(main), len(pca), h, want.Blocks())
	}
	if len(pcd) != int(h.AllocatedChunks)*2048 || h.AllocatedChunks < 160 {
		t.Errorf("%d bytes of chunks, %d are allocated", len(pcd), h.AllocatedChunks)
	}
	page, got := make([]byte, pg.BlockSize), make([]byte, pg.BlockSize)
	for blk := range h.Blocks {
		w.must(want.ReadBlock(blk, page))
		page[13] &= 0x7F // the mark of the newer format
		off, size := h.AddressOffset(blk)
		chunks, err := h.Address(pca[off : off+int64(size)])
		w.must(err)
		clear(got)
		for i, n := range chunks {
			copy(got[i*2048:], pcd[(n-1)*2048:n*2048])
		}
		if !bytes.Equal(page, got) {
			t.Fatalf("block %d differs", blk)
		}
	}
}
