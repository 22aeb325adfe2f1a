package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gsprobackup/test/pgtest"
)

// 200,000 small files: half of them in the data directory, half in an external
// one. No command may need more than 150 MB of memory. Without syncing, which
// needs no memory and, here, minutes.
const (
	manyFiles  = 200_000
	filesInDir = 1000
	rssLimitKB = 150 * 1000
)

func TestManyFiles(t *testing.T) {
	ctx := context.Background()
	src := pgtest.Start(t, pgtest.Config{Major: 15, DataChecksums: true})
	external := filepath.Join(pgtest.TempDir(t), "ext")
	makeFiles(t, filepath.Join(src.DataDir, "extra"), manyFiles/2)
	makeFiles(t, external, manyFiles/2)
	c := newCatalog(t, src)

	c.small("backup", c.backupArgs("-E", external, "-j", "4", "--compress-algorithm", "zlib", "--no-sync")...)
	info := c.newest()
	c.small("show", c.on("show")...)
	c.small("show -i", c.on("show", "-i", info.ID, "--format", "json")...)
	c.small("validate", c.on("validate", "-j", "4")...)

	dir := pgtest.TempDir(t)
	data, ext := filepath.Join(dir, "data"), filepath.Join(dir, "ext")
	c.small("restore", c.on("restore", "-i", info.ID, "-D", data, "-j", "4", "--no-sync", "--external-mapping", external+"="+ext)...)
	compareTrees(t, external, ext)
	compareTrees(t, filepath.Join(src.DataDir, "extra"), filepath.Join(data, "extra"))
	pgtest.StartDir(t, 15, data).WaitPrimary(ctx)
	c.small("del-instance", c.on("del-instance")...)
}

// makeFiles makes n files of a few bytes, a thousand to a directory.
func makeFiles(t *testing.T, root string, n int) {
	t.Helper()
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("d%03d", i/filesInDir))
		if i%filesInDir == 0 {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		name := filepath.Join(dir, fmt.Sprintf("file-%06d", i))
		if err := os.WriteFile(name, strconv.AppendInt(nil, int64(i), 10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := account.Own(root); err != nil {
		t.Fatal(err)
	}
}

// small runs a command of the tool and wants little memory of it.
func (c *catalog) small(what string, args ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	file := filepath.Join(c.t.TempDir(), "rss")
	cmd := tool(ctx, args...)
	cmd.Path, cmd.Args = measureCommand(c.t), append([]string{"e2e-measure", file, toolPath}, args...)
	cmd.SysProcAttr.Credential = nil // measure drops root's rights itself
	began := time.Now()
	res := finish(c.t, ctx, cmd, nil)
	elapsed := time.Since(began)
	if res.code != 0 {
		c.t.Fatal(res)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	kb, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Logf("%s of %d files: peak RSS %d MB, %.1f s", what, manyFiles, kb/1000, elapsed.Seconds())
	if kb > rssLimitKB {
		c.t.Errorf("%s: peak RSS %d kB, limit %d kB\n%s", what, kb, rssLimitKB, strings.Join(args, " "))
	}
}
