package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/usererr"
)

// serverImages are the blocks of a file openGauss 6.0.2 wrote.
func serverImages(t *testing.T) (images [][]byte, file []byte) {
	t.Helper()
	f, err := os.Open("../pgdata/testdata/16639_compress.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	c, err := pgdata.OpenCompressed(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for blk := range c.Blocks() {
		img := make([]byte, pageSize)
		if err := c.ReadBlock(blk, img); err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	return images, file
}

// compressedFile writes a file of some extents with all images in each; blocks
// behind them are zero, except in the last extent.
func compressedFile(t *testing.T, layout pgdata.ExtentLayout, images [][]byte, extents int) (path string, all [][]byte) {
	t.Helper()
	var file []byte
	for n := range extents {
		blocks := slices.Clone(images)
		for n < extents-1 && len(blocks) < int(layout.Blocks()) {
			blocks = append(blocks, make([]byte, pageSize))
		}
		dst := make([]byte, layout.Size())
		if _, err := layout.Build(dst, 2048, 2, uint32(len(all)), blocks); err != nil {
			t.Fatal(err)
		}
		file, all = append(file, dst...), append(all, blocks...)
	}
	path = filepath.Join(t.TempDir(), "16639_compress")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, all
}

func compressedRequest(path string, layout pgdata.ExtentLayout, to int) RunRequest {
	return RunRequest{
		Path: path, To: uint32(to), Alg: compress.PGLZ,
		Compressed: &CompressedFile{Layout: layout, Rel: 16639},
	}
}

// Runs of a compressed file carry its images, whatever the layout of its
// extents, with the checksum the format wants in the header map.
func TestReadCompressedRun(t *testing.T) {
	images, _ := serverImages(t)
	images = images[:min(40, len(images))]
	for _, layout := range []pgdata.ExtentLayout{pgdata.Extents129, pgdata.Extents128} {
		path, all := compressedFile(t, layout, images, 3)
		info, err := Local(fsx.OS()).CompressedInfo(context.Background(), path)
		want := CompressedInfo{Layout: layout, Blocks: uint32(len(all)), ChunkSize: 2048, Algorithm: 2}
		if err != nil || info != want {
			t.Fatalf("info %+v, %v; want %+v", info, err, want)
		}
		marked := new(ptrack.PageMap)
		for _, b := range []uint32{0, 1, layout.Blocks() - 1, layout.Blocks(), layout.Blocks() + 7, uint32(len(all)) - 1} {
			marked.Add(b)
		}
		for _, m := range []*ptrack.PageMap{nil, marked} {
			for from := 0; from < len(all); from += MaxRunPages {
				req := compressedRequest(path, layout, min(from+MaxRunPages, len(all)))
				req.From, req.Map = uint32(from), m
				req.Compressed.Segno = 2
				checkImages(t, req, all, false)
			}
		}
	}
}

func checkImages(t *testing.T, req RunRequest, all [][]byte, eof bool) {
	t.Helper()
	run, err := readRun(t, testHost(fsx.OS()), req)
	if err != nil || run.EOF != eof {
		t.Fatalf("blocks %d..%d: EOF %v, %v", req.From, req.To, run.EOF, err)
	}
	numbers, pages := blocks(t, run, req.Alg)
	var want []uint32
	for b := req.From; b < min(req.To, uint32(len(all))); b++ {
		if req.Map.Has(b) {
			want = append(want, b)
		}
	}
	if !slices.Equal(numbers, want) {
		t.Fatalf("blocks %d, want %d", numbers, want)
	}
	for i, b := range numbers {
		if !bytes.Equal(pages[i], all[b]) {
			t.Fatalf("block %d differs", b)
		}
		h := run.Headers[i]
		sum, lsn := uint16(0), pgdata.DecodePageHeader(all[b]).LSN
		if !pgdata.IsZero(all[b]) {
			sum = pgdata.PageChecksum(all[b], req.Compressed.Segno*pgdata.DefaultRelSegBlocks+b, pgdata.OpenGauss)
		}
		if h.Checksum != sum || h.LSN != lsn {
			t.Errorf("block %d: header %+v, want checksum %d, LSN %s", b, h, sum, lsn)
		}
	}
}

func TestCompressedTruncated(t *testing.T) {
	images, _ := serverImages(t)
	path, all := compressedFile(t, pgdata.Extents129, images[:20], 2)
	checkImages(t, compressedRequest(path, pgdata.Extents129, 128), all, false)
	req := compressedRequest(path, pgdata.Extents129, 200)
	req.From = 128
	checkImages(t, req, all, true)
	req = compressedRequest(path, pgdata.Extents129, 400)
	req.From = 300
	checkImages(t, req, all, true)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	checkImages(t, compressedRequest(path, pgdata.Extents129, 100), nil, true)
	if info, err := Local(fsx.OS()).CompressedInfo(context.Background(), path); err != nil || info != (CompressedInfo{}) {
		t.Errorf("empty file: %+v, %v", info, err)
	}
	if _, err := Local(fsx.OS()).CompressedInfo(context.Background(), path+"x"); !errors.Is(err, ErrVanished) {
		t.Errorf("missing file: %v", err)
	}
}

// A block whose chunks or address are caught half-way is read again.
func TestCompressedTorn(t *testing.T) {
	images, _ := serverImages(t)
	path, all := compressedFile(t, pgdata.Extents129, images[:20], 1)
	header := pgdata.Extents129.Size() - pageSize
	tests := map[string]func(p []byte, off int64){
		"chunk":   func(p []byte, off int64) { p[100] ^= 1 },
		"address": func(p []byte, off int64) { p[12+5*14+6]++ },
		"header":  func(p []byte, off int64) { p[8] = 3 },
	}
	for name, tear := range tests {
		left := 3
		hook := &readHook{FS: fsx.OS(), readAt: func(f fsx.File, p []byte, off int64) (int, error) {
			n, err := f.ReadAt(p, off)
			if (name == "chunk") == (off < header) && left > 0 {
				left--
				tear(p, off)
			}
			return n, err
		}}
		run, err := readRun(t, testHost(hook), compressedRequest(path, pgdata.Extents129, 20))
		if err != nil || run.Rereads == 0 || len(run.Headers) != 20 {
			t.Errorf("%s: %d pages, %d rereads, %v", name, len(run.Headers), run.Rereads, err)
			continue
		}
		_, pages := blocks(t, run, compress.PGLZ)
		for i := range pages {
			if !bytes.Equal(pages[i], all[i]) {
				t.Errorf("%s: block %d differs", name, i)
			}
		}
	}
}

func TestCompressedDamaged(t *testing.T) {
	images, _ := serverImages(t)
	path, _ := compressedFile(t, pgdata.Extents129, images[:20], 1)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[100] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = readRun(t, testHost(fsx.OS()), compressedRequest(path, pgdata.Extents129, 20))
	var ce *pgdata.CorruptionError
	var ue *usererr.Error
	if !errors.As(err, &ce) || !errors.As(err, &ue) || !strings.Contains(err.Error(), `_compress", block 0: `) {
		t.Errorf("error %v", err)
	}
}

// The server puts the chunks of an extent in order with one large write that
// ends with the header. A reader in the midst of it sees sound blocks in wrong
// places; only the server's own note tells.
func TestCompressedMoving(t *testing.T) {
	images, _ := serverImages(t)
	images = images[:20]
	ordered := make([]byte, pgdata.ExtentSize)
	if _, err := pgdata.BuildExtent(ordered, 4096, 2, 0, images); err != nil {
		t.Fatal(err)
	}
	// The old order is the reverse one.
	at := pgdata.ExtentSize - pageSize
	h, err := pgdata.ParseExtentHeader(ordered[at:])
	if err != nil {
		t.Fatal(err)
	}
	h.RecycleInOrder = false
	for i, j := 0, len(images)-1; i < j; i, j = i+1, j-1 {
		h.Slots[i], h.Slots[j] = h.Slots[j], h.Slots[i]
	}
	old, err := h.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	mixed := append(slices.Clone(ordered[:at]), old...)
	dir := t.TempDir()
	path, note := filepath.Join(dir, "16639_compress"), filepath.Join(dir, "16639_assist_tmp")
	info := make([]byte, 28)
	binary.LittleEndian.PutUint32(info[20:], pgdata.CompressedSegBlocks/128) // first of segment 1
	binary.LittleEndian.PutUint32(info[24:], 1)
	for name, data := range map[string][]byte{path: mixed, note: append(make([]byte, pgdata.ExtentSize), info...)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	req := compressedRequest(path, pgdata.Extents129, len(images))
	read := func() [][]byte {
		t.Helper()
		reads := 0
		hook := &readHook{FS: fsx.OS(), readAt: func(f fsx.File, p []byte, off int64) (int, error) {
			if reads++; reads == 200 { // the write comes to its end
				if err := os.WriteFile(path, ordered, 0o600); err != nil {
					t.Error(err)
				}
				if err := os.Remove(note); err != nil {
					t.Error(err)
				}
			}
			return f.ReadAt(p, off)
		}}
		run, err := readRun(t, testHost(hook), req)
		if err != nil {
			t.Fatal(err)
		}
		_, pages := blocks(t, run, compress.PGLZ)
		return pages
	}
	if pages := read(); bytes.Equal(pages[0], images[0]) {
		t.Fatal("the test does not show what it is about")
	}
	req.Compressed.MoveDir, req.Compressed.Segno = dir, 1
	for i, page := range read() {
		if !bytes.Equal(page, images[i]) {
			t.Errorf("block %d is another one", i)
		}
	}
}
