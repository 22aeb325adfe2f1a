package e2e

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// variant is one way to take a backup.
type variant struct {
	algorithm string
	threads   string
}

func (v variant) String() string { return v.algorithm + "-j" + v.threads }

// variants are all codecs with one worker and with four.
func variants() []variant {
	var list []variant
	for _, alg := range []string{"none", "zlib", "lz4", "zstd", "pglz"} {
		list = append(list, variant{alg, "1"}, variant{alg, "4"})
	}
	return list
}

// A cluster that is written to during the backup comes back exactly as it was
// at the backup's stop point, for every codec and number of workers.
func TestRoundTrip15(t *testing.T) { testRoundTrip(t, 15, variants()) }

// The oldest and the newest installed major, two codecs each.
func TestRoundTripOldest(t *testing.T) {
	testRoundTrip(t, pgtest.Majors(t)[0], []variant{{"none", "4"}, {"zstd", "1"}})
}

func TestRoundTripNewest(t *testing.T) {
	majors := pgtest.Majors(t)
	testRoundTrip(t, majors[len(majors)-1], []variant{{"zlib", "4"}, {"lz4", "1"}})
}

// taken is a backup that waits for its restore.
type taken struct {
	variant
	info  backupInfo
	count int64 // transactions confirmed when it was finished
}

func testRoundTrip(t *testing.T, major int, list []variant) {
	ctx := context.Background()
	src := startRich(t, pgtest.Config{Major: major, DataChecksums: true})
	external := makeExternal(t)
	c := newCatalog(t, src)
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 4, Tablespace: "ts1"})
	load := src.Load(ctx, lt, 2)

	var backups []taken
	for _, v := range list {
		before := load.Count()
		info := c.backup("--compress-algorithm", v.algorithm, "-j", v.threads, "-E", external)
		if info.Status != "OK" || info.Algorithm != v.algorithm || info.Mode != "FULL" || info.WAL != "STREAM" {
			t.Errorf("%v: show says %+v", v, info)
		}
		after := load.Count()
		if after == before {
			t.Errorf("%v: no transaction was committed during the backup", v)
		}
		backups = append(backups, taken{v, info, after})
	}
	journal := load.Journal(ctx)
	sums := src.Checksums(ctx)
	c.ok("validate", "-B", c.dir, "-j", "2")
	c.checkFormat(checker.Options{})
	for _, b := range backups {
		t.Run(b.String(), func(t *testing.T) {
			checkRestore(t, c, src, b, journal, sums, external)
		})
	}
}

func checkRestore(t *testing.T, c *catalog, src *pgtest.Server, b taken, journal *pgtest.Journal, sums map[string]string, external string) {
	ctx := context.Background()
	dir := pgtest.TempDir(t)
	data, ext := filepath.Join(dir, "data"), filepath.Join(dir, "external")
	args := append(c.remap(dir), "-j", b.threads, "--external-mapping", external+"="+ext)
	c.ok(c.on("validate", "-i", b.info.ID, "-j", b.threads)...)
	c.restore(b.info.ID, data, args...)
	checkModes(t, src.DataDir, data)
	compareTrees(t, external, ext)

	// The source's places may not be touched again.
	restored := pgtest.StartDir(t, src.Major, data)
	restored.WaitPrimary(ctx)
	pos := pgtest.CheckRestored(t, ctx, restored, journal, lsn(t, b.info.StopLSN))
	if total := int64(pos.Total()); total == 0 || total > b.count+int64(len(journal.Commits)) {
		t.Errorf("%d transactions restored, %d were confirmed when the backup was finished", total, b.count)
	}
	checkStatic(t, sums, restored.Checksums(ctx))
	for _, ts := range src.Tablespaces {
		want := filepath.Join(dir, ts.Name)
		rows := restored.SQL(ctx, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = $1", ts.Name)
		if len(rows) != 1 || rows[0][0] != want {
			t.Errorf("tablespace %s lies at %v, want %s", ts.Name, rows, want)
		}
		if entries, err := os.ReadDir(want); err != nil || len(entries) != 1 {
			t.Errorf("tablespace directory %s: %v, %v", want, entries, err)
		}
	}
	checkRich(t, restored)
	checkIndexes(t, restored)
	restored.Stop(pgtest.Fast)
	checkPageChecksums(t, restored)
}

// makeExternal makes a directory for -E: nested, empty and odd names, modes, a
// link, a hidden file (which is left out).
func makeExternal(t testing.TB) string {
	t.Helper()
	root := filepath.Join(pgtest.TempDir(t), "ext")
	files := map[string]string{
		"plain.conf":          "setting = 'on'\n",
		"deep/er/file":        strings.Repeat("0123456789abcdef", 5000),
		"empty":               "",
		"odd, \"na'me\" ü":    "odd\n",
		"looks/like/1663/123": "no relation\n",
	}
	for name, content := range files {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "plain.conf"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "emptydir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := account.Own(root); err != nil {
		t.Fatal(err)
	}
	return root
}

// compareTrees wants two directories to hold the same names, kinds, modes and
// bytes.
func compareTrees(t testing.TB, want, got string) {
	t.Helper()
	a, b := describe(t, want), describe(t, got)
	for name, d := range a {
		if b[name] != d {
			t.Errorf("%s: %q, source has %q", name, b[name], d)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			t.Errorf("%s is not in the source", name)
		}
	}
}

func describe(t testing.TB, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		text := fi.Mode().String()
		if fi.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %d bytes crc %x", len(data), checksum(data))
		}
		out[strings.TrimPrefix(path, root+"/")] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func checksum(data []byte) uint64 {
	h := fnv.New64a()
	h.Write(data)
	return h.Sum64()
}
