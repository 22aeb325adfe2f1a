package merge

import (
	"testing"

	"gsprobackup/internal/blockfile"
)

// Files of 1 GiB that stay as they are, or are patched, bring no new bytes, but
// the page headers of 256 of them would take 800 MB.
func TestBatchOfLargeFiles(t *testing.T) {
	const pages = 1 << 17
	for name, s := range map[string]staged{
		"kept":    {raw: make([]byte, (pages+1)*blockfile.HeaderSize)},
		"patched": {headers: make([]blockfile.Header, pages), patch: true},
	} {
		b := batch{limit: maxBatchBytes}
		n := 0
		for ; !b.full(); n++ {
			b.add(s)
		}
		if n > 16 {
			t.Errorf("%d %s files in memory", n, name)
		}
		if b.clear(); b.full() || len(b.files) > 0 {
			t.Errorf("%s: not cleared", name)
		}
	}
	b := batch{limit: maxBatchBytes}
	for range maxBatch - 1 {
		b.add(staged{raw: make([]byte, 100)})
	}
	if b.full() {
		t.Error("small files do not share a batch")
	}
}
