package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// An index of an unlogged table gets its init fork when it is built. Here that
// is while the backup runs: behind the listing, which has its main fork.
func TestUnloggedMadeDuringBackup(t *testing.T) {
	t.Parallel()
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	src.SQL(ctx, "CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS i")
	src.SQL(ctx, `CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  WHILE pg_stat_file('gate', true) IS NULL LOOP PERFORM pg_sleep(0.01); END LOOP;
  RETURN i;
END $$`)
	openGate := func(s *pgtest.Server) {
		if err := os.WriteFile(filepath.Join(s.DataDir, "gate"), nil, 0o644); err != nil {
			t.Error(err)
		}
	}
	built := make(chan error, 1)
	go func() {
		_, err := src.Server.SQL(ctx, "postgres", "CREATE INDEX late ON fleeting (slow(i))")
		built <- err
	}()
	waitFor(t, src, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event = 'PgSleep'")
	res := c.slowBackup(func(ctx context.Context) {
		for list := []string(nil); len(list) == 0 && ctx.Err() == nil; {
			<-time.After(10 * time.Millisecond) // the data directory is not listed yet
			list, _ = filepath.Glob(filepath.Join(c.dir, "backups", c.instance, "*", "backup_content.control"))
		}
		openGate(src)
		if err := <-built; err != nil {
			t.Error(err)
		}
	})
	if res.code != 0 || !strings.Contains(res.stderr, "became unlogged during the backup") {
		t.Fatal(res)
	}
	c.checkFormat(checker.Options{})

	dir := pgtest.TempDir(t)
	b := c.newest()
	c.restore(b.ID, filepath.Join(dir, "data"), c.remap(dir)...)
	restored := pgtest.StartDir(t, src.Major, filepath.Join(dir, "data"))
	restored.WaitPrimary(ctx)
	openGate(restored)
	restored.SQL(ctx, "INSERT INTO fleeting VALUES (2)")
	if n := restored.SQL(ctx, "SELECT count(*) FROM fleeting WHERE slow(i) = 2")[0][0]; n != "1" {
		t.Errorf("%s rows", n)
	}
}
