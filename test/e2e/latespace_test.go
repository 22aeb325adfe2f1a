package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/test/pgtest"
)

// A tablespace that is made while a backup runs comes back by replay, at its
// place on the server. (So it must have left that place in this test; the other
// tests, which restore beside a running server, make none during a backup.)
func TestTablespaceMadeDuringBackup(t *testing.T) {
	t.Parallel()
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	place := filepath.Join(src.Root, "late")
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := src.Own(place); err != nil {
		t.Fatal(err)
	}
	res := c.slowBackup(func(ctx context.Context) {
		src.SQL(ctx, fmt.Sprintf("CREATE TABLESPACE late LOCATION '%s'", place))
		src.SQL(ctx, "CREATE TABLE kept TABLESPACE late AS SELECT generate_series(1, 1000)")
	})
	if res.code != 0 {
		t.Fatal(res)
	}
	ctx := context.Background()
	src.SQL(ctx, "DROP TABLE kept")
	src.SQL(ctx, "DROP TABLESPACE late")

	dir := pgtest.TempDir(t)
	b := c.newest()
	var mapping []string
	for i, location := range tablespacesOf(t, c, b.ID) {
		mapping = append(mapping, "-T", location+"="+filepath.Join(dir, fmt.Sprintf("space%d", i)))
	}
	c.restore(b.ID, filepath.Join(dir, "data"), mapping...)
	restored := pgtest.StartDir(t, src.Major, filepath.Join(dir, "data"))
	restored.WaitPrimary(ctx)
	if n := restored.SQL(ctx, "SELECT count(*) FROM kept")[0][0]; n != "1000" {
		t.Errorf("%s rows", n)
	}
}
