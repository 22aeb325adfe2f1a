package backup

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/wal"
)

// gaussPage is a page of openGauss with nothing in it.
func gaussPage(block uint32, lsn wal.LSN) []byte {
	p, le := make([]byte, pgdata.BlockSize), binary.LittleEndian
	le.PutUint32(p, uint32(lsn>>32))
	le.PutUint32(p[4:], uint32(lsn))
	for at, v := range map[int]uint16{12: 40, 14: pgdata.BlockSize, 16: pgdata.BlockSize, 18: pgdata.BlockSize | 6} {
		le.PutUint16(p[at:], v)
	}
	le.PutUint16(p[8:], pgdata.PageChecksum(p, block, pgdata.OpenGauss))
	return p
}

// Of a large relation that was cut, one page tells that all before it was not.
func TestSettleCuts(t *testing.T) {
	const first, blocks, cut = 131072, 2000, 1900 // of the second file
	r := incrementRun(t, map[string]knownFile{
		"base/1/12": {data: true, blocks: first}, "base/1/12.1": {data: true, blocks: blocks},
		"base/1/13": {data: true, blocks: blocks}, "base/1/14": {data: true, blocks: 8},
	}, fewRows{
		{Path: "base/1/12", Truncated: true, TruncateBlock: first + cut, Count: 2, Blocks: []byte("7, 132970")},
		{Path: "base/1/13", Truncated: true, TruncateBlock: cut},
		{Path: "base/1/14", Truncated: true, TruncateBlock: 5},
	})
	r.opts.PGData, r.rules = t.TempDir(), pgdata.PageRules{Family: pgdata.OpenGauss, Checksums: true}
	r.deps.Host = remote.Local(fsx.OS())
	old, now := r.parent.StartLSN-8, r.parent.StartLSN
	damaged := gaussPage(first+cut-4, old)
	damaged[100]++
	var l listing
	for name, f := range map[string]struct {
		blocks int64
		pages  map[int64][]byte
	}{
		"base/1/12": {first, nil},
		"base/1/12.1": {blocks, map[int64][]byte{
			// The last is zero; 1898 is named and may be of after a deeper cut.
			cut - 2: gaussPage(first+cut-2, old), cut - 3: gaussPage(first+cut-3, now), cut - 4: damaged,
			cut - 5: gaussPage(first+cut-5, 16), cut - 6: gaussPage(first+cut-6, old), cut - 7: gaussPage(first+cut-7, old),
		}},
		"base/1/13": {blocks, nil},
		"base/1/14": {8, map[int64][]byte{4: gaussPage(4, old)}},
	} {
		full := filepath.Join(r.opts.PGData, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(full)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := file.Truncate(f.blocks * pgdata.BlockSize); err != nil {
			t.Fatal(err)
		}
		for block, page := range f.pages {
			if _, err := file.WriteAt(page, block*pgdata.BlockSize); err != nil {
				t.Fatal(err)
			}
		}
		l.add(listed{
			Entry: contentlist.Entry{Path: name, IsDatafile: true}, size: f.blocks * pgdata.BlockSize,
			firstBlock: r.layout.AbsoluteBlock(r.layout.Classify(name), 0),
		})
	}
	if err := r.settleCuts(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"base/1/13", "base/1/14"} { // nothing is known; too short to ask
		if !r.diff.changes.Unsure(name) {
			t.Errorf("%s counts as known", name)
		}
	}
	if _, task := r.task("base/1/12", first); task.Map == nil || wanted(task) != "[7]" {
		t.Errorf("first file: %s", wanted(task))
	}
	_, task := r.task("base/1/12.1", blocks)
	if task.Map == nil || task.Map.Count() != blocks-cut+5 || task.Map.Has(cut-6) || !task.Map.Has(cut-5) {
		t.Errorf("second file: %s", wanted(task))
	}
}
