package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"

	"gsprobackup/test/pgtest"
)

// Without some databases the server starts, the others are whole, and those
// can be dropped; also over a whole restore.
func TestPartialRestore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	src := startRich(t, pgtest.Config{Major: 15, DataChecksums: true})
	src.SQLIn(ctx, "app", "COMMIT PREPARED 'pending'") // else the database cannot be dropped
	c := newCatalog(t, src)
	lt := src.CreateLoadTables(ctx, pgtest.LoadTables{Branches: 2, Tablespace: "ts1"})
	load := src.Load(ctx, lt, 2)
	b := c.backup()
	load.WaitCount(load.Count() + 100)
	inc, _ := c.increment("delta")
	journal := load.Journal(ctx)
	sums := src.Checksums(ctx)

	check := func(p *place, gone string) {
		t.Helper()
		s := pgtest.StartDir(t, src.Major, p.data)
		s.WaitPrimary(ctx)
		s.SQL(ctx, `DROP DATABASE "`+gone+`"`)
		pgtest.CheckRestored(t, ctx, s, journal, lsn(t, inc.StopLSN))
		restored := s.Checksums(ctx)
		for table, sum := range sums {
			if !slices.Contains(loadTables, table) && !strings.HasPrefix(table, gone+".") && restored[table] != sum {
				t.Errorf("checksum of %s: %s, source has %s", table, restored[table], sum)
			}
		}
		s.Stop(pgtest.Fast)
	}
	p := c.newPlace("")
	p.restore(b.ID)
	p.restore(inc.ID, "--db-exclude", "app", "-I", "checksum")
	check(p, "app")

	c.fails([]string{"You cannot specify '--db-include' and '--db-exclude' together"},
		c.on("restore", "-D", p.data, "--db-include=app", "--db-exclude=postgres")...)
	c.fails([]string{"You cannot specify '--db-include' or '--db-exclude' with the \"validate\" command"}, c.on("validate", "--db-include=app")...)
}
