package merge_test

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/pgdata"
)

// place names a file of the imagined server: the external directory it is in,
// "" for the data directory, and its path there.
type place struct{ dir, path string }

// thing is a file of it.
type thing struct {
	pages [][]byte // of a data file
	plain []byte   // of any other
	data  bool
	// Since the last backup:
	changed map[int]bool
	cut     int
	anew    bool
}

// chainMaker takes backups of files that come, go, change, shrink and grow at
// random, and remembers what each must bring back.
type chainMaker struct {
	t    *testing.T
	rnd  *rand.Rand
	fs   fsx.FS
	inst *catalog.Instance
	now  map[place]*thing
	dirs []string
	sums bool // pages have checksums
	// inside leaves out external directories.
	inside bool
	known  map[place]knownThing // by the parent
	kdirs  []string             // its external directories
	list   []*catalog.Backup
	want   []map[place]string // by backup
}

// knownThing is what the parent's list says of a file.
type knownThing struct {
	data   bool
	blocks int
	crc    uint32
}

// The files there may be; base/5/16390 is of either kind.
var (
	dataPaths  = []string{"base/5/16384", "base/5/16384.1", "base/5/16390", "global/1262", "pg_tblspc/16400/PG_17_202406281/5/16401"}
	plainPaths = []string{"PG_VERSION", "base/5/16384_vm", "pg_xact/0000", "base/5/16390"}
	outside    = []string{"/ext/a", "/ext/b", "/ext/c"}
)

func newChainMaker(t *testing.T, seed uint64) *chainMaker {
	t.Helper()
	mem := crashfs.New()
	c := catalog.Open(mem, "/b", catalog.Options{Location: time.UTC})
	must(t, c.Init())
	inst, err := c.AddInstance(context.Background(), "n1", catalog.NewConfig())
	must(t, err)
	m := &chainMaker{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), fs: mem, inst: inst, now: map[place]*thing{}, known: map[place]knownThing{}}
	m.sums = m.rnd.IntN(2) == 0
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *chainMaker) page(path string, block int) []byte {
	p := make([]byte, blockfile.PageSize)
	if m.rnd.IntN(8) == 0 {
		return p
	}
	copy(p[4:], []byte{byte(m.rnd.IntN(256)), byte(m.rnd.IntN(256)), 1, 0})
	copy(p[12:], []byte{24, 0, 24, 0, 0, 32, 4, 32})
	for i := range p[24 : 24+m.rnd.IntN(8000)] {
		p[24+i] = byte(m.rnd.IntN(256))
	}
	if m.sums {
		sum := pageSum(p, path, block)
		p[8], p[9] = byte(sum), byte(sum>>8)
	}
	return p
}

// pageSum is the checksum of a page as a header map has it.
func pageSum(page []byte, path string, block int) uint16 {
	if pgdata.IsZero(page) {
		return 0
	}
	return pgdata.PageChecksum(page, uint32(segno(path)*pgdata.DefaultRelSegBlocks+block), pgdata.PostgreSQL)
}

// appendPage appends the frame of a page.
func appendPage(t *testing.T, dst []byte, codec compress.Codec, page []byte, block int) []byte {
	t.Helper()
	payload := page
	if codec != nil {
		packed, ok, err := codec.Compress(nil, page)
		must(t, err)
		if ok {
			payload = packed
		}
	}
	return blockfile.AppendFrame(dst, uint32(block), payload)
}

func segno(path string) int {
	if strings.HasSuffix(path, ".1") {
		return 1
	}
	return 0
}

// live changes files.
func (m *chainMaker) live() {
	for range m.rnd.IntN(12) {
		switch m.rnd.IntN(3) {
		case 0:
			m.livePlain()
		default:
			m.liveData()
		}
	}
	if !m.inside && m.rnd.IntN(3) == 0 {
		m.dirs = slices.Clone(outside[:m.rnd.IntN(4)])
		m.rnd.Shuffle(len(m.dirs), func(i, j int) { m.dirs[i], m.dirs[j] = m.dirs[j], m.dirs[i] })
	}
}

func (m *chainMaker) livePlain() {
	at := place{"", plainPaths[m.rnd.IntN(len(plainPaths))]}
	if m.rnd.IntN(2) == 0 {
		at = place{outside[m.rnd.IntN(len(outside))], []string{"x", "d/y", "d"}[m.rnd.IntN(3)]}
		for other := range m.now { // a file becomes a directory, or the other way round
			if other.dir == at.dir && (strings.HasPrefix(other.path, at.path+"/") || strings.HasPrefix(at.path, other.path+"/")) {
				delete(m.now, other)
			}
		}
	}
	switch m.rnd.IntN(6) {
	case 0:
		delete(m.now, at)
	case 1:
		m.now[at] = &thing{}
	default: // few contents, so that they meet
		m.now[at] = &thing{plain: bytes.Repeat([]byte{byte('a' + m.rnd.IntN(3))}, 1+m.rnd.IntN(2)*20000)}
	}
}

func (m *chainMaker) liveData() {
	at := place{"", dataPaths[m.rnd.IntN(len(dataPaths))]}
	f := m.now[at]
	if f == nil || !f.data || m.rnd.IntN(12) == 0 {
		f = &thing{data: true, anew: true, changed: map[int]bool{}, cut: 1 << 30}
		m.now[at] = f
	}
	switch m.rnd.IntN(10) {
	case 0:
		delete(m.now, at)
	case 1, 2:
		n := m.rnd.IntN(len(f.pages) + 1)
		f.pages, f.cut = f.pages[:n], min(f.cut, n)
	case 3, 4, 5, 6:
		for range m.rnd.IntN(20) {
			f.pages = append(f.pages, m.page(at.path, len(f.pages)))
		}
	default:
		for range m.rnd.IntN(4) {
			if n := len(f.pages); n > 0 {
				b := m.rnd.IntN(n)
				f.pages[b], f.changed[b] = m.page(at.path, b), true
			}
		}
	}
}

var chainCodecs = []compress.Algorithm{compress.None, compress.None, compress.Zlib, compress.LZ4, compress.Zstd, compress.PGLZ}

// backup takes one. C compares external directories by their number only.
func (m *chainMaker) backup(id catalog.ID, one compress.Algorithm, cTool bool) {
	mode := catalog.ModePtrack
	if len(m.list) == 0 {
		mode = catalog.ModeFull
	}
	b, err := m.inst.NewBackupDir(id.Time(), mode, len(m.dirs))
	must(m.t, err)
	b.Status, b.ServerVersion, b.ExternalDirs, b.CompressAlg, b.Stream = catalog.StatusOK, "17", strings.Join(m.dirs, ":"), one, true
	b.ChecksumVersion, b.Timeline, b.StartLSN, b.StopLSN, b.RecoveryTime = 0, 1, 1<<40, 1<<40, id.Time()
	if m.sums {
		b.ChecksumVersion = 1
	}
	if mode != catalog.ModeFull {
		b.ParentID = m.list[len(m.list)-1].ID
	}
	hm, err := m.fs.OpenFile(b.HeaderMapPath(), os.O_CREATE|os.O_WRONLY, 0o600)
	must(m.t, err)
	headers := blockfile.NewMapWriter(hm)
	var entries []*catalog.Entry
	want, known := map[place]string{}, map[place]knownThing{}
	dirs := map[place]bool{}
	for _, at := range slices.SortedFunc(maps.Keys(m.now), func(a, b place) int { return strings.Compare(a.dir+" "+a.path, b.dir+" "+b.path) }) {
		n := 0
		if at.dir != "" {
			if n = slices.Index(m.dirs, at.dir) + 1; n == 0 {
				continue
			}
		}
		f := m.now[at]
		e := &catalog.Entry{Path: at.path, Mode: 0o100600, ExternalDir: n, CompressAlg: compress.None}
		if f.data {
			m.storePages(b, e, at, f, headers)
			want[at] = "pages " + string(bytes.Join(f.pages, nil))
		} else {
			m.storePlain(b, e, at, f, cTool)
			want[at] = "plain " + string(f.plain)
		}
		known[at] = knownThing{f.data, len(f.pages), e.CRC}
		entries = append(entries, e)
		for d := filepath.Dir(at.path); d != "."; d = filepath.Dir(d) {
			if !dirs[place{at.dir, d}] {
				dirs[place{at.dir, d}] = true
				entries = append(entries, &catalog.Entry{Path: d, Mode: 0o40700, ExternalDir: n, CompressAlg: compress.None})
			}
		}
		f.changed, f.cut, f.anew = map[int]bool{}, 1<<30, false
	}
	must(m.t, hm.Close())
	var sums contentlist.Counters
	for _, e := range entries {
		sums.Add(e, false)
	}
	b.DataBytes, b.WALBytes, b.UncompressedBytes = sums.DataBytes, sums.WALBytes, sums.UncompressedBytes
	must(m.t, catalog.SaveContent(m.fs, b, false, slices.Values(entries)))
	must(m.t, m.inst.SaveControl(b))
	m.list, m.want, m.known, m.kdirs = append(m.list, b), append(m.want, want), known, slices.Clone(m.dirs)
}

func (m *chainMaker) storePages(b *catalog.Backup, e *catalog.Entry, at place, f *thing, hm *blockfile.MapWriter) {
	old, ok := m.known[at]
	whole := !ok || !old.data || f.anew
	e.IsDatafile, e.Segno, e.NBlocks = true, segno(at.path), len(f.pages)
	codec, err := compress.New(b.CompressAlg, 1)
	must(m.t, err)
	w := blockfile.NewWriter(0)
	var out fsx.File
	for i, p := range f.pages {
		if !whole && i < min(f.cut, old.blocks) && !f.changed[i] {
			continue
		}
		if out == nil {
			out = m.create(b, e)
		}
		frames := appendPage(m.t, nil, codec, p, i)
		h := blockfile.Header{Block: uint32(i), LSN: pgdata.DecodePageHeader(p).LSN, Checksum: pageSum(p, at.path, i)}
		must(m.t, w.Append(out, &blockfile.Run{Frames: frames, CRC: crc32c.Sum(frames), Headers: []blockfile.Header{h}}))
	}
	if out == nil {
		if !whole && (len(f.pages) > 0 || m.rnd.IntN(2) == 0) {
			e.Size = contentlist.SizeUnchanged
		}
		return
	}
	must(m.t, out.Close())
	ref, err := hm.Append(w.Headers(), w.Size())
	must(m.t, err)
	e.Size, e.CRC, e.CompressAlg = w.Size(), w.CRC(), b.CompressAlg
	e.NHeaders, e.HdrCRC, e.HdrOff, e.HdrSize = ref.N, ref.CRC, ref.Off, int(ref.Size)
}

func (m *chainMaker) storePlain(b *catalog.Backup, e *catalog.Entry, at place, f *thing, cTool bool) {
	e.CRC = crc32c.Sum(f.plain)
	from := at
	if at.dir != "" {
		switch n := e.ExternalDir; {
		case n > len(m.kdirs):
			from = place{"none", ""}
		case cTool:
			from.dir = m.kdirs[n-1]
		case m.kdirs[n-1] != at.dir:
			from = place{"none", ""}
		}
	}
	if len(f.plain) == 0 {
		e.CRC = 0
		return
	}
	if old, ok := m.known[from]; ok && !old.data && old.crc == e.CRC && m.rnd.IntN(4) > 0 {
		e.Size = contentlist.SizeUnchanged
		return
	}
	e.Size = int64(len(f.plain))
	out := m.create(b, e)
	_, err := out.Write(f.plain)
	must(m.t, err)
	must(m.t, out.Close())
}

func (m *chainMaker) create(b *catalog.Backup, e *catalog.Entry) fsx.File {
	name := filepath.Join(b.EntryDir(e.ExternalDir), e.Path)
	must(m.t, fsx.MkdirAll(m.fs, filepath.Dir(name), 0o700))
	f, err := m.fs.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	must(m.t, err)
	return f
}
