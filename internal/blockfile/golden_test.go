package blockfile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"

	"gsprobackup/internal/crc32c"
)

// goldenFile is one stored file of the C tool; testdata/golden holds its bytes
// (.pages) and its zlib stream of page_header_map (.headers).
type goldenFile struct {
	Name     string `json:"name"`
	Alg      string `json:"alg"`
	Size     int64  `json:"size"`
	CRC      uint32 `json:"crc"`
	NBlocks  uint32 `json:"n_blocks"`
	NHeaders int    `json:"n_headers"`
	HdrCRC   uint32 `json:"hdr_crc"`
	pages    []byte
	packed   []byte
}

func (g goldenFile) ref() MapRef {
	return MapRef{N: g.NHeaders, CRC: g.HdrCRC, Size: int32(len(g.packed))}
}

func goldenFiles(t testing.TB) []goldenFile {
	t.Helper()
	dir := filepath.Join("testdata", "golden")
	list, err := os.ReadFile(filepath.Join(dir, "files.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files []goldenFile
	if err := json.Unmarshal(list, &files); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		f := &files[i]
		if f.pages, err = os.ReadFile(filepath.Join(dir, f.Name+".pages")); err != nil {
			t.Fatal(err)
		}
		if f.packed, err = os.ReadFile(filepath.Join(dir, f.Name+".headers")); err != nil {
			t.Fatal(err)
		}
	}
	return append(files, vectors(t)...)
}

// vectors are the examples of spec/formats.md §13.1 (a) and (b).
func vectors(t testing.TB) []goldenFile {
	t.Helper()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return []goldenFile{{
		Name: "13.1 zstd", Alg: "zstd", Size: 54, CRC: 960213749, NBlocks: 1, NHeaders: 1, HdrCRC: 2454157356,
		pages:  unhex("00000000 2e000000 28b52ffd60001f250100b00000e95140003400e81fe81f05206231050002000800040060c3d38feb4293250c6001"),
		packed: unhex("7801636040052f0351f9209e1992100029a70171"),
	}}
}

func TestGoldenReadByMap(t *testing.T) {
	for _, g := range goldenFiles(t) {
		headers, total, err := ReadHeaders(bytes.NewReader(g.packed), g.ref())
		if err != nil {
			t.Errorf("%s: ReadHeaders: %v", g.Name, err)
			continue
		}
		if total != g.Size || len(headers) != g.NHeaders {
			t.Errorf("%s: total %d, %d headers", g.Name, total, len(headers))
		}
		mapped, plain := NewMappedReader(bytes.NewReader(g.pages), headers, total), NewReader(bytes.NewReader(g.pages))
		for i := 0; ; i++ {
			h, payload, err := mapped.Next()
			h2, payload2, err2 := plain.Next()
			if err == io.EOF && err2 == io.EOF {
				break
			}
			if err != nil || err2 != nil {
				t.Fatalf("%s: page %d: %v, %v", g.Name, i, err, err2)
			}
			if h != headers[i] || h2.Block != h.Block || h2.Pos != h.Pos || !bytes.Equal(payload, payload2) {
				t.Errorf("%s: page %d: %+v by map, %+v without", g.Name, i, h, h2)
			}
			if h.Block >= g.NBlocks {
				t.Errorf("%s: block %d of %d", g.Name, h.Block, g.NBlocks)
			}
		}
		if mapped.CRC() != g.CRC || plain.CRC() != g.CRC || mapped.Size() != g.Size {
			t.Errorf("%s: CRC %d and %d, want %d; size %d", g.Name, mapped.CRC(), plain.CRC(), g.CRC, mapped.Size())
		}
	}
}

// What we write from the pages of the C tool is what it wrote, apart from the
// garbage in its header arrays.
func TestGoldenRewrite(t *testing.T) {
	for _, g := range goldenFiles(t) {
		headers, total, err := ReadHeaders(bytes.NewReader(g.packed), g.ref())
		if err != nil {
			t.Fatal(err)
		}
		var out writeAtBuffer
		w := NewWriter(len(headers))
		r := NewMappedReader(bytes.NewReader(g.pages), headers, total)
		for {
			run, err := r.NextRun(1)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			run.CRC = crc32c.Sum(run.Frames)
			if err := w.Append(&out, run); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(out, g.pages) || w.CRC() != g.CRC || w.Size() != g.Size {
			t.Errorf("%s: rewritten file differs", g.Name)
		}
		var packed bytes.Buffer
		ref, err := NewMapWriter(&packed).Append(w.Headers(), w.Size())
		if err != nil {
			t.Fatal(err)
		}
		again, total2, err := ReadHeaders(bytes.NewReader(packed.Bytes()), ref)
		if err != nil || total2 != total || len(again) != len(headers) {
			t.Fatalf("%s: read own headers: %v", g.Name, err)
		}
		for i := range headers {
			if again[i] != headers[i] {
				t.Errorf("%s: header %d: %+v, want %+v", g.Name, i, again[i], headers[i])
			}
		}
		if b := packed.Bytes(); b[0] != 0x78 || b[1] != 0x01 {
			t.Errorf("%s: zlib header % x, want 78 01", g.Name, b[:2])
		}
	}
}

// The array of §13.1 (b) and the example of §13, byte for byte.
func TestHeaderArrayBytes(t *testing.T) {
	got, err := AppendHeaders(nil, []Header{{Checksum: 0x51e9}}, 54)
	if err != nil {
		t.Fatal(err)
	}
	want := "0000000000000000" + "00000000" + "00000000" + "e951" + "000000000000" +
		"0000000000000000" + "00000000" + "36000000" + "0000" + "000000000000"
	if hex.EncodeToString(got) != want {
		t.Errorf("array\n%x, want\n%s", got, want)
	}
	if crc := crc32c.Sum(got); crc != 2454157356 {
		t.Errorf("hdr_crc %d", crc)
	}
	if _, _, err := ParseHeaders(got); err != nil {
		t.Error(err)
	}
}

func TestGarbageInDummyRecordIsIgnoredButSummed(t *testing.T) {
	raw, _ := AppendHeaders(nil, []Header{{Checksum: 1}}, 132)
	copy(raw[HeaderSize:], []byte{0x30, 0x0f, 0x01, 0xc4, 0xed, 0x7f}) // as in §13.1 (b)
	copy(raw[18:], "junk")
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	ref := MapRef{N: 1, CRC: crc32c.Sum(raw), Size: int32(packed.Len())}
	headers, total, err := ReadHeaders(bytes.NewReader(packed.Bytes()), ref)
	if err != nil || total != 132 || headers[0] != (Header{Checksum: 1}) {
		t.Errorf("headers %+v, total %d, %v", headers, total, err)
	}
	ref.CRC++
	var crcErr *MapCRCError
	if _, _, err := ReadHeaders(bytes.NewReader(packed.Bytes()), ref); !errors.As(err, &crcErr) || crcErr.Found != ref.CRC-1 {
		t.Errorf("wrong hdr_crc: %v", err)
	}
}

type writeAtBuffer []byte

func (b *writeAtBuffer) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(*b) {
		*b = append(*b, make([]byte, need-len(*b))...)
	}
	return copy((*b)[off:], p), nil
}
