package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// ciSeeds is how many chains each of the two servers sees in every test run;
// E2E_SEEDS asks for more.
const ciSeeds = 10

// seedIncrements is the length of their chains without the FULL.
const seedIncrements = 2

// Many short chains on small clusters, each with its own mixture of tables,
// databases and tablespaces that come, change and go, and of codecs. Every
// backup restores to what was true at its stop point, and so does the last
// one after a part of its chain was merged.
func TestPtrackSeeds(t *testing.T) {
	t.Parallel()
	testSeeds(t, "ptrack", 100, pgtest.Config{
		Major: 17, DataChecksums: true, WALSegSizeMB: 1, Settings: map[string]string{"summarize_wal": "on"},
	})
}

func TestDeltaSeeds(t *testing.T) {
	t.Parallel()
	testSeeds(t, "delta", 200, pgtest.Config{Major: 15, WALSegSizeMB: 1, Settings: map[string]string{}})
}

func testSeeds(t *testing.T, mode string, first uint64, cfg pgtest.Config) {
	ctx := context.Background()
	cfg.Settings["wal_keep_size"] = "256MB" // see testChain
	cfg.Tablespaces = 1
	src := pgtest.Start(t, cfg)
	for _, seed := range manySeeds(t, first, ciSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCatalog(t, src)
			shape := newShaper(t, src, seed)
			defer shape.reset(ctx)
			shape.many(ctx, 12)
			chain := seedChain(t, c, shape, mode, seed)
			c.checkFormat(checker.Options{})
			last := 0
			for i, b := range chain {
				n := checkSeed(t, c, shape, b)
				if n < last {
					t.Errorf("backup %d restored to step %d, the one before to %d", i, n, last)
				}
				last = n
			}
			merged := chain[1+shape.rnd.IntN(len(chain)-1)]
			c.ok("merge", "-B", c.dir, "--instance", c.instance, "-i", merged.ID, "-j", "2")
			c.checkFormat(checker.Options{})
			if n := checkSeed(t, c, shape, chain[len(chain)-1]); n != last {
				t.Errorf("after the merge of %s the last backup restores to step %d, before to %d", merged.ID, n, last)
			}
		})
	}
}

// seedChain takes a FULL and increments: with even seeds all in one codec, so
// that a merge can keep and patch files, else in random ones.
func seedChain(t *testing.T, c *catalog, shape *shaper, mode string, seed uint64) (chain []backupInfo) {
	t.Helper()
	algorithms := []string{"none", "zlib", "lz4", "zstd", "pglz"}
	rnd := rand.New(rand.NewPCG(seed, 1))
	one := algorithms[int(seed/2)%len(algorithms)]
	for i := range 1 + seedIncrements {
		alg := one
		if seed%2 == 1 {
			alg = algorithms[rnd.IntN(len(algorithms))]
		}
		m := mode
		if i == 0 {
			m = "full"
		}
		info, res := takeDuring(t, c, shape, m, "--compress-algorithm", alg, "-j", strconv.Itoa(1+i%3))
		checkMessages(t, mode, info, chain, res)
		chain = append(chain, info)
		shape.many(context.Background(), rnd.IntN(8)) // none at times
	}
	return chain
}

// checkSeed restores a backup and compares it with the shaper's memory.
func checkSeed(t *testing.T, c *catalog, shape *shaper, b backupInfo) int {
	t.Helper()
	dir := pgtest.TempDir(t)
	data := filepath.Join(dir, "data")
	args := []string{"-j", "2", "--no-validate", "--no-sync"}
	for i, location := range tablespacesOf(t, c, b.ID) {
		args = append(args, "-T", location+"="+filepath.Join(dir, fmt.Sprintf("space%d", i)))
	}
	c.restore(b.ID, data, args...)
	restored := pgtest.StartDir(t, shape.server.Major, data)
	restored.WaitPrimary(context.Background())
	n := shape.check(context.Background(), t, restored)
	checkIndexes(t, restored)
	restored.Stop(pgtest.Immediate)
	return n
}
