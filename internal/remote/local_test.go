package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/usererr"
)

const pageSize = blockfile.PageSize

var pgRules = pgdata.PageRules{Family: pgdata.PostgreSQL, Checksums: true}

// soundPage makes a page PostgreSQL would accept.
func soundPage(absBlock uint32, lsn uint64, fill byte) []byte {
	page := bytes.Repeat([]byte{fill}, pageSize)
	le := binary.LittleEndian
	le.PutUint32(page[0:], uint32(lsn>>32))
	le.PutUint32(page[4:], uint32(lsn))
	le.PutUint16(page[10:], 0)
	le.PutUint16(page[12:], 24)
	le.PutUint16(page[14:], pageSize)
	le.PutUint16(page[16:], pageSize)
	le.PutUint16(page[18:], pageSize|4)
	le.PutUint16(page[8:], pgdata.PageChecksum(page, absBlock, pgdata.PostgreSQL))
	return page
}

// relation writes a file of n sound pages; page b is filled with b and has LSN
// (b+1)*100.
func relation(t *testing.T, n int) (path string, content []byte) {
	t.Helper()
	for b := range n {
		content = append(content, soundPage(uint32(b), uint64(b+1)*100, byte(b))...)
	}
	path = filepath.Join(t.TempDir(), "16384")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// readHook lets a test change what ReadAt of any file gives.
type readHook struct {
	fsx.FS
	readAt func(f fsx.File, p []byte, off int64) (int, error)
}

func (h *readHook) Open(name string) (fsx.File, error) {
	f, err := h.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &hookedFile{f, h}, nil
}

type hookedFile struct {
	fsx.File
	hook *readHook
}

func (f *hookedFile) ReadAt(p []byte, off int64) (int, error) {
	return f.hook.readAt(f.File, p, off)
}

// testHost is a local host that does not wait between attempts.
func testHost(fsys fsx.FS) *local {
	return &local{fs: fsys, wait: func(int) time.Duration { return 0 }}
}

func readRun(t *testing.T, h Host, req RunRequest) (Run, error) {
	t.Helper()
	r, err := h.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	req.Rules = pgRules
	var run Run
	err = r.ReadRun(context.Background(), &req, &run)
	return run, err
}

// blocks unpacks a run.
func blocks(t *testing.T, run Run, alg compress.Algorithm) (numbers []uint32, pages [][]byte) {
	t.Helper()
	if run.CRC != crc32c.Sum(run.Frames) {
		t.Error("CRC of the run is wrong")
	}
	codec, err := compress.New(max(alg, compress.None), 1)
	if err != nil {
		t.Fatal(err)
	}
	r := blockfile.NewMappedReader(bytes.NewReader(run.Frames), run.Headers, int64(len(run.Frames)))
	for {
		h, payload, err := r.Next()
		if err == io.EOF {
			return numbers, pages
		}
		if err != nil {
			t.Fatal(err)
		}
		page := make([]byte, pageSize)
		if err := blockfile.Decode(codec, page, payload); err != nil {
			t.Fatal(err)
		}
		numbers, pages = append(numbers, h.Block), append(pages, page)
	}
}

func TestReadRunStoresSoundPages(t *testing.T) {
	path, content := relation(t, 5)
	copy(content[2*pageSize:], make([]byte, pageSize)) // a zero page is sound
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, alg := range []compress.Algorithm{compress.Undefined, compress.None, compress.Zlib, compress.LZ4, compress.Zstd, compress.PGLZ} {
		run, err := readRun(t, Local(fsx.OS()), RunRequest{Path: path, From: 1, To: 4, Alg: alg, Level: 1})
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		numbers, pages := blocks(t, run, alg)
		if !slices.Equal(numbers, []uint32{1, 2, 3}) || !bytes.Equal(bytes.Join(pages, nil), content[pageSize:4*pageSize]) {
			t.Errorf("%s: blocks %d differ", alg, numbers)
		}
		if run.Pages != 3 || run.ZeroPages != 1 || run.EOF || run.Rereads != 0 {
			t.Errorf("%s: %+v", alg, run)
		}
		h := run.Headers
		if h[0].LSN != 200 || h[1].LSN != 0 || h[1].Checksum != 0 || h[2].LSN != 400 ||
			h[0].Checksum != binary.LittleEndian.Uint16(content[pageSize+8:]) {
			t.Errorf("%s: headers %+v", alg, h)
		}
		if raw := alg <= compress.None; raw != (len(run.Frames) == 3*blockfile.MaxFrameSize) {
			t.Errorf("%s: %d bytes of frames", alg, len(run.Frames))
		}
	}
}

func TestReadRunSelectsPages(t *testing.T) {
	path, _ := relation(t, 10)
	marked := new(ptrack.PageMap)
	for _, b := range []uint32{0, 3, 4, 9, 30} {
		marked.Add(b)
	}
	tests := []struct {
		name     string
		from, to uint32
		pages    *ptrack.PageMap
		want     []uint32
		eof      bool
	}{
		{"all", 0, 10, nil, []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, false},
		{"map", 0, 10, marked, []uint32{0, 3, 4, 9}, false},
		{"map, inner range", 1, 9, marked, []uint32{3, 4}, false},
		{"map beyond the end", 5, 40, marked, []uint32{9}, true},
		{"nothing marked", 5, 9, marked, nil, false},
		{"empty range", 4, 4, nil, nil, false},
	}
	for _, tt := range tests {
		run, err := readRun(t, Local(fsx.OS()), RunRequest{Path: path, From: tt.from, To: tt.to, Map: tt.pages})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got, _ := blocks(t, run, compress.None); !slices.Equal(got, tt.want) || run.EOF != tt.eof {
			t.Errorf("%s: blocks %d, EOF %v", tt.name, got, run.EOF)
		}
	}
	if _, err := readRun(t, Local(fsx.OS()), RunRequest{Path: path, To: 1000}); err == nil {
		t.Error("a run of 1000 pages was accepted")
	}
}

// The checksum covers the block number in the relation, not in the file.
func TestReadRunOfLaterSegment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "16384.2")
	if err := os.WriteFile(path, soundPage(2*131072, 7, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readRun(t, Local(fsx.OS()), RunRequest{Path: path, To: 1, FirstBlock: 2 * 131072}); err != nil {
		t.Error(err)
	}
	if _, err := readRun(t, testHost(fsx.OS()), RunRequest{Path: path, To: 1}); err == nil {
		t.Error("checksum of another segment was accepted")
	}
}

// tornReads makes the given block unsound in the first n reads of it.
func tornReads(block int64, n int) *readHook {
	return &readHook{FS: fsx.OS(), readAt: func(f fsx.File, p []byte, off int64) (int, error) {
		got, err := f.ReadAt(p, off)
		if at := block*pageSize - off; at >= 0 && at < int64(got) && n > 0 {
			n--
			copy(p[at+4096:at+pageSize], bytes.Repeat([]byte{0xEE}, 4096))
		}
		return got, err
	}}
}

func TestReadRunReadsTornPageAgain(t *testing.T) {
	path, content := relation(t, 4)
	for _, times := range []int{1, 2, 50, readAttempts - 1} {
		run, err := readRun(t, testHost(tornReads(2, times)), RunRequest{Path: path, To: 4})
		if err != nil {
			t.Fatalf("torn %d times: %v", times, err)
		}
		if _, pages := blocks(t, run, compress.None); !bytes.Equal(bytes.Join(pages, nil), content) {
			t.Errorf("torn %d times: content differs", times)
		}
		if run.Rereads != times {
			t.Errorf("torn %d times: %d rereads", times, run.Rereads)
		}
	}
	_, err := readRun(t, testHost(tornReads(2, readAttempts)), RunRequest{Path: path, To: 4})
	var corrupt *pgdata.CorruptionError
	if !errors.As(err, &corrupt) || corrupt.Block != 2 || corrupt.Path != path {
		t.Errorf("torn in every read: %v", err)
	}
}

func TestReadRunReportsCorruption(t *testing.T) {
	path, content := relation(t, 3)
	found := binary.LittleEndian.Uint16(content[pageSize+8:])
	content[pageSize+5000] ^= 1
	computed := pgdata.PageChecksum(content[pageSize:2*pageSize], 1, pgdata.PostgreSQL)
	binary.LittleEndian.PutUint16(content[2*pageSize+12:], 3)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		block uint32
		text  string
	}{
		{1, `Corruption detected in file "` + path + `", block 1: page verification failed, calculated checksum `},
		{2, `Corruption detected in file "` + path + `", block 2: page header invalid, pd_lower 3 is less than page header size 24`},
	}
	for _, tt := range tests {
		_, err := readRun(t, testHost(fsx.OS()), RunRequest{Path: path, From: tt.block, To: 3})
		var user *usererr.Error
		if !errors.As(err, &user) || len(user.Text) < len(tt.text) || user.Text[:len(tt.text)] != tt.text {
			t.Errorf("block %d: %v", tt.block, err)
		}
		var corrupt *pgdata.CorruptionError
		if !errors.As(err, &corrupt) || corrupt.Block != tt.block {
			t.Fatalf("block %d: %v", tt.block, err)
		}
		if tt.block == 1 && (corrupt.Expected != uint64(found) || corrupt.Found != uint64(computed)) {
			t.Errorf("expected %d found %d, want %d and %d", corrupt.Expected, corrupt.Found, found, computed)
		}
	}
}

func TestReadRunAtTheEndOfTheFile(t *testing.T) {
	path, content := relation(t, 3)
	grow := &readHook{FS: fsx.OS()}
	calls := 0
	grow.readAt = func(f fsx.File, p []byte, off int64) (int, error) {
		if calls++; calls == 1 { // the third page is being added
			n, _ := f.ReadAt(p[:2*pageSize+4096], off)
			return n, io.EOF
		}
		return f.ReadAt(p, off)
	}
	shrink := &readHook{FS: fsx.OS(), readAt: func(f fsx.File, p []byte, off int64) (int, error) {
		if len(p) == pageSize { // truncated between the read and the re-read
			return 0, io.EOF
		}
		n, err := f.ReadAt(p, off)
		p[pageSize+100] ^= 1
		return n, err
	}}
	tests := []struct {
		name    string
		fs      fsx.FS
		size    int64
		pages   int
		eof     bool
		end     uint32
		partial int
	}{
		{"complete", fsx.OS(), 3 * pageSize, 3, false, 0, 0},
		{"truncated", fsx.OS(), 2 * pageSize, 2, true, 2, 0},
		{"empty", fsx.OS(), 0, 0, true, 0, 0},
		{"partial page", fsx.OS(), pageSize + 500, 1, true, 1, 500},
		{"growing", grow, 3 * pageSize, 3, false, 0, 0},
		{"truncated when torn", shrink, 3 * pageSize, 1, true, 1, 0},
	}
	for _, tt := range tests {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, tt.size); err != nil {
			t.Fatal(err)
		}
		run, err := readRun(t, testHost(tt.fs), RunRequest{Path: path, To: 3})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if run.Pages != tt.pages || len(run.Headers) != tt.pages || run.EOF != tt.eof || run.End != tt.end || run.Partial != tt.partial {
			t.Errorf("%s: %d pages, EOF %v at %d, partial %d", tt.name, run.Pages, run.EOF, run.End, run.Partial)
		}
	}
}

func TestReadErrors(t *testing.T) {
	path, _ := relation(t, 3)
	if _, err := readRun(t, Local(fsx.OS()), RunRequest{Path: path + "x", To: 1}); !errors.Is(err, ErrVanished) {
		t.Errorf("missing file: %v", err)
	}
	broken := &readHook{FS: fsx.OS(), readAt: func(fsx.File, []byte, int64) (int, error) { return 0, syscall.EIO }}
	if _, err := readRun(t, Local(broken), RunRequest{Path: path, To: 3}); !errors.Is(err, syscall.EIO) || errors.Is(err, ErrVanished) {
		t.Errorf("I/O error: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	endless := &readHook{FS: fsx.OS(), readAt: func(f fsx.File, p []byte, off int64) (int, error) {
		cancel(stop)
		n, err := f.ReadAt(p, off)
		p[100] ^= 1
		return n, err
	}}
	r, err := Local(endless).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.ReadRun(ctx, &RunRequest{Path: path, To: 3, Rules: pgRules}, new(Run)); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Local(fsx.OS()).ReadFile(context.Background(), path, 100); !errors.Is(err, fsx.ErrTooLarge) {
		t.Errorf("ReadFile: %v", err)
	}
	if _, err := Local(fsx.OS()).Stat(context.Background(), path+"x"); !errors.Is(err, ErrVanished) {
		t.Errorf("Stat: %v", err)
	}
}

func TestRereadWaitsLongEnough(t *testing.T) {
	total := time.Duration(0)
	for n := 2; n <= readAttempts; n++ {
		total += rereadWait(n)
	}
	if total < 500*time.Millisecond || total > 2*time.Second {
		t.Errorf("waits add up to %v", total)
	}
}
