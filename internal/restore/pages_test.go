package restore

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
)

// failer is what helpers need of *testing.T and *rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
}

// generation is the file in one backup of a chain: nil for not listed.
type generation struct {
	blocks int      // n_blocks
	stored []uint32 // blocks in the backup; none means size -1
	plain  bool     // listed, but not as a data file
}

const relPath = "base/1/16402"

// members makes the backups of a chain with nothing but one file in them.
func members(t failer, fsys fsx.FS, chain []*generation) []*member {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var list []*member
	for i, g := range chain {
		m := &member{fs: fsys, backup: &catalog.Backup{ID: catalog.ID(i + 1), Dir: "/" + string(rune('a'+i))}, byPath: map[fileKey]int32{}}
		list = append(list, m)
		if g == nil {
			continue
		}
		e := contentlist.Entry{Path: relPath, Mode: 0o100600, IsDatafile: !g.plain, NBlocks: g.blocks, Size: -1, CompressAlg: compress.None}
		if g.blocks == 0 {
			e.Size = 0
		}
		var frames []byte
		for _, b := range g.stored {
			page := bytes.Repeat([]byte{byte('A' + i)}, blockfile.PageSize)
			frames = blockfile.AppendFrame(frames, b, page)
		}
		if len(frames) > 0 {
			e.Size = int64(len(frames))
			must(fsx.MkdirAll(fsys, filepath.Dir(m.stored(&e)), 0o700))
			f, err := fsys.OpenFile(m.stored(&e), os.O_WRONLY|os.O_CREATE, 0o600)
			must(err)
			_, err = f.Write(frames)
			must(err)
			must(f.Close())
		}
		m.entries = append(m.entries, e)
		m.byPath[fileKey{0, relPath}] = 0
	}
	return list
}

// plan is who owns each block: the letter of the backup, '.' for nobody.
func plan(t failer, chain []*generation) (string, error) {
	t.Helper()
	w := &writeOut{members: members(t, crashfs.New(), chain)}
	dest := &w.destMember().entries[0]
	f, err := w.planPages(dest, "/target")
	if err != nil {
		return "", err
	}
	defer f.close()
	f.cut()
	owners := strings.Repeat(".", 20)
	var g gatherer
	for _, p := range f.pieces {
		g.start(f, p.lo)
		for block := p.lo; block < p.hi; {
			if block, err = g.fill(f, block, p.hi); err != nil {
				return "", err
			}
			for _, h := range g.run.Headers {
				letter := "?"
				for i, s := range f.sources {
					if f.wants(i, h.Block) && g.used[i] {
						letter = s.path[1:2]
					}
				}
				if owners[h.Block] != '.' {
					t.Fatal("block", h.Block, "is written twice")
				}
				owners = owners[:h.Block] + letter + owners[h.Block+1:]
			}
		}
	}
	return strings.TrimRight(owners, "."), nil
}

func blocksFrom(from, to uint32) (list []uint32) {
	for b := from; b < to; b++ {
		list = append(list, b)
	}
	return list
}

func TestBlocksOfAChain(t *testing.T) {
	full := &generation{blocks: 6, stored: blocksFrom(0, 6)}
	tests := []struct {
		name  string
		chain []*generation
		want  string
		err   bool
	}{
		{"full alone", []*generation{full}, "aaaaaa", false},
		{"unchanged", []*generation{full, {blocks: 6}}, "aaaaaa", false},
		{"changed twice", []*generation{full, {blocks: 6, stored: []uint32{1, 2}}, {blocks: 6, stored: []uint32{2, 5}}}, "abcaac", false},
		{"cut", []*generation{full, {blocks: 3}}, "aaa", false},
		{"grown", []*generation{full, {blocks: 8, stored: []uint32{6, 7}}}, "aaaaaabb", false},
		{"cut and grown with zero pages", []*generation{full, {blocks: 2}, {blocks: 6, stored: []uint32{2, 5}}}, "aac..c", false},
		{"emptied and grown with zero pages", []*generation{full, {}, {blocks: 6, stored: []uint32{5}}}, ".....c", false},
		{"emptied", []*generation{full, {}}, "", false},
		{"dropped and made again", []*generation{full, nil, {blocks: 2, stored: []uint32{0, 1}}}, "cc", false},
		{"was no data file", []*generation{{blocks: 6, plain: true}, {blocks: 2, stored: []uint32{0, 1}}}, "bb", false},
		{"nobody has it", []*generation{nil, {blocks: 2}}, "", true},
		{"lost on the way", []*generation{full, nil, {blocks: 6}}, "", true},
	}
	for _, tt := range tests {
		got, err := plan(t, tt.chain)
		if got != tt.want || (err != nil) != tt.err {
			t.Errorf("%s: blocks %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// A file that is cut, grown and changed at random comes back as it was, when
// each backup stores the blocks that changed and those behind the length
// before.
func TestChainProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var chain []*generation
		now := []byte{} // by block: the backup that has its content
		for i := range rapid.IntRange(1, 5).Draw(t, "backups") {
			before := len(now)
			changed := map[uint32]bool{}
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				switch n := rapid.IntRange(0, 12).Draw(t, "length"); {
				case n < len(now):
					now = now[:n]
				default:
					now = append(now, make([]byte, n-len(now))...)
				}
				for b := range now {
					if now[b] == 0 || rapid.IntRange(0, 5).Draw(t, "touch") == 0 {
						changed[uint32(b)] = true
					}
				}
			}
			g := &generation{blocks: len(now)}
			for b := range now {
				if i == 0 || b >= before || changed[uint32(b)] {
					g.stored = append(g.stored, uint32(b))
					now[b] = byte('a' + i)
				}
			}
			slices.Sort(g.stored)
			chain = append(chain, g)
		}
		got, err := plan(t, chain)
		if err != nil || got != string(now) {
			t.Fatalf("blocks %q, %v, want %q", got, err, now)
		}
	})
}
