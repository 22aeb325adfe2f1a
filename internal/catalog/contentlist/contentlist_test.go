package contentlist

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/usererr"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// goldenLists maps a backup to its list and control file, by the real tool.
func goldenLists(t testing.TB) map[string][2][]byte {
	t.Helper()
	f, err := os.Open("testdata/golden.tar.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	lists := map[string][2][]byte{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return lists
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		dir, base, ok := strings.Cut(strings.TrimPrefix(h.Name, "./"), "/")
		if !ok || base == "" {
			continue
		}
		pair := lists[dir]
		if base == FileName {
			pair[0] = data
		} else {
			pair[1] = data
		}
		lists[dir] = pair
	}
}

func controlNumber(t testing.TB, control []byte, key string) int64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + key + ` = (\d+)$`).FindSubmatch(control)
	if m == nil {
		t.Fatalf("no %s", key)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGoldenLists(t *testing.T) {
	lists := goldenLists(t)
	if len(lists) != 5 {
		t.Fatalf("%d lists", len(lists))
	}
	for name, pair := range lists {
		list, control := pair[0], pair[1]
		entries, crc, err := ReadAll(bytes.NewReader(list), int64(len(list)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := controlNumber(t, control, "content-crc"); int64(crc) != want {
			t.Errorf("%s: crc %d, want %d", name, crc, want)
		}
		var out bytes.Buffer
		var c Counters
		w := NewWriter(&out)
		merged := strings.Contains(name, "merged") // a merge counts database_map too
		for i := range entries {
			if err := w.Write(&entries[i]); err != nil {
				t.Fatal(err)
			}
			c.Add(&entries[i], !merged && entries[i].Path == "database_map")
			if !ScannableByC(entries[i].Path) {
				t.Errorf("%s: C itself wrote and read %s", name, entries[i].Path)
			}
		}
		if !bytes.Equal(out.Bytes(), list) || w.CRC() != crc || w.Count() != len(entries) {
			t.Errorf("%s: rewritten differently", name)
		}
		want := Counters{
			DataBytes:         controlNumber(t, control, "data-bytes"),
			WALBytes:          controlNumber(t, control, "wal-bytes"),
			UncompressedBytes: controlNumber(t, control, "uncompressed-bytes"),
		}
		if c != want {
			t.Errorf("%s: counted %+v, want %+v", name, c, want)
		}
	}
}

func drawEntry(t *rapid.T) Entry {
	name := rapid.StringOfN(rapid.RuneFrom([]rune("ab1,\"{}:/ 'é\\\x01")), 1, 30, -1)
	nat := func(hi int) int { return rapid.IntRange(0, hi).Draw(t, "n") }
	e := Entry{
		Path:        name.Draw(t, "path"),
		Size:        rapid.Int64Range(-1, 1<<50).Draw(t, "size"),
		Mode:        rapid.Uint32().Draw(t, "mode"),
		IsDatafile:  rapid.Bool().Draw(t, "data"),
		IsCFS:       rapid.Bool().Draw(t, "cfs"),
		CRC:         rapid.Uint32().Draw(t, "crc"),
		CompressAlg: compress.Algorithm(rapid.IntRange(1, 5).Draw(t, "alg")),
		ExternalDir: nat(9),
		DBOid:       rapid.Uint32().Draw(t, "oid"),
		FileType:    nat(1),
		NBlocks:     nat(131072),
		NHeaders:    nat(2),
	}
	if e.IsDatafile {
		e.Segno = nat(40000)
		if rapid.Bool().Draw(t, "rowcompressed") {
			e.Compressed = &CompressedInfo{ChunkSize: nat(4096), Algorithm: nat(3), ExtentPages: nat(129)}
		}
	}
	if rapid.Bool().Draw(t, "link") {
		e.Linked = name.Draw(t, "linked")
	}
	if e.NHeaders > 0 {
		e.HdrCRC, e.HdrOff, e.HdrSize = rapid.Uint32().Draw(t, "hcrc"), rapid.Int64Range(0, 1<<40).Draw(t, "hoff"), nat(1<<20)
	}
	return e
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 5).Draw(t, "entries")
		var out bytes.Buffer
		w := NewWriter(&out)
		for i := range entries {
			if err := w.Write(&entries[i]); err != nil {
				t.Fatal(err)
			}
		}
		back, crc, err := ReadAll(&out, 0)
		if err != nil || crc != w.CRC() || len(back) != len(entries) {
			t.Fatal(err, crc, w.CRC())
		}
		for i := range back {
			if !reflect.DeepEqual(back[i], entries[i]) {
				t.Fatalf("wrote %+v\nread  %+v", entries[i], back[i])
			}
		}
	})
}

// TestPathsThatLookLikeSyntax: whatever is written is read back, or refused.
func TestPathsThatLookLikeSyntax(t *testing.T) {
	var out bytes.Buffer
	plain := Entry{Path: "p", Mode: 0o100600, CompressAlg: compress.None}
	if err := NewWriter(&out).Write(&plain); err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSuffix(out.String(), "\n")
	for _, path := range []string{
		`a,b`, `a"b`, `"`, `",`, `a", "size":"1`, line, line[:len(line)-2], `x` + line[10:],
		strings.TrimSuffix(line, `"}`) + `","linked":"`,
	} {
		for _, linked := range []string{"", "/t", path} {
			e := plain
			e.Path, e.Linked = path, linked
			var out bytes.Buffer
			err := NewWriter(&out).Write(&e)
			var ue *UnstorableError
			if errors.As(err, &ue) {
				if linked == "" {
					t.Errorf("refused %q", path)
				}
				if out.Len() != 0 {
					t.Errorf("refused %q, but wrote it", path)
				}
				continue
			}
			back, _, err2 := ReadAll(&out, 0)
			if err != nil || err2 != nil || len(back) != 1 || !reflect.DeepEqual(back[0], e) {
				t.Errorf("%q linked to %q came back as %+v (%v, %v)", path, linked, back, err, err2)
			}
		}
	}
	for _, path := range []string{"", "a\nb", strings.Repeat("x", maxLine)} {
		var ue *UnstorableError
		if err := NewWriter(io.Discard).Write(&Entry{Path: path}); !errors.As(err, &ue) {
			t.Errorf("%.20q: %v", path, err)
		}
	}
}

func TestScannableByC(t *testing.T) {
	for path, want := range map[string]bool{
		"base/1/2": true, "é": true, "{}:": true,
		"a,b": false, "a,1,b": false, "a,1": false, "a,": false, `a"b`: false, "a\nb": false,
		strings.Repeat("x", 1023): true, strings.Repeat("x", 1024): false,
	} {
		if got := ScannableByC(path); got != want {
			t.Errorf("%.30q: %t", path, got)
		}
	}
}

const oldLine = `{"path":"base", "size":"0", "mode":"16832", "is_datafile":"0", "is_cfs":"0", "crc":"0", ` +
	`"compress_alg":"none", "external_dir_num":"0", "dbOid":"0"}` + "\n"

func TestTolerantReading(t *testing.T) {
	dir := Entry{Path: "base", Mode: 16832, CompressAlg: compress.None}
	for _, line := range []string{
		oldLine,                           // before 5.0: no file_type
		strings.TrimSuffix(oldLine, "\n"), // no line feed at the end
		strings.Replace(oldLine, "\n", "\r\n", 1),
		`{"mode":"16832","path":"base", "crc":"0", "size":"0","is_datafile":"0","compress_alg":"none"}`, // other order
		strings.Replace(oldLine, `"}`, `","full_size":"9"}`, 1),                                         // a key of another program
	} {
		e, err := NewReader(strings.NewReader(line)).Next()
		if err != nil || !reflect.DeepEqual(e, dir) {
			t.Errorf("%s: got %+v, %v", line, e, err)
		}
	}
}

func TestBadLines(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"size"`, `"sIze"`, `field "size" is not found in the line LINE of the file backup_content.control`}, // golden 08 step 65
		{`"crc":"0"`, `"crc":"4294967296"`, `field "crc" is out of range in the line LINE of the file backup_content.control`},
		{`"size":"0"`, `"size":"99999999999999999999"`, `field "size" is out of range in the line LINE of the file backup_content.control`},
		{`"mode":"16832"`, `"mode":"x"`, `field "mode" is out of range in the line LINE of the file backup_content.control`},
		{`"none"`, `""`, `compress algorithm is empty`},
		{`"none"`, `"rle"`, `invalid compress algorithm value "rle"`},
		{`{`, ``, `backup_content.control file has invalid format in line LINE`},
		{`"}`, ``, `backup_content.control file has invalid format in line LINE`},
		{`"}`, `"} junk`, `backup_content.control file has invalid format in line LINE`},
		{`"base"`, `""`, `backup_content.control file has invalid format in line LINE`},
		{`"dbOid":"0"`, `"compressedFile":"1"`, `field "compressedAlgorithm" is not found in the line LINE of the file backup_content.control`},
	} {
		line := strings.Replace(oldLine, c.old, c.new, 1)
		_, err := NewReader(strings.NewReader(line)).Next()
		var ue *usererr.Error
		if want := strings.Replace(c.want, "LINE", line, 1); !errors.As(err, &ue) || ue.Text != want || !errors.Is(err, ErrFormat) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := NewReader(strings.NewReader(strings.Repeat("x", maxLine+1))).Next(); !errors.Is(err, ErrFormat) {
		t.Errorf("endless line: %v", err)
	}
}

func TestCounters(t *testing.T) {
	var c Counters
	for _, e := range []Entry{
		{Path: "base", Mode: 0o040700},
		{Path: "pg_xlog/000000010000000000000005", Mode: 0o100600, Size: 16 << 20},
		{Path: "pg_xlog/000000010000000000000006.partial", Mode: 0o100600, Size: 100},
		{Path: "000000010000000000000005", Mode: 0o100600, Size: 10, ExternalDir: 1},
		{Path: "base/1/2", Mode: 0o100600, Size: 50, IsDatafile: true, NHeaders: 3},
		{Path: "base/1/3", Mode: 0o100600, Size: SizeUnchanged, IsDatafile: true, NBlocks: 3},
		{Path: "empty", Mode: 0o100600},
		{Path: "link", Mode: 0o120777, Size: 7},
	} {
		c.Add(&e, false)
	}
	c.Add(&Entry{Path: "database_map", Mode: 0o100600, Size: 5}, true)
	if want := (Counters{4096 + 100 + 10 + 50 + 5, 16 << 20, 4096 + 100 + 10 + 3*8192}); c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

// TestMemory keeps a list of 200,000 entries under 60 MB.
func TestMemory(t *testing.T) {
	var list bytes.Buffer
	w := NewWriter(&list)
	for i := range 200_000 {
		e := Entry{Path: "base/16384/" + strconv.Itoa(100_000+i) + "_fsm", Size: int64(i), Mode: 0o100600,
			IsDatafile: true, CompressAlg: compress.Zlib, DBOid: 16384, NBlocks: i + 1, NHeaders: i + 1, HdrSize: 1}
		if err := w.Write(&e); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	entries, _, err := ReadAll(bytes.NewReader(list.Bytes()), int64(list.Len()))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d entries: %d MB", len(entries), used>>20)
	if used > 60<<20 {
		t.Errorf("%d entries take %d bytes", len(entries), used)
	}
	runtime.KeepAlive(entries)
	runtime.KeepAlive(&list)
}

func FuzzReadAll(f *testing.F) {
	f.Add([]byte(oldLine))
	f.Add([]byte(`{"path":"a","b", "size":"-1", "mode":"33152", "is_datafile":"1", "is_cfs":"0", "crc":"7", "compress_alg":"zlib", ` +
		`"external_dir_num":"0", "dbOid":"15103", "file_type":"0","segno":"3","compressedFile":"1","compressedChunkSize":"512",` +
		`"compressedAlgorithm":"2","linked":"/x","n_blocks":"1","n_headers":"1","hdr_crc":"9","hdr_off":"0","hdr_size":"44"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _, err := ReadAll(bytes.NewReader(data), 0)
		if err != nil {
			return
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		for i := range entries {
			var ue *UnstorableError
			if err := w.Write(&entries[i]); errors.As(err, &ue) {
				return
			}
		}
		back, crc, err := ReadAll(bytes.NewReader(out.Bytes()), 0)
		if err != nil || crc != w.CRC() || len(back) != len(entries) {
			t.Fatalf("%v\n%s", err, out.String())
		}
		var again bytes.Buffer
		w = NewWriter(&again)
		for i := range back {
			if err := w.Write(&back[i]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Fatalf("not stable:\n%s\n%s", out.String(), again.String())
		}
	})
}
