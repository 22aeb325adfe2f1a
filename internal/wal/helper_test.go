package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const testSystem = 215046882207064539

// memSource holds segments in memory. Its readers seek.
type memSource map[string][]byte

type memSegment struct{ *bytes.Reader }

func (memSegment) Close() error { return nil }

func (m memSource) Open(name string) (io.ReadCloser, error) {
	b, ok := m[name]
	if !ok {
		return nil, &SegmentAbsentError{Name: name}
	}
	return memSegment{bytes.NewReader(b)}, nil
}

// clone copies the segments so that a test can damage them.
func (m memSource) clone() memSource {
	c := memSource{}
	for k, v := range m {
		c[k] = bytes.Clone(v)
	}
	return c
}

func unzstd(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b, err := d.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenOG are two segments of a real openGauss 6.0.2 server.
func goldenOG(t testing.TB) (memSource, ReaderOptions) {
	src := memSource{}
	for _, n := range []string{"00000001000000000000005A", "00000001000000000000005B"} {
		src[n] = unzstd(t, "og6_"+n+".zst")
	}
	return src, ReaderOptions{Format: OpenGauss(), Timeline: 1, SegSize: DefaultSegSize, SystemID: testSystem}
}

// goldenPG are three 1 MiB segments of a real PostgreSQL 15 server; the
// second one lies entirely within one record.
func goldenPG(t testing.TB) (memSource, ReaderOptions) {
	src := memSource{}
	for _, n := range []string{"000000010000000000000009", "00000001000000000000000A", "00000001000000000000000B"} {
		src[n] = unzstd(t, "pg15_"+n+".zst")
	}
	f, err := PostgreSQL(15)
	if err != nil {
		t.Fatal(err)
	}
	return src, ReaderOptions{Format: f, Timeline: 1, SegSize: MinSegSize}
}

func goldenLines(t testing.TB, name string) []string {
	return strings.Split(strings.TrimSpace(string(unzstd(t, name))), "\n")
}

// forge writes WAL for tests. It is written from formats.md §10, apart from
// the reader.
type forge struct {
	f       Format
	tli     Timeline
	segSize uint32
	start   LSN
	data    []byte // from start's segment on
	prev    LSN
	recs    []Place
}

func newForge(f Format, segSize uint32, segno uint64) *forge {
	w := &forge{f: f, tli: 1, segSize: segSize, start: SegmentStart(segno, segSize)}
	w.prev = w.start - 64
	return w
}

func (w *forge) at() LSN { return w.start + LSN(len(w.data)) }

// page starts a page if the log stands at a page boundary.
func (w *forge) page(flags uint16, left uint32) {
	if w.at()%PageSize != 0 {
		return
	}
	h := make([]byte, 24)
	le := binary.LittleEndian
	if w.at()%LSN(w.segSize) == 0 {
		flags |= 2
		h = make([]byte, 40)
		le.PutUint64(h[24:], testSystem)
		le.PutUint32(h[32:], w.segSize)
		le.PutUint32(h[36:], PageSize)
	}
	le.PutUint16(h, w.f.magic)
	le.PutUint16(h[2:], flags)
	le.PutUint32(h[4:], uint32(w.tli))
	le.PutUint64(h[8:], uint64(w.at()))
	le.PutUint32(h[16:], left)
	w.data = append(w.data, h...)
}

func (w *forge) raw(xid uint64, rmid, info byte, body []byte) []byte {
	le := binary.LittleEndian
	n := w.f.headerSize
	b := make([]byte, n, n+len(body))
	le.PutUint32(b, uint32(n+len(body)))
	if n == 32 {
		le.PutUint32(b[4:], 1)
		le.PutUint64(b[8:], xid)
		le.PutUint64(b[16:], uint64(w.prev))
		b[24], b[25] = info, rmid
	} else {
		le.PutUint32(b[4:], uint32(xid))
		le.PutUint64(b[8:], uint64(w.prev))
		b[16], b[17] = info, rmid
	}
	t := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Checksum(body, t), t, b[:n-4])
	le.PutUint32(b[n-4:], sum)
	return append(b, body...)
}

func (w *forge) add(xid uint64, rmid, info byte, body []byte) Place {
	w.page(0, 0)
	p := Place{LSN: w.at(), Prev: w.prev}
	w.bytes(w.raw(xid, rmid, info, body))
	for len(w.data)%8 != 0 {
		w.data = append(w.data, 0)
	}
	p.EndLSN = w.at()
	w.prev = p.LSN
	w.recs = append(w.recs, p)
	return p
}

// bytes writes the parts of a record over as many pages as it takes.
func (w *forge) bytes(b []byte) {
	for len(b) > 0 {
		w.page(1, uint32(len(b)))
		n := min(len(b), PageSize-len(w.data)%PageSize)
		w.data = append(w.data, b[:n]...)
		b = b[n:]
	}
}

// switchSegment writes a switch record and empty pages to the segment's end.
func (w *forge) switchSegment() Place {
	p := w.add(0, 0, 0x40, nil)
	for w.at()%LSN(w.segSize) != 0 {
		w.page(0, 0)
		w.data = append(w.data, make([]byte, PageSize-len(w.data)%PageSize)...)
	}
	p.EndLSN = w.at()
	w.recs[len(w.recs)-1] = p
	return p
}

func (w *forge) source() (memSource, ReaderOptions) {
	src := memSource{}
	segno := SegmentNumber(w.start, w.segSize)
	for off := 0; off < len(w.data); off += int(w.segSize) {
		seg := make([]byte, w.segSize)
		copy(seg, w.data[off:])
		src[SegmentName(w.tli, segno, w.segSize)] = seg
		segno++
	}
	return src, ReaderOptions{Format: w.f, Timeline: w.tli, SegSize: w.segSize, SystemID: testSystem}
}

// mainBody is a body with main data only.
func mainBody(data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	if len(data) < 256 {
		return append([]byte{0xff, byte(len(data))}, data...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte{0xfe}, uint32(len(data))), data...)
}

func micros(us int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(us)) }

func mustPG(t testing.TB, major int) Format {
	t.Helper()
	f, err := PostgreSQL(major)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// readAll reads from start until an error.
func readAll(t testing.TB, src Source, o ReaderOptions, start LSN) ([]Record, error) {
	t.Helper()
	r := NewReader(src, o)
	defer r.Close()
	r.Seek(start)
	var out []Record
	for {
		rec, err := r.Next(context.Background())
		if err != nil {
			return out, err
		}
		c := *rec
		c.body = bytes.Clone(rec.body)
		c.mainHead = bytes.Clone(rec.mainHead)
		out = append(out, c)
	}
}
