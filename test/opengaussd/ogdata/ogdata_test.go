package ogdata

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/internal/pgdata"
)

func newCluster(t *testing.T, o Options) *Cluster {
	t.Helper()
	dir := t.TempDir()
	o.Dir, o.Tablespaces = filepath.Join(dir, "data"), filepath.Join(dir, "spc")
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// dataFiles reads every file with pages by its listed path, links followed.
func dataFiles(t *testing.T, c *Cluster, visit func(path string, class pgdata.FileClass, b []byte)) int {
	t.Helper()
	layout := pgdata.NewLayout(pgdata.OpenGauss, 9)
	tree, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for path, e := range tree {
		class := layout.Classify(path)
		if e.Dir || class.Kind != pgdata.KindData && class.Kind != pgdata.KindCompressed {
			continue
		}
		b, err := os.ReadFile(filepath.Join(c.Dir(), path))
		if err != nil {
			t.Fatal(err)
		}
		visit(path, class, b)
	}
	return len(tree)
}

// logicalBlocks are the blocks of a row-compressed file.
func logicalBlocks(t *testing.T, file []byte) (blocks [][]byte) {
	t.Helper()
	err := eachImage(bytes.NewReader(file), int64(len(file)), func(img []byte) error {
		if img == nil {
			img = make([]byte, blockSize)
		}
		blocks = append(blocks, img)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// TestPagesAreSound: the product finds nothing wrong with any page, made here
// or taken from a server, at any time of the cluster's life.
func TestPagesAreSound(t *testing.T) {
	c := newCluster(t, Options{RelSegBlocks: 131072})
	rules := pgdata.PageRules{Family: pgdata.OpenGauss, Checksums: true}
	for step := range 3 {
		if step > 0 {
			if err := c.Mutate(step); err != nil {
				t.Fatal(err)
			}
		}
		versions := map[uint8]int{}
		raw := 0
		n := dataFiles(t, c, func(path string, class pgdata.FileClass, b []byte) {
			if class.Kind == pgdata.KindCompressed {
				for i, img := range logicalBlocks(t, b) {
					k := pgdata.CheckImage(img, uint32(i))
					if !k.OK() {
						t.Errorf("step %d: %s block %d: %s", step, path, i, k.Page.Reason)
					}
					if k.Kind == pgdata.ImageRaw {
						raw++
					}
				}
				return
			}
			for i := 0; i*blockSize < len(b); i++ {
				p := b[i*blockSize:][:blockSize]
				if k := pgdata.CheckPage(p, uint32(i), rules); !k.OK() {
					t.Errorf("step %d: %s block %d: %s", step, path, i, k.Reason)
				}
				versions[pgdata.DecodePageHeader(p).Version]++
				if l := pageLSN(p); l > c.WAL().End() {
					t.Errorf("step %d: %s block %d: LSN %s is from the future", step, path, i, l)
				}
			}
		})
		if n < 300 {
			t.Errorf("only %d entries", n)
		}
		for _, v := range []uint8{5, 6, 7, 8} {
			if versions[v] < 5 {
				t.Errorf("step %d: %d pages of layout version %d", step, versions[v], v)
			}
		}
		if raw == 0 {
			t.Errorf("step %d: no raw block in a row-compressed relation", step)
		}
	}
}

// TestMapTellsEveryChange: a copy that takes over from the old state what the
// changed block map does not name, by the rules of server.md §3.3 and §3.5, is
// equal to the new state.
func TestMapTellsEveryChange(t *testing.T) {
	c := newCluster(t, Options{RelSegBlocks: 64, BigRelation: true, NoDoubleWrite: true})
	if _, _, err := c.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= 4; step++ {
		old := map[string][]byte{}
		dataFiles(t, c, func(path string, _ pgdata.FileClass, b []byte) { old[path] = b })
		from, _ := c.Tracked()
		if err := c.Mutate(step); err != nil {
			t.Fatal(err)
		}
		to, _, err := c.BeginBackup()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := c.ChangedBlocks(from, to)
		if err != nil {
			t.Fatal(err)
		}
		changed, cut := map[string]map[uint32]bool{}, map[string]bool{}
		for _, r := range rows {
			cut[r.Path] = r.Truncated
			changed[r.Path] = map[uint32]bool{}
			for _, b := range r.Blocks {
				changed[r.Path][b] = true
			}
		}
		taken, unchanged := 0, 0
		dataFiles(t, c, func(path string, class pgdata.FileClass, now []byte) {
			was, known := old[path]
			if !known {
				return // copied whole
			}
			rel, seg := path, uint32(0)
			if i := strings.LastIndexByte(path, '.'); i > strings.LastIndexByte(path, '/') {
				n, err := strconv.ParseUint(path[i+1:], 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				rel, seg = path[:i], uint32(n)
			}
			get, first, zero := [][]byte(nil), seg*64, make([]byte, blockSize)
			blocks := func(b []byte) [][]byte {
				if class.Kind == pgdata.KindCompressed {
					return logicalBlocks(t, b)
				}
				for get = nil; len(b) > 0; b = b[blockSize:] {
					get = append(get, b[:blockSize])
				}
				return get
			}
			rel = strings.TrimSuffix(rel, "_compress")
			before, after := blocks(was), blocks(now)
			for i, p := range after {
				base := zero
				if i < len(before) {
					base = before[i]
				}
				if changed[rel][first+uint32(i)] {
					base = p
					taken++
				} else {
					unchanged++
				}
				// Zeros may stand where a cut was that the map does not tell.
				if !bytes.Equal(base, p) && !isUnlogged(c, rel) && !(cut[rel] && bytes.Equal(p, zero)) {
					t.Errorf("step %d: %s block %d changed, the map does not say so", step, path, i)
				}
			}
		})
		if taken < 20 || unchanged < 100 {
			t.Errorf("step %d: %d blocks in the map, %d not", step, taken, unchanged)
		}
	}
}

func isUnlogged(c *Cluster, rel string) bool {
	_, err := os.Stat(filepath.Join(c.Dir(), rel+"_init"))
	return err == nil
}

// TestSameStepsSameCluster: two clusters with the same life are equal.
func TestSameStepsSameCluster(t *testing.T) {
	var trees []Tree
	for range 2 {
		c := newCluster(t, Options{NoDoubleWrite: true})
		for step := 1; step <= 2; step++ {
			if err := c.Mutate(step); err != nil {
				t.Fatal(err)
			}
		}
		tree, err := c.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		delete(tree, controlPath) // has the time
		delete(tree, controlPath+".backup")
		trees = append(trees, tree)
	}
	if d := trees[0].Diff(trees[1]); d != nil {
		t.Error(d)
	}
}

// TestDiffSeesEverything keeps the comparison honest.
func TestDiffSeesEverything(t *testing.T) {
	c := newCluster(t, Options{NoDoubleWrite: true})
	want, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func() error{
		"base/16384/16387: content differs":           func() error { return c.scribble("base/16384/16387", 5000, 1) },
		"base/16384/16450_compress: content differs":  func() error { return c.scribble("base/16384/16450_compress", 700, 60) },
		"PG_VERSION: mode 644, want 600":              func() error { return os.Chmod(c.full("PG_VERSION"), fs.FileMode(0o644)) },
		"pg_clog/000000000000: is missing":            func() error { return os.Remove(c.full("pg_clog/000000000000")) },
		"pg_cbm/extra: should not be there":           func() error { return os.WriteFile(c.full("pg_cbm/extra"), nil, 0o600) },
		"base/16384/16394: 319488 bytes, want 327680": func() error { return os.Truncate(c.full("base/16384/16394"), 39*8192) },
	}
	for _, f := range damage {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadTree(c.Dir())
	if err != nil {
		t.Fatal(err)
	}
	diff := want.Diff(got)
	for _, d := range diff {
		if damage[d] == nil {
			t.Errorf("unexpected: %s", d)
		}
	}
	if len(diff) != len(damage) {
		t.Errorf("found %q", diff)
	}
}
