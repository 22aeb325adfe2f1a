package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gsprobackup/test/pgtest"
)

// A flipped byte anywhere in a stored backup is found by validate: exit status
// 1, the file is named, the backup is CORRUPT.

const (
	randomFlips  = 200 // over both backups
	controlFlips = 40  // of each backup.control
)

func TestFlippedByteZlib(t *testing.T) { testFlips(t, "zlib", 11) }
func TestFlippedByteNone(t *testing.T) { testFlips(t, "none", 12) }

func testFlips(t *testing.T, algorithm string, seed uint64) {
	ctx := context.Background()
	src := pgtest.Start(t, pgtest.Config{Major: 15, DataChecksums: true, WALSegSizeMB: 1, Tablespaces: 1})
	src.SQL(ctx, `CREATE TABLE big AS SELECT i, md5(i::text) AS v FROM generate_series(1, 20000) i;
CREATE TABLE spaced TABLESPACE ts1 AS SELECT i, md5(i::text) AS v FROM generate_series(1, 5000) i`)
	c := newCatalog(t, src)
	c.server.SQL(ctx, "CHECKPOINT")
	info := c.backup("--compress-algorithm", algorithm, "-E", makeExternal(t), "-j", "2")
	f := newFlipper(t, c, info.ID)
	rnd := rand.New(rand.NewPCG(seed, 1))

	for _, kind := range fileKinds {
		name := f.find(kind)
		size := f.sizes[name]
		for _, pos := range []int64{0, size / 2, size - 1} {
			f.flip(name, pos, 0xff)
		}
	}
	for range controlFlips {
		f.flip("backup.control", rnd.Int64N(f.sizes["backup.control"]), byte(1+rnd.IntN(255)))
	}
	for i := range randomFlips / 2 {
		// By turns anywhere in the bytes, most of which are pages and WAL,
		// and in any file, most of which are small.
		name, pos := f.byByte(rnd)
		if i%2 == 0 {
			name, pos = f.byFile(rnd)
		}
		f.flip(name, pos, byte(1<<rnd.IntN(8)))
	}
	t.Logf("%s: %d flips, %d missed", algorithm, f.done, f.missed)

	// The damage is undone, so the backup is good again.
	c.ok(c.on("validate", "-i", info.ID)...)
}

// fileKind is a kind of file in a backup.
type fileKind struct {
	name  string
	match func(path string) bool
}

var fileKinds = []fileKind{
	{"page file", func(p string) bool { return match("database/base/*/1259", p) }},
	{"page file in a tablespace", func(p string) bool { return match("database/pg_tblspc/*/PG_*/*/[0-9]*", p) }},
	{"visibility map", func(p string) bool { return match("database/base/*/1249_vm", p) }},
	{"non-data file", func(p string) bool { return p == "database/postgresql.conf" }},
	{"commit log", func(p string) bool { return p == "database/pg_xact/0000" }},
	{"relation map", func(p string) bool { return p == "database/global/pg_filenode.map" }},
	{"PG_VERSION", func(p string) bool { return p == "database/PG_VERSION" }},
	{"header map", func(p string) bool { return p == "page_header_map" }},
	{"content list", func(p string) bool { return p == "backup_content.control" }},
	{"backup.control", func(p string) bool { return p == "backup.control" }},
	{"WAL segment", func(p string) bool { return match("database/pg_wal/0*", p) }},
	{"pg_control", func(p string) bool { return p == "database/global/pg_control" }},
	{"backup_label", func(p string) bool { return p == "database/backup_label" }},
	{"tablespace_map", func(p string) bool { return p == "database/tablespace_map" }},
	{"database_map", func(p string) bool { return p == "database/database_map" }},
	{"file of an external directory", func(p string) bool { return p == "external_directories/externaldir1/plain.conf" }},
}

func match(pattern, path string) bool {
	ok, err := filepath.Match(pattern, path)
	return ok && err == nil
}

// flipper changes bytes of one backup, has it validated and undoes the change.
type flipper struct {
	t            *testing.T
	c            *catalog
	id, dir      string
	names        []string // files with bytes, in walk order
	sizes        map[string]int64
	total        int64
	control, sum []byte // backup.control as it was, and its attribute
	done, missed int
}

func newFlipper(t *testing.T, c *catalog, id string) *flipper {
	t.Helper()
	f := &flipper{t: t, c: c, id: id, dir: c.backupDir(id), sizes: map[string]int64{}}
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err != nil || fi.Size() == 0 {
			return err
		}
		name := strings.TrimPrefix(path, f.dir+"/")
		f.names = append(f.names, name)
		f.sizes[name] = fi.Size()
		f.total += fi.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	control := filepath.Join(f.dir, "backup.control")
	if f.control, err = os.ReadFile(control); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	n, err := unix.Getxattr(control, controlSum, buf)
	switch {
	case err == nil:
		f.sum = buf[:n]
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENODATA):
		t.Logf("the file system of %s keeps no user attributes: flips in backup.control are not tried", control)
	default:
		t.Fatal(err)
	}
	return f
}

// controlSum is the attribute that makes every flip in backup.control visible:
// the format itself has no checksum for that file.
const controlSum = "user.gs_probackup.crc32c"

func (f *flipper) find(kind fileKind) string {
	f.t.Helper()
	for _, name := range f.names {
		if kind.match(name) {
			return name
		}
	}
	f.t.Fatalf("the backup has no %s", kind.name)
	return ""
}

func (f *flipper) byByte(rnd *rand.Rand) (name string, pos int64) {
	pos = rnd.Int64N(f.total)
	for _, name := range f.names {
		if pos < f.sizes[name] {
			return name, pos
		}
		pos -= f.sizes[name]
	}
	panic("not reached")
}

func (f *flipper) byFile(rnd *rand.Rand) (name string, pos int64) {
	name = f.names[rnd.IntN(len(f.names))]
	return name, rnd.Int64N(f.sizes[name])
}

// flip is one case.
func (f *flipper) flip(name string, pos int64, mask byte) {
	f.t.Helper()
	if name == "backup.control" && f.sum == nil {
		return
	}
	f.done++
	full := filepath.Join(f.dir, name)
	xor(f.t, full, pos, mask)
	res := run(f.t, f.c.on("validate", "-j", "2")...)
	var faults []string
	if res.code != 1 {
		faults = append(faults, fmt.Sprintf("exit status %d", res.code))
	}
	named := full
	if name == "page_header_map" {
		// In the C tool's words it is a data file that has lost its headers.
		named = `Cannot get page headers for file "` + f.dir + "/database/"
	}
	if !strings.Contains(res.stderr, named) {
		faults = append(faults, "the file is not named")
	}
	if name == "backup.control" {
		// The damage must not be forgotten once the status is written.
		if again := run(f.t, f.c.on("validate")...); again.code != 1 {
			faults = append(faults, fmt.Sprintf("a second validate ends with %d", again.code))
		}
	} else if status := f.c.get(f.id).Status; status != "CORRUPT" {
		faults = append(faults, "status is "+status)
	}
	if len(faults) > 0 {
		f.missed++
		f.t.Errorf("flip %#x at %d of %s: %s\n%s", mask, pos, name, strings.Join(faults, ", "), shorten(res.stderr))
	}
	if name != "backup.control" {
		xor(f.t, full, pos, mask)
	}
	f.resetControl()
}

func (f *flipper) resetControl() {
	f.t.Helper()
	name := filepath.Join(f.dir, "backup.control")
	if err := os.WriteFile(name, f.control, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if f.sum == nil {
		return
	}
	if err := unix.Setxattr(name, controlSum, f.sum, 0); err != nil {
		f.t.Fatal(err)
	}
}

// xor changes one byte in place.
func xor(t testing.TB, name string, pos int64, mask byte) {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, st.Mode().Perm()|0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var b [1]byte
	if _, err := file.ReadAt(b[:], pos); err != nil {
		t.Fatal(err)
	}
	b[0] ^= mask
	if _, err := file.WriteAt(b[:], pos); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, st.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}
