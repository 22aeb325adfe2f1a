package blockfile

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/wal"
)

// build returns a stored file of the given blocks and payload sizes.
func build(blocks []uint32, sizes []int) (file []byte, headers []Header) {
	for i, b := range blocks {
		payload := bytes.Repeat([]byte{byte(b), byte(i)}, PageSize)[:sizes[i]]
		headers = append(headers, Header{LSN: wal.LSN(i) << 30, Block: b, Pos: int32(len(file)), Checksum: uint16(b)})
		file = AppendFrame(file, b, payload)
	}
	return file, headers
}

func drawFile(t *rapid.T) (file []byte, headers []Header) {
	n := rapid.IntRange(1, 200).Draw(t, "pages")
	blocks, sizes := make([]uint32, n), make([]int, n)
	next := uint32(0)
	for i := range blocks {
		next += rapid.Uint32Range(0, 3).Draw(t, "gap")
		blocks[i], next = next, next+1
		sizes[i] = rapid.OneOf(rapid.Just(PageSize), rapid.IntRange(1, PageSize)).Draw(t, "size")
	}
	return build(blocks, sizes)
}

func TestRoundTripProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file, headers := drawFile(t)
		limit := rapid.IntRange(1, 300_000).Draw(t, "limit")
		var src io.Reader = bytes.NewReader(file)
		if rapid.Bool().Draw(t, "short reads") {
			src = iotest.HalfReader(src)
		}
		r := NewReader(src)
		if rapid.Bool().Draw(t, "mapped") {
			r = NewMappedReader(src, headers, int64(len(file)))
		}
		w := NewWriter(0)
		var out writeAtBuffer
		for {
			run, err := r.NextRun(limit)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(run.Frames) > max(limit, MaxFrameSize) {
				t.Fatalf("run of %d bytes, limit %d", len(run.Frames), limit)
			}
			run.CRC = crc32c.Sum(run.Frames)
			if err := w.Append(&out, run); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(out, file) || w.CRC() != crc32c.Sum(file) || r.CRC() != w.CRC() || r.Size() != int64(len(file)) {
			t.Fatal("file does not survive")
		}
		var packed bytes.Buffer
		ref, err := NewMapWriter(&packed).Append(headers, int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		got, total, err := ReadHeaders(bytes.NewReader(packed.Bytes()), ref)
		if err != nil || total != int64(len(file)) || !slices.Equal(got, headers) {
			t.Fatalf("headers do not survive: %v", err)
		}
		lo := rapid.IntRange(0, len(headers)-1).Draw(t, "lo")
		hi := rapid.IntRange(lo+1, len(headers)).Draw(t, "hi")
		var part Run
		if err := ReadFrames(bytes.NewReader(file), headers, total, lo, hi, &part); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(part.Frames, file[headers[lo].Pos:EndOf(headers, hi-1, total)]) || len(part.Headers) != hi-lo || part.Headers[0].Pos != 0 {
			t.Fatal("partial read differs")
		}
	})
}

// Whatever single thing breaks, the reader says so and never delivers a file
// with a byte count or an order of its own invention.
func TestReaderRejectsDamage(t *testing.T) {
	sound := func() ([]byte, []Header) {
		return build([]uint32{0, 3, 4}, []int{100, PageSize, 7})
	}
	tests := []struct {
		name   string
		mapped bool
		damage func(file []byte, h []Header) []byte
	}{
		{"cut in frame header", false, func(f []byte, _ []Header) []byte { return f[:108+3] }},
		{"cut in payload", false, func(f []byte, _ []Header) []byte { return f[:len(f)-1] }},
		{"cut in payload, map", true, func(f []byte, _ []Header) []byte { return f[:len(f)-1] }},
		{"page missing, map", true, func(f []byte, _ []Header) []byte { return f[:len(f)-15] }},
		{"empty, map", true, func(f []byte, _ []Header) []byte { return nil }},
		{"trailing byte, map", true, func(f []byte, _ []Header) []byte { return append(f, 0) }},
		{"trailing byte", false, func(f []byte, _ []Header) []byte { return append(f, 0) }},
		{"size zero", false, func(f []byte, _ []Header) []byte { PutFrameHeader(f, 0, 0); return f }},
		{"size -2", false, func(f []byte, _ []Header) []byte { PutFrameHeader(f, 0, -2); return f }},
		{"size over a page", false, func(f []byte, _ []Header) []byte { PutFrameHeader(f, 0, PageSize+1); return f }},
		{"block repeats", false, func(f []byte, _ []Header) []byte { PutFrameHeader(f[108:], 0, PageSize); return f }},
		{"block negative", false, func(f []byte, _ []Header) []byte { PutFrameHeader(f, 1<<31, 100); return f }},
		{"block differs from map", true, func(f []byte, _ []Header) []byte { PutFrameHeader(f[108:], 2, PageSize); return f }},
		{"size differs from map", true, func(f []byte, _ []Header) []byte { PutFrameHeader(f, 0, 99); return f }},
		{"position differs from map", true, func(f []byte, h []Header) []byte { h[1].Pos--; return f }},
	}
	for _, tt := range tests {
		file, headers := sound()
		total := int64(len(file))
		file = tt.damage(file, headers)
		newReader := func() *Reader {
			if tt.mapped {
				return NewMappedReader(bytes.NewReader(file), headers, total)
			}
			return NewReader(bytes.NewReader(file))
		}
		var err error
		for r := newReader(); err == nil; {
			_, _, err = r.Next()
		}
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: Next: %v", tt.name, err)
		}
		err = nil
		for r := newReader(); err == nil; {
			_, err = r.NextRun(1 << 20)
		}
		if !errors.As(err, &corrupt) {
			t.Errorf("%s: NextRun: %v", tt.name, err)
		}
	}
}

func TestReaderPassesReadErrorsOn(t *testing.T) {
	file, _ := build([]uint32{0}, []int{PageSize})
	boom := errors.New("boom")
	r := NewReader(io.MultiReader(bytes.NewReader(file[:50]), iotest.ErrReader(boom)))
	if _, _, err := r.Next(); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if err := ReadFrames(bytes.NewReader(file[:50]), []Header{{}}, int64(len(file)), 0, 1, new(Run)); !errors.As(err, new(*CorruptError)) {
		t.Errorf("ReadFrames of a short file: %v", err)
	}
}

func TestParseHeadersRejects(t *testing.T) {
	good := []Header{{Block: 1}, {Block: 2, Pos: 9}}
	tests := []struct {
		name    string
		headers []Header
		total   int64
	}{
		{"first not at 0", []Header{{Pos: 1}}, 20},
		{"frame too short", []Header{{}, {Block: 1, Pos: 8}}, 40},
		{"frame too long", []Header{{}, {Block: 1, Pos: MaxFrameSize + 1}}, 9000},
		{"positions descend", []Header{{}, {Block: 1, Pos: 90}, {Block: 2, Pos: 50}}, 120},
		{"last frame too short", good, 17},
		{"last frame too long", good, 9 + MaxFrameSize + 1},
		{"block repeats", []Header{{Block: 1}, {Block: 1, Pos: 9}}, 30},
		{"block negative", []Header{{Block: 1 << 31}}, 30},
	}
	for _, tt := range tests {
		raw, err := AppendHeaders(nil, tt.headers, tt.total)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ParseHeaders(raw); !errors.As(err, new(*CorruptError)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if raw, _ := AppendHeaders(nil, good, 18); true {
		if _, _, err := ParseHeaders(raw); err != nil {
			t.Errorf("sound array: %v", err)
		}
		for _, n := range []int{0, 1, HeaderSize - 1, HeaderSize, HeaderSize + 1} {
			if _, _, err := ParseHeaders(raw[:n]); !errors.As(err, new(*CorruptError)) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
	if _, err := AppendHeaders(nil, good, math.MaxInt32+1); err == nil {
		t.Error("total beyond 2 GiB accepted")
	}
}

func TestReadHeadersRejectsBadReferences(t *testing.T) {
	var packed bytes.Buffer
	ref, err := NewMapWriter(&packed).Append([]Header{{Block: 5}, {Block: 6, Pos: 9}}, 18)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*MapRef){
		"fewer headers":       func(r *MapRef) { r.N-- },
		"more headers":        func(r *MapRef) { r.N++ },
		"no headers":          func(r *MapRef) { r.N = 0 },
		"a claim of 2 GiB":    func(r *MapRef) { r.N = 80_000_000 },
		"shorter":             func(r *MapRef) { r.Size-- },
		"beyond end of map":   func(r *MapRef) { r.Off = 1000 },
		"negative offset":     func(r *MapRef) { r.Off = -1 },
		"inside the stream":   func(r *MapRef) { r.Off++; r.Size-- },
		"negative size":       func(r *MapRef) { r.Size = -1 },
		"size beyond the map": func(r *MapRef) { r.Size = 4; r.Off = int64(packed.Len()) },
	} {
		bad := ref
		change(&bad)
		if _, _, err := ReadHeaders(bytes.NewReader(packed.Bytes()), bad); !errors.As(err, new(*CorruptError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	boom := errors.New("boom")
	if _, _, err := ReadHeaders(failingReaderAt{boom}, ref); !errors.Is(err, boom) || errors.As(err, new(*CorruptError)) {
		t.Errorf("read error: %v", err)
	}
}

func TestWriterRejectsBadRuns(t *testing.T) {
	file, headers := build([]uint32{4, 5}, []int{10, 20})
	run := Run{Frames: file, Headers: headers, CRC: crc32c.Sum(file)}
	w := NewWriter(0)
	if _, err := w.Reserve(&run); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Run{
		"not ascending":   run,
		"without headers": {Frames: file},
		"short frames":    {Frames: file[:5], Headers: headers},
		"long frames":     {Frames: append(slices.Clone(file), make([]byte, PageSize)...), Headers: headers},
	} {
		if _, err := w.Reserve(&r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if off, err := w.Reserve(new(Run)); err != nil || off != w.Size() {
		t.Errorf("empty run: %d, %v", off, err)
	}
	if w.Size() != int64(len(file)) || w.CRC() != run.CRC || !slices.Equal(w.Headers(), headers) {
		t.Error("rejected runs left traces")
	}
}

func TestMapWriterStaysBroken(t *testing.T) {
	dst := &limitedWriter{left: 30}
	w := NewMapWriter(dst)
	h := []Header{{Block: 1}}
	var err error
	for i := 0; i < 3 && err == nil; i++ {
		_, err = w.Append(h, 100)
	}
	if !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("got %v", err)
	}
	dst.left = 1000
	if _, err := w.Append(h, 100); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("after a write error: %v", err)
	}
	if _, err := NewMapWriter(dst).Append(nil, 0); err == nil {
		t.Error("empty array accepted")
	}
}

type failingReaderAt struct{ err error }

func (f failingReaderAt) ReadAt([]byte, int64) (int, error) { return 0, f.err }

type limitedWriter struct{ left int }

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return w.left, io.ErrShortWrite
	}
	w.left -= len(p)
	return len(p), nil
}
