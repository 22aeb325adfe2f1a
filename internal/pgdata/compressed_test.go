package pgdata

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"

	"pgregory.net/rapid"
)

func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll reads every block of a `_compress` file and checks it.
func readAll(t testing.TB, file []byte) (*CompressedFile, [][]byte) {
	t.Helper()
	f, err := OpenCompressed(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var images [][]byte
	for blk := range f.Blocks() {
		img := make([]byte, BlockSize)
		if err := f.ReadBlock(blk, img); err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	return f, images
}

// TestServerCompressedFile reads `_compress` files that openGauss 6.0.2 wrote
// (golden 13_raw_server_files) and builds them anew. The only difference C's
// restore makes, too, is the recycle-in-order bit.
func TestServerCompressedFile(t *testing.T) {
	for name, want := range map[string]struct {
		blocks    uint32
		chunk     uint16
		algorithm uint8
		chunks    uint32
	}{
		"testdata/16645_compress.gz": {38, 2048, 2, 38},
		"testdata/16639_compress.gz": {38, 1024, 1, 75},
	} {
		server := gunzip(t, name)
		f, images := readAll(t, server)
		h, err := f.Header()
		if err != nil {
			t.Fatal(err)
		}
		if f.Blocks() != want.blocks || h.ChunkSize != want.chunk || h.Algorithm != want.algorithm ||
			h.AllocatedChunks != want.chunks || h.RecycleInOrder {
			t.Errorf("%s: %d blocks, chunk %d, algorithm %d, %d chunks", name, f.Blocks(), h.ChunkSize, h.Algorithm, h.AllocatedChunks)
		}
		for i, img := range images {
			if c := CheckImage(img, uint32(i)); c.Kind != ImageCompressed || img[13]&0x80 == 0 {
				t.Errorf("%s block %d: %+v", name, i, c)
			}
		}
		page, err := h.Marshal()
		if err != nil || !bytes.Equal(page, server[extentHeaderOffset:]) {
			t.Errorf("%s: header does not survive: %v", name, err)
		}
		built := make([]byte, ExtentSize)
		used, err := BuildExtent(built, h.ChunkSize, h.Algorithm, 0, images)
		if err != nil || used != int(want.chunks)*int(want.chunk) {
			t.Errorf("%s: %d bytes used, %v", name, used, err)
		}
		server[extentHeaderOffset+10] |= 0x80
		if !bytes.Equal(built, server) {
			t.Errorf("%s: rebuilt file differs", name)
		}
	}
}

// TestExtentHeaderVector is spec/formats.md §13.1 (e).
func TestExtentHeaderVector(t *testing.T) {
	page := make([]byte, BlockSize)
	head, err := hex.DecodeString("520000005200000000100200" + "01010100010101000000" + "01010200010102000000")
	if err != nil {
		t.Fatal(err)
	}
	copy(page, head)
	h, err := ParseExtentHeader(page)
	if err != nil {
		t.Fatal(err)
	}
	if h.Blocks != 82 || h.AllocatedChunks != 82 || h.ChunkSize != 4096 || h.Algorithm != 2 || h.RecycleInOrder {
		t.Errorf("%+v", h)
	}
	for slot, want := range []uint16{1, 2} {
		got, err := h.Address(slot)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("slot %d: %v, %v", slot, got, err)
		}
	}
	if got, err := h.Address(2); err != nil || len(got) != 0 {
		t.Errorf("unused slot: %v, %v", got, err)
	}
}

// TestGoldenImages has one raw and one compressed block, as the C tool stored
// them (golden 18_row_compressed_raw, TOWDFI, base/16384/16403_compress).
func TestGoldenImages(t *testing.T) {
	b := gunzip(t, "testdata/images.gz")
	raw, packed := b[:BlockSize], b[BlockSize:]
	const blkno = 0
	if c := CheckImage(raw, blkno); c.Kind != ImageRaw || c.Size != BlockSize {
		t.Errorf("raw block: %+v", c)
	}
	if c := CheckImage(raw, blkno+1); c.OK() {
		t.Errorf("raw block under a wrong number: %+v", c)
	}
	if c := CheckImage(packed, 12345); c.Kind != ImageCompressed || c.Size >= BlockSize {
		t.Errorf("compressed block: %+v", c)
	}
	dst := make([]byte, ExtentSize)
	used, err := BuildExtent(dst, 1024, 1, blkno, [][]byte{raw, packed})
	if err != nil {
		t.Fatal(err)
	}
	if used <= BlockSize || used >= 2*BlockSize {
		t.Errorf("%d bytes used", used)
	}
	if raw[13]&0x80 == 0 || dst[13]&0x80 != 0 {
		t.Error("mark left in the raw page")
	}
	f, err := OpenCompressed(bytes.NewReader(dst), ExtentSize)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{raw, packed} {
		got := make([]byte, BlockSize)
		if err := f.ReadBlock(uint32(i), got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("block %d does not survive: %v", i, err)
		}
	}
}

// packedImage makes a compressed block of data, marked as in a backup.
func packedImage(version uint8, data []byte) []byte {
	img := make([]byte, BlockSize)
	n := map[uint8]int{5: 24, 6: 40, 7: 56}[version]
	le := binary.LittleEndian
	le.PutUint16(img[12:], 0x8000|uint16(n))
	le.PutUint16(img[14:], 8000)
	le.PutUint16(img[16:], 8192)
	le.PutUint16(img[18:], 8192|uint16(version))
	le.PutUint32(img[n:], dataChecksum(data))
	le.PutUint16(img[n+4:], uint16(len(data)))
	le.PutUint16(img[n+6:], 0xFFC0|2<<2|1)
	copy(img[n+8:], data)
	return img
}

func TestCheckImage(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 50)
	spoil := func(img []byte, off int) []byte { img[off] ^= 1; return img }
	raw := newPage(OpenGauss, 9)
	raw[13] |= 0x80
	marked := make([]byte, BlockSize)
	marked[13] = 0x80
	dirty := packedImage(6, data)
	dirty[8000] = 1
	algo := packedImage(5, data)
	algo[24+6] = 0
	upper := make([]byte, BlockSize)
	upper[100] = 1
	for name, tc := range map[string]struct {
		img  []byte
		kind ImageKind
		size int
	}{
		"common":        {packedImage(5, data), ImageCompressed, 24 + 8 + 200},
		"heap":          {packedImage(6, data), ImageCompressed, 40 + 8 + 200},
		"uheap":         {packedImage(7, data), ImageCompressed, 56 + 8 + 200},
		"full":          {packedImage(5, bytes.Repeat([]byte{1}, BlockSize-32)), ImageCompressed, BlockSize},
		"left-overs":    {dirty, ImageCompressed, 40 + 8 + 200},
		"raw":           {raw, ImageRaw, BlockSize},
		"zero":          {make([]byte, BlockSize), ImageZero, BlockSize},
		"marked zero":   {marked, ImageZero, BlockSize},
		"bad data":      {spoil(packedImage(6, data), 100), ImageInvalid, 0},
		"bad crc":       {spoil(packedImage(6, data), 40), ImageInvalid, 0},
		"bad size":      {spoil(packedImage(6, data), 45), ImageInvalid, 0},
		"no algorithm":  {algo, ImageInvalid, 0},
		"not a page":    {upper, ImageInvalid, 0},
		"short":         {raw[:100], ImageInvalid, 0},
		"raw, changed":  {spoil(append([]byte(nil), raw...), 5000), ImageInvalid, 0},
		"no data":       {packedImage(5, nil), ImageInvalid, 0},
		"unknown style": {func() []byte { p := packedImage(5, data); p[18] = 9; return p }(), ImageInvalid, 0},
	} {
		c := CheckImage(tc.img, 9)
		if c.Kind != tc.kind || c.Size != tc.size || c.OK() != (c.Page.Reason == "") ||
			c.OK() != c.Page.OK() {
			t.Errorf("%s: %+v, want kind %d size %d", name, c, tc.kind, tc.size)
		}
	}
}

// Images of 3.0 do not tell their algorithm.
func TestImagesOf3(t *testing.T) {
	img := packedImage(6, bytes.Repeat([]byte("abc"), 60))
	img[40+6], img[40+7] = 0xC3, 0xFF
	if k := ImagesOf3.Check(img, 9).Kind; k != ImageCompressed {
		t.Errorf("kind %d", k)
	}
	if k := ImagesOf5.Check(img, 9).Kind; k != ImageInvalid {
		t.Errorf("kind %d for a newer release", k)
	}
	for path, want := range map[string]ImageFormat{"base/1/2_compress": ImagesOf5, "base/1/2.1_compress": ImagesOf5, "base/1/2": ImagesOf3, "base/1/2.1": ImagesOf3} {
		if f := ImageFormatOf(path); f != want || f.SegBlocks() != map[ImageFormat]uint32{ImagesOf5: 130048, ImagesOf3: 131072}[want] {
			t.Errorf("%s: format %d", path, f)
		}
	}
}

func TestBuildExtentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunk := rapid.SampledFrom([]uint16{512, 1024, 2048, 4096}).Draw(t, "chunk")
		first := rapid.Uint32Max(1<<31).Draw(t, "first")
		var images [][]byte
		for i := range rapid.IntRange(1, ExtentBlocks).Draw(t, "blocks") {
			var img []byte
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				img = make([]byte, BlockSize)
			case 1:
				img = newPage(OpenGauss, first+uint32(i))
				img[13] |= 0x80
			default:
				n := rapid.IntRange(1, BlockSize-64).Draw(t, "size")
				img = packedImage(rapid.Uint8Range(5, 7).Draw(t, "version"), bytes.Repeat([]byte{byte(n)}, n))
			}
			images = append(images, img)
		}
		dst := make([]byte, ExtentSize)
		used, err := BuildExtent(dst, chunk, 2, first, images)
		if err != nil {
			t.Fatal(err)
		}
		if used%int(chunk) != 0 || !IsZero(dst[used:extentHeaderOffset]) {
			t.Fatalf("%d bytes said to be used", used)
		}
		f, err := OpenCompressed(bytes.NewReader(dst), ExtentSize)
		if err != nil || int(f.Blocks()) != len(images) {
			t.Fatal(f, err)
		}
		got := make([]byte, BlockSize)
		for i, want := range images {
			if err := f.ReadBlock(uint32(i), got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("block %d differs: %v", i, err)
			}
		}
		again := make([]byte, ExtentSize)
		if _, err := BuildExtent(again, chunk, 2, first, images); err != nil || !bytes.Equal(again, dst) {
			t.Fatal("building twice differs", err)
		}
	})
}

func TestBuildExtentErrors(t *testing.T) {
	dst, page := make([]byte, ExtentSize), newPage(OpenGauss, 1)
	if _, err := BuildExtent(dst[1:], 512, 1, 0, nil); err == nil {
		t.Error("short buffer")
	}
	if _, err := BuildExtent(dst, 513, 1, 0, nil); err == nil {
		t.Error("bad chunk size")
	}
	if _, err := BuildExtent(dst, 512, 1, 0, make([][]byte, 129)); err == nil {
		t.Error("too many blocks")
	}
	_, err := BuildExtent(dst, 512, 1, 5, [][]byte{make([]byte, BlockSize), page})
	var ce *CorruptionError
	if !errors.As(err, &ce) || ce.Block != 6 {
		t.Errorf("wrong block number: %v", err)
	}
}

func TestOpenCompressed(t *testing.T) {
	one := gunzip(t, "testdata/16645_compress.gz")
	empty := make([]byte, ExtentSize)
	if _, err := BuildExtent(empty, 2048, 2, 0, nil); err != nil {
		t.Fatal(err)
	}
	f, err := OpenCompressed(bytes.NewReader(nil), 0)
	if err != nil || f.Blocks() != 0 {
		t.Errorf("empty file: %v", err)
	}
	if h, err := f.Header(); h != nil || err != nil {
		t.Errorf("empty file: %v %v", h, err)
	}
	two := append(append([]byte(nil), one...), empty...)
	f, err = OpenCompressed(bytes.NewReader(two), int64(len(two)))
	if err != nil || f.Blocks() != 128 { // as the server counts
		t.Errorf("empty extent at the end: %v", err)
	}
	if err := f.ReadBlock(38, make([]byte, BlockSize)); err != nil {
		t.Errorf("block without chunks: %v", err)
	}
	if err := f.ReadBlock(128, make([]byte, BlockSize)); !errors.Is(err, io.EOF) {
		t.Errorf("block behind the end: %v", err)
	}
	var ce *CorruptionError
	for _, size := range []int64{-1, 1, ExtentSize - 1, 1017 * ExtentSize} {
		if _, err := OpenCompressed(bytes.NewReader(one), size); !errors.As(err, &ce) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	if _, err := OpenCompressed(bytes.NewReader(one[:100]), ExtentSize); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut file: %v", err)
	}
	torn := append([]byte(nil), one...)
	torn[extentHeaderOffset+extentFixedSize+5*addressSize(4)]++
	f, err = OpenCompressed(bytes.NewReader(torn), ExtentSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.ReadBlock(5, make([]byte, BlockSize)); !errors.As(err, &ce) || ce.Block != 5 {
		t.Errorf("torn address: %v", err)
	}
}

func FuzzExtent(f *testing.F) {
	server := gunzip(f, "testdata/16639_compress.gz")
	f.Add(server[extentHeaderOffset:], []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, header, chunks []byte) {
		file := make([]byte, ExtentSize)
		copy(file, chunks)
		copy(file[extentHeaderOffset:], header)
		cf, err := OpenCompressed(bytes.NewReader(file), ExtentSize)
		if err != nil {
			return
		}
		h, err := cf.Header()
		if err != nil {
			t.Fatal(err)
		}
		page, err := h.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseExtentHeader(page); err != nil || *again != *h {
			t.Fatal("header does not survive", err)
		}
		img := make([]byte, BlockSize)
		for blk := range cf.Blocks() {
			if cf.ReadBlock(blk, img) == nil {
				_ = CheckImage(img, blk)
			}
		}
	})
}

func TestPCA(t *testing.T) {
	le := binary.LittleEndian
	head := make([]byte, PCAHeaderSize)
	le.PutUint32(head, 100)
	le.PutUint32(head[4:], 300000)
	le.PutUint16(head[8:], 2048)
	head[10] = 2
	le.PutUint64(head[24:], 77)
	h, err := ParsePCAHeader(head)
	if err != nil || *h != (PCAHeader{Blocks: 100, AllocatedChunks: 300000, ChunkSize: 2048, Algorithm: 2, RecoveryStart: 77}) {
		t.Fatalf("%+v, %v", h, err)
	}
	// 24-byte records, 21 to a sector.
	for block, want := range map[uint32]int64{0: 512, 1: 536, 20: 992, 21: 1024, 43: 1560} {
		if off, size := h.AddressOffset(block); off != want || size != 24 {
			t.Errorf("block %d at %d, %d bytes", block, off, size)
		}
	}
	rec := make([]byte, 24)
	rec[4], rec[5] = 2, 3
	for i, n := range []uint32{70000, 5, 300000} {
		le.PutUint32(rec[8+4*i:], n)
	}
	le.PutUint32(rec, 0x0302+70000+5+300000)
	got, err := h.Address(rec)
	if err != nil || len(got) != 2 || got[0] != 70000 || got[1] != 5 {
		t.Errorf("%v, %v", got, err)
	}
	rec[9]++
	if _, err := h.Address(rec); err == nil {
		t.Error("wrong checksum accepted")
	}
	if _, err := h.Address(rec[:20]); err == nil {
		t.Error("short record accepted")
	}
	head[8] = 1
	if _, err := ParsePCAHeader(head); err == nil {
		t.Error("bad chunk size accepted")
	}
}

func FuzzPCA(f *testing.F) {
	f.Add(make([]byte, 32), make([]byte, 24))
	f.Fuzz(func(t *testing.T, head, rec []byte) {
		h, err := ParsePCAHeader(head)
		if err != nil {
			return
		}
		if off, size := h.AddressOffset(h.Blocks); off/512 != (off+int64(size)-1)/512 {
			t.Fatal("record crosses a sector")
		}
		if numbers, err := h.Address(rec); err == nil && len(numbers) > 16 {
			t.Fatal(numbers)
		}
	})
}
