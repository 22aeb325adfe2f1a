package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// What single options and unusual clusters do, one backup each.

func TestOptions(t *testing.T) {
	ctx := context.Background()
	src := startSmall(t, 15)
	for name, content := range map[string]string{"log/server.log": "log\n", "pg_log/old.log": "log\n"} {
		full := filepath.Join(src.DataDir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := account.Own(src.DataDir); err != nil {
		t.Fatal(err)
	}
	c := newCatalog(t, src)
	stored := func(b backupInfo, name string) bool {
		_, err := os.Stat(filepath.Join(c.backupDir(b.ID), "database", name))
		return err == nil
	}

	plain := c.backup()
	if stored(plain, "log/server.log") {
		t.Error("the server's log is in a backup without --backup-pg-log")
	}
	if b := c.backup("--backup-pg-log"); !stored(b, "log/server.log") {
		t.Error("--backup-pg-log leaves out the server's log")
	}
	res := c.ok(c.backupArgs("--no-sync")...)
	if !strings.Contains(res.stderr, "Backup files are not synced to disk") {
		t.Errorf("--no-sync does not warn\n%v", res)
	}
	if b := c.backup("--no-validate"); b.Status != "DONE" {
		t.Errorf("--no-validate: status %s, want DONE", b.Status)
	}
	c.ok(c.on("validate")...)
	if b := c.newest(); b.Status != "OK" {
		t.Errorf("validate made a DONE backup %s", b.Status)
	}
	note := `it's "noted", ü`
	if b := c.backup("--note", note, "--skip-block-validation"); b.Note != note || b.Status != "OK" {
		t.Errorf("--note: %+v", b)
	}
	res = c.ok(c.backupArgs("--note", "first\nsecond", "-E", "None")...)
	if b := c.newest(); b.Note != "first" || !strings.Contains(res.stderr, "'first'\n") {
		t.Errorf("--note of two lines: %+v\n%v", b, res)
	}
	res = c.ok(c.backupArgs("--note", "None")...)
	if b := c.newest(); b.Note != "" || !strings.Contains(res.stderr, "INFO: Removing note from backup "+b.ID+"\n") {
		t.Errorf("--note=None: %+v\n%v", b, res)
	}
	if b := c.backup("--ttl", "30d"); b.ExpireTime == "" {
		t.Errorf("--ttl: %+v", b)
	}
	if b := c.backup("--expire-time", "2099-01-01 00:00:00+00"); !strings.HasPrefix(b.ExpireTime, "2099-01-01 00:00:00") {
		t.Errorf("--expire-time: %+v", b)
	}
	if b := c.backup("-C", "--progress"); b.Status != "OK" {
		t.Errorf("-C --progress: %+v", b)
	}
	if b := c.backup("--compress"); b.Algorithm != "zlib" || b.Level != 1 {
		t.Errorf("--compress: %+v", b)
	}
	res = c.ok(c.backupArgs("--temp-slot")...)
	if slots := src.SQL(ctx, "SELECT slot_name FROM pg_replication_slots"); len(slots) != 0 {
		t.Errorf("--temp-slot leaves %v\n%v", slots, res)
	}
	src.SQL(ctx, "SELECT pg_create_physical_replication_slot('mine')")
	c.ok(c.backupArgs("--slot", "mine")...)
	slot := src.SQL(ctx, "SELECT active, restart_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'mine'")
	if len(slot) != 1 || slot[0][0] != "f" || slot[0][1] != "t" {
		t.Errorf("--slot: the slot is %v, want it kept, inactive and used", slot)
	}
	c.fails([]string{"nowhere"}, c.backupArgs("--slot", "nowhere")...)
	serverFreeBut(t, src, "mine")
	c.checkFinished()

	// show -i prints what is stored.
	control, err := os.ReadFile(filepath.Join(c.backupDir(plain.ID), "backup.control"))
	if err != nil {
		t.Fatal(err)
	}
	if out := c.ok(c.on("show", "-i", plain.ID)...).stdout; out != string(control) {
		t.Errorf("show -i prints\n%s\nbackup.control is\n%s", out, control)
	}
}

func serverFreeBut(t *testing.T, src *pgtest.Server, slot string) {
	t.Helper()
	src.SQL(context.Background(), "SELECT pg_drop_replication_slot($1)", slot)
	serverFree(t, src)
}

// What must not work, and says why.
func TestRefusals(t *testing.T) {
	src := pgtest.Start(t, pgtest.Config{Major: 15, HBA: []string{
		"local all postgres trust", "local all tester scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256",
		"local replication all trust",
	}})
	ctx := context.Background()
	src.SQL(ctx, "CREATE ROLE tester SUPERUSER LOGIN PASSWORD 'secret'")
	other := pgtest.Start(t, pgtest.Config{Major: 15})
	c := newCatalog(t, src)
	good := c.backup()

	wrong := *c
	wrong.dataDir = other.DataDir
	c.fails([]string{"but target backup directory system id is"}, wrong.backupArgs()...)
	wrong = *c
	wrong.server = other
	c.fails([]string{"but connected instance system id is"}, wrong.backupArgs()...)

	password := func(extra ...string) []string {
		return append(c.on("backup", "-b", "full", "-D", src.DataDir, "-h", src.SocketDir, "-p", strconv.Itoa(src.Port),
			"-U", "tester", "-d", "postgres"), extra...)
	}
	c.fails([]string{"could not connect to database postgres", "password"}, password("-W", "wrong")...)
	c.fails([]string{"no password supplied"}, password("-w")...)
	c.fails([]string{"You cannot specify --password and --no-password options together"}, password("-w", "-W", "secret")...)
	if res := c.ok(password("-W", "secret")...); strings.Contains(res.stderr, "secret") {
		t.Errorf("the password is printed\n%v", res)
	}
	c.fails([]string{"could not connect"}, c.on("backup", "-b", "full", "-D", src.DataDir, "-h", src.SocketDir, "-p", "1", "-U", "postgres", "-d", "postgres", "-w")...)
	c.fails([]string{"required parameter not specified: BACKUP_MODE"}, c.on("backup")...)
	c.fails([]string{"is not an absolute path"}, c.backupArgs("-E", "relative")...)
	c.fails([]string{"External directory is not found"}, c.backupArgs("-E", "/no/such/directory")...)
	c.fails([]string{"overlaps the backup catalog"}, c.backupArgs("-E", filepath.Dir(c.dir))...)

	// Restore never writes into what is there.
	c.fails([]string{"Restore destination is not empty"}, c.on("restore", "-D", src.DataDir)...)
	other.Stop(pgtest.Fast)
	before := describe(t, other.DataDir)
	c.fails([]string{"Restore destination is not empty"}, c.on("restore", "-D", other.DataDir, "-i", good.ID)...)
	after := describe(t, other.DataDir)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("a refused restore changed the destination")
	}
	c.fails([]string{"Requested backup QQQQQQ is not found"}, c.on("restore", "-i", "QQQQQQ", "-D", filepath.Join(pgtest.TempDir(t), "d"))...)
	c.fails([]string{"already exists"}, "add-instance", "-B", c.dir, "--instance", c.instance, "-D", src.DataDir)
	c.fails([]string{"not empty"}, "init", "-B", c.dir)

	// A corrupt backup is not restored, but by force.
	xor(t, filepath.Join(c.backupDir(good.ID), "database", "PG_VERSION"), 0, 1)
	target := filepath.Join(pgtest.TempDir(t), "data")
	c.fails([]string{"Backup " + good.ID + " is corrupt."}, c.on("restore", "-i", good.ID, "-D", target)...)
	if entries, err := os.ReadDir(target); err == nil && len(entries) > 0 {
		t.Errorf("a refused restore wrote %v", entries)
	}
	c.ok(c.on("restore", "-i", good.ID, "-D", target, "--force")...)
	serverFree(t, src)
}

// A cluster without page checksums.
func TestNoChecksums(t *testing.T) {
	src := pgtest.Start(t, pgtest.Config{Major: 15})
	src.SQL(context.Background(), "CREATE TABLE x AS SELECT i, md5(i::text) FROM generate_series(1, 10000) i")
	c := newCatalog(t, src)
	b := c.backup("-j", "2", "--compress-algorithm", "lz4")
	if b.Checksums != 0 {
		t.Errorf("checksum-version %d, want 0", b.Checksums)
	}
	c.checkFormat(checker.Options{})
	checkRestarts(t, c, b)
}

// WAL segments of 64 MB (1 MB ones are in many tests here).
func TestLargeWALSegments(t *testing.T) {
	ctx := context.Background()
	src := pgtest.Start(t, pgtest.Config{Major: 15, DataChecksums: true, WALSegSizeMB: 64})
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{})
	load := src.Load(ctx, lt, 2)
	c := newCatalog(t, src)
	b := c.backup("-j", "2")
	journal := load.Journal(ctx)
	if b.WALBytes%(64<<20) != 0 || b.WALBytes == 0 {
		t.Errorf("wal-bytes %d, want whole segments of 64 MB", b.WALBytes)
	}
	c.ok(c.on("validate")...)
	c.checkFormat(checker.Options{})
	data := filepath.Join(pgtest.TempDir(t), "data")
	c.restore(b.ID, data)
	restored := pgtest.StartDir(t, 15, data)
	restored.WaitPrimary(ctx)
	pgtest.CheckRestored(t, ctx, restored, journal, lsn(t, b.StopLSN))
}

// A large file that is mostly holes is stored and restored as such, with the
// same bytes.
func TestSparseFile(t *testing.T) {
	const size = 1<<30 + 12345
	src := pgtest.Start(t, pgtest.Config{Major: 15})
	name := filepath.Join(src.DataDir, "sparse.bin")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, off := range []int64{0, 1<<28 - 5, 1<<29 + 4096*7, size - 4} {
		if _, err := f.WriteAt([]byte("data"), off); err != nil {
			t.Fatal(err)
		}
	}
	if err := account.Own(name); err != nil {
		t.Fatal(err)
	}
	c := newCatalog(t, src)
	b := c.backup("-j", "2")
	c.ok(c.on("validate")...)
	data := filepath.Join(pgtest.TempDir(t), "data")
	c.restore(b.ID, data)
	want := fileSum(t, name)
	for _, copied := range []string{filepath.Join(c.backupDir(b.ID), "database", "sparse.bin"), filepath.Join(data, "sparse.bin")} {
		if got := fileSum(t, copied); got != want {
			t.Errorf("%s: sha256 %s, want %s", copied, got, want)
		}
		var st syscall.Stat_t
		if err := syscall.Stat(copied, &st); err != nil {
			t.Fatal(err)
		}
		if st.Size != size || st.Blocks*512 > 16<<20 {
			t.Errorf("%s has %d bytes and takes %d on the disk", copied, st.Size, st.Blocks*512)
		}
	}
}

func fileSum(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// External directories: nested files, links and hidden names, mapped and not,
// and left out at restore.
func TestExternalDirectories(t *testing.T) {
	src := pgtest.Start(t, pgtest.Config{Major: 15})
	first, second := makeExternal(t), makeExternal(t)
	outside := filepath.Join(pgtest.TempDir(t), "outside")
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "linked"), []byte("linked\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(second, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(second, ".hidden"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{second, outside} {
		if err := account.Own(dir); err != nil {
			t.Fatal(err)
		}
	}
	c := newCatalog(t, src)
	res := c.ok(c.backupArgs("-E", first+":"+second)...)
	if !strings.Contains(res.stderr, "Skip hidden file: '"+filepath.Join(second, ".hidden")+"'") {
		t.Errorf("no word of the hidden file\n%v", res)
	}
	b := c.newest()
	if b.Externals != first+":"+second {
		t.Errorf("external-dirs is %q", b.Externals)
	}
	c.checkFormat(checker.Options{})

	dir := pgtest.TempDir(t)
	to1, to2 := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	c.restore(b.ID, filepath.Join(dir, "data"), "--external-mapping", first+"="+to1, "--external-mapping", second+"="+to2)
	compareTrees(t, first, to1)
	// The link's files come as files in its place.
	want := describe(t, second)
	delete(want, ".hidden")
	got := describe(t, to2)
	if text, err := os.ReadFile(filepath.Join(to2, "link", "linked")); err != nil || string(text) != "linked\n" {
		t.Errorf("file behind a link: %q, %v", text, err)
	}
	for name, d := range want {
		if name != "link" && got[name] != d {
			t.Errorf("%s: %q, source has %q", name, got[name], d)
		}
	}

	c.fails([]string{"External directory is not empty"}, c.on("restore", "-i", b.ID, "-D", filepath.Join(dir, "data2"))...)
	c.restore(b.ID, filepath.Join(dir, "data3"), "--skip-external-dirs")
	c.fails([]string{"doesn't have an entry in list of external directories"},
		c.on("restore", "-i", b.ID, "-D", filepath.Join(dir, "data4"), "--external-mapping", "/no=/such")...)
}
