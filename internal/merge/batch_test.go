package merge

import (
	"io"
	"math/rand/v2"
	"testing"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/wal"
)

// Files of 1 GiB that stay as they are, or are patched, bring no new bytes, but
// the page headers of 256 of them would take 400 MB, packed.
func TestBatchOfLargeFiles(t *testing.T) {
	large := packedHeaders(t, 1<<17)
	for name, s := range map[string]staged{
		"kept":    {headers: large},
		"patched": {headers: large, patch: true},
	} {
		b := batch{limit: maxBatchBytes}
		n := 0
		for ; !b.full(); n++ {
			b.add(s)
		}
		if n > 32 || n*large.Len() > maxBatchArrays+large.Len() {
			t.Errorf("%d %s files in memory, %d bytes of headers each", n, name, large.Len())
		}
		if b.clear(); b.full() || len(b.files) > 0 {
			t.Errorf("%s: not cleared", name)
		}
	}
	b, small := batch{limit: maxBatchBytes}, packedHeaders(t, 3)
	for range maxBatch - 1 {
		b.add(staged{headers: small})
	}
	if b.full() {
		t.Error("small files do not share a batch")
	}
}

// packedHeaders are the headers of a file whose pages have nothing in common.
func packedHeaders(t *testing.T, pages int) blockfile.PackedHeaders {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	headers := make([]blockfile.Header, pages)
	for i := range headers {
		headers[i] = blockfile.Header{LSN: wal.LSN(rnd.Uint64()), Block: uint32(i), Pos: int32(i) * frameSize, Checksum: uint16(rnd.Uint32())}
	}
	packed, err := blockfile.NewMapWriter(io.Discard).Pack(headers, int64(pages)*frameSize)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}
