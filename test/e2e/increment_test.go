package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// seedsVar runs the randomised chains with this many seeds: E2E_SEEDS=100.
const seedsVar = "E2E_SEEDS"

func seeds(t testing.TB, first uint64) []uint64 {
	t.Helper()
	return manySeeds(t, first, 1)
}

// manySeeds are n seeds, or as many as were asked for.
func manySeeds(t testing.TB, first uint64, n int) []uint64 {
	t.Helper()
	if text := os.Getenv(seedsVar); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", seedsVar, err)
		}
	}
	var list []uint64
	for i := range n {
		list = append(list, first+uint64(i))
	}
	return list
}

// incrementArgs is a backup in the given mode.
func (c *catalog) incrementArgs(mode string, extra ...string) []string {
	args := c.backupArgs(extra...)
	args[slices.Index(args, "full")] = mode
	return args
}

// increment takes a backup in the given mode.
func (c *catalog) increment(mode string, extra ...string) (backupInfo, result) {
	c.t.Helper()
	res := c.ok(c.incrementArgs(mode, extra...)...)
	return c.newest(), res
}

// Each backup of a chain restores to what was true at its stop point, while
// tables come and go, are cut, grow and are rewritten, before and during the
// backups.
func TestPtrackChain(t *testing.T) {
	for _, seed := range seeds(t, 1) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			testChain(t, chainTest{mode: "ptrack", seed: seed, cfg: pgtest.Config{
				Major: 17, DataChecksums: seed%2 == 1, Settings: map[string]string{"summarize_wal": "on"},
			}})
		})
	}
}

// Without checksums hint bits are not logged, which DELTA has to know; with
// wal_log_hints they are again.
func TestDeltaChain(t *testing.T) {
	for _, seed := range seeds(t, 2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			hints := map[bool]string{false: "off", true: "on"}[seed%4 == 0]
			testChain(t, chainTest{mode: "delta", seed: seed, cfg: pgtest.Config{
				Major: 15, DataChecksums: seed%2 == 1, Settings: map[string]string{"wal_log_hints": hints},
			}})
		})
	}
}

type chainTest struct {
	mode string
	seed uint64
	cfg  pgtest.Config
}

// increments is the length of a chain without its FULL.
const increments = 5

func testChain(t *testing.T, ct chainTest) {
	ctx := context.Background()
	ct.cfg.Tablespaces = 2
	// The shaper's checkpoints would remove WAL that is being streamed.
	ct.cfg.Settings["wal_keep_size"] = "1GB"
	src := pgtest.Start(t, ct.cfg)
	c := newCatalog(t, src)
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 2, AccountsPerBranch: 5000, Tablespace: "ts1"})
	shape := newShaper(t, src, ct.seed)
	shape.many(ctx, 20)
	load := src.Load(ctx, lt, 2)
	algorithms := []string{"none", "zlib", "lz4", "zstd", "pglz"}

	var chain []backupInfo
	for i := range 1 + increments {
		mode := ct.mode
		if i == 0 {
			mode = "full"
		}
		alg := algorithms[(int(ct.seed)+i)%len(algorithms)]
		info, res := takeDuring(t, c, shape, mode, "--compress-algorithm", alg, "-j", strconv.Itoa(1+i%3))
		checkMessages(t, ct.mode, info, chain, res)
		chain = append(chain, info)
		shape.many(ctx, 12)
	}
	journal := load.Journal(ctx)
	c.ok("validate", "-B", c.dir, "-j", "2")
	c.checkFormat(checker.Options{})
	src.Stop(pgtest.Fast)
	last := 0
	for i, b := range chain {
		t.Run(fmt.Sprintf("restore %d", i), func(t *testing.T) {
			n := checkChainMember(t, c, src, b, journal, shape)
			if n < last {
				t.Errorf("restored to step %d, the backup before to %d", n, last)
			}
			last = n
		})
	}
}

// takeDuring takes a backup while the shaper works on.
func takeDuring(t *testing.T, c *catalog, shape *shaper, mode string, extra ...string) (backupInfo, result) {
	t.Helper()
	stop := make(chan struct{})
	done := shape.during(context.Background(), stop)
	info, res := c.increment(mode, extra...)
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return info, res
}

// checkMessages wants the C tool's lines about the parent, and an increment
// that is smaller than its FULL.
func checkMessages(t *testing.T, mode string, b backupInfo, before []backupInfo, res result) {
	t.Helper()
	if len(before) == 0 {
		return
	}
	full, parent := before[0], before[len(before)-1]
	want := []string{
		"backup mode: " + strings.ToUpper(mode) + ",", "LOG: Latest valid FULL backup: " + full.ID,
		"INFO: Parent backup: " + parent.ID, "LOG: Parent start_lsn: " + parent.StartLSN, "LOG: start_lsn: " + b.StartLSN,
	}
	if mode == "ptrack" {
		want = append(want, "INFO: Extracting pagemap of changed blocks",
			"INFO: change bitmap start lsn location is "+parent.StartLSN, "INFO: Pagemap successfully extracted, time elapsed: ")
	}
	for _, text := range want {
		if !strings.Contains(res.stderr, text) {
			t.Errorf("%q is not on stderr\n%v", text, res)
		}
	}
	if b.Status != "OK" || b.Mode != "PTRACK" || b.Parent != parent.ID {
		t.Errorf("show says %+v, want an OK PTRACK backup with parent %s", b, parent.ID)
	}
}

func checkChainMember(t *testing.T, c *catalog, src *pgtest.Server, b backupInfo, journal *pgtest.Journal, shape *shaper) int {
	ctx := context.Background()
	dir := pgtest.TempDir(t)
	data := filepath.Join(dir, "data")
	args := []string{"-j", "2"}
	for i, location := range tablespacesOf(t, c, b.ID) {
		args = append(args, "-T", location+"="+filepath.Join(dir, fmt.Sprintf("space%d", i)))
	}
	c.t = t
	c.restore(b.ID, data, args...)
	restored := pgtest.StartDir(t, src.Major, data)
	restored.WaitPrimary(ctx)
	dropInvalid(restored)
	pgtest.CheckRestored(t, ctx, restored, journal, lsn(t, b.StopLSN))
	n := shape.check(ctx, t, restored)
	checkIndexes(t, restored)
	checkVisibility(t, restored)
	restored.Stop(pgtest.Fast)
	if b.Checksums != 0 {
		checkPageChecksums(t, restored)
	}
	return n
}

// dropInvalid drops the databases that were being dropped at the stop point.
func dropInvalid(s *pgtest.Server) {
	ctx := context.Background()
	for _, db := range s.SQL(ctx, "SELECT datname FROM pg_database WHERE datconnlimit = -2") {
		s.SQL(ctx, "DROP DATABASE "+db[0])
	}
}

// tablespacesOf lists the locations in a backup's tablespace_map.
func tablespacesOf(t *testing.T, c *catalog, id string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.backupDir(id), "database", "tablespace_map"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		_, location, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatalf("tablespace_map of %s has %q", id, line)
		}
		list = append(list, location)
	}
	return list
}

// checkVisibility has VACUUM look at every page: it warns of pages that the
// visibility map says are all-visible and that do not say so themselves.
func checkVisibility(t *testing.T, s *pgtest.Server) {
	t.Helper()
	s.SQL(context.Background(), "VACUUM (DISABLE_PAGE_SKIPPING)")
	_, log, _ := strings.Cut(string(s.LogTail(1<<20)), "database system is ready to accept connections")
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, "WARNING:") || strings.Contains(line, "PANIC:") {
			t.Errorf("server log: %s", line)
		}
	}
}
