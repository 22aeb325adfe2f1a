package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/wal"
)

func pageSums(t *testing.T, req SumRequest) (PageSums, error) {
	t.Helper()
	r, err := Local(fsx.OS()).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	req.Rules = pgRules
	var sums PageSums
	return sums, r.PageSums(context.Background(), &req, &sums)
}

func TestPageSums(t *testing.T) {
	path, content := relation(t, 300)
	clear(content[7*pageSize : 8*pageSize])
	content[9*pageSize+100] ^= 1
	content = append(content, "the beginning of a page"...)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, span := range [][2]uint32{{0, 300}, {5, 12}, {127, 129}, {250, 1000}, {300, 301}} {
		sums, err := pageSums(t, SumRequest{Path: path, From: span[0], To: span[1], Content: span[0] > 0})
		if err != nil {
			t.Fatal(err)
		}
		if sums.Size != int64(len(content)) || len(sums.Pages) != int(min(span[1], 300)-span[0]) {
			t.Fatalf("%v: %d pages, size %d", span, len(sums.Pages), sums.Size)
		}
		for i, got := range sums.Pages {
			block := span[0] + uint32(i)
			page := content[block*pageSize:][:pageSize]
			want := PageSum{LSN: wal.LSN(block+1) * 100, Checksum: binary.LittleEndian.Uint16(page[8:])}
			if span[0] > 0 {
				want.Content = SumContent(page)
			}
			switch block {
			case 7:
				want.LSN, want.Status = 0, pgdata.PageZero
			case 9:
				want.Checksum, want.Status = pgdata.PageChecksum(page, block, pgdata.PostgreSQL), pgdata.PageChecksumMismatch
			}
			if got != want {
				t.Errorf("block %d: %+v, want %+v", block, got, want)
			}
		}
	}
	if _, err := pageSums(t, SumRequest{Path: path, To: MaxSumPages + 1}); err == nil {
		t.Error("too many pages")
	}
	if _, err := pageSums(t, SumRequest{Path: path + "_", To: 1}); err == nil {
		t.Error("no file")
	}
}

// Bytes that end with their own CRC-32C are told apart all the same.
func TestContentSumOfSelfSummed(t *testing.T) {
	seal := func(p []byte) []byte { return binary.LittleEndian.AppendUint32(p, crc32c.Sum(p)) }
	a, b := SumContent(seal([]byte("one thing"))), SumContent(seal([]byte("and other")))
	if a.CRC32C() != crc32c.SelfSummed || b.CRC32C() != crc32c.SelfSummed || a == b {
		t.Errorf("%x and %x", a, b)
	}
}

func TestFileSums(t *testing.T) {
	dir := t.TempDir()
	long := append(bytes.Repeat([]byte("0123456789abcdef"), 100000), make([]byte, 5<<20)...)
	full, sparse := filepath.Join(dir, "full"), filepath.Join(dir, "sparse")
	mustWrite(t, full, string(long))
	mustWrite(t, sparse, string(long[:1600000]))
	if err := os.Truncate(sparse, int64(len(long))); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "empty"), "")
	r, err := Local(fsx.OS()).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sums, err := r.FileSums(context.Background(), []string{full, filepath.Join(dir, "none"), sparse, filepath.Join(dir, "empty")})
	if err != nil {
		t.Fatal(err)
	}
	want := FileSum{Sum: SumContent(long), Size: int64(len(long))}
	if sums[0] != want || sums[2] != want || sums[1] != (FileSum{Missing: true}) || sums[3] != (FileSum{}) {
		t.Errorf("%+v, want %+v", sums, want)
	}
	if want.Sum.CRC32C() != crc32c.Sum(long) {
		t.Error("the low half is not the CRC-32C")
	}
}
