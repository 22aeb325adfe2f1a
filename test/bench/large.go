package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"gsprobackup/test/pgserver"
)

// branchMB is about what a branch of 100,000 accounts takes with its index.
const branchMB = 15

// large measures a pgbench-like cluster.
func (b *bench) large(ctx context.Context) error {
	lt := pgserver.LoadTables{Branches: b.megabytes/branchMB + 1, AccountsPerBranch: 100000}
	begin := time.Now()
	if _, err := b.source.CreateLoadTables(ctx, lt); err != nil {
		return err
	}
	if err := b.dropWAL(ctx); err != nil {
		return err
	}
	bytes, err := size(b.source.DataDir)
	if err != nil {
		return err
	}
	floor, err := b.floor(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n## Large: PostgreSQL %s, pgbench-like, %.1f GB (made in %v), page checksums, %s\n\n",
		b.source.Version, gb(bytes), time.Since(begin).Round(time.Second), b.cacheNote())
	fmt.Printf("Speed is relative to `cp -a` and to `pg_basebackup` (2.00 = twice as fast). RSS floor of the measurement: %s.\n\n", mb(floor))
	fmt.Println("| command | time | × cp -a | × cp and sync | × pg_basebackup | cpu | peak RSS | stored |")
	fmt.Println("|---|---|---|---|---|---|---|---|")

	base, err := b.copyTree(ctx, `cp -a "$1" "$2"`)
	if err != nil {
		return err
	}
	synced, err := b.copyTree(ctx, copyAndSync)
	if err != nil {
		return err
	}
	basebackup, err := b.basebackup(ctx)
	if err != nil {
		return err
	}
	row := func(name string, r result) {
		other := "-"
		if basebackup.wall != 0 {
			other = ratio(basebackup, r)
		}
		stored := "-"
		if r.stored != 0 {
			stored = fmt.Sprintf("%.2f GB", gb(r.stored))
		}
		fmt.Printf("| %s | %.1f s | %s | %s | %s | %.1f s | %s | %s |\n", name, r.wall.Seconds(), ratio(base, r), ratio(synced, r), other, r.cpu.Seconds(), mb(r.rss), stored)
	}
	row("`cp -a`", base)
	row("`cp -a` and sync of each file", synced)
	if basebackup.wall != 0 {
		row("`pg_basebackup -X stream -c fast`", basebackup)
	}
	for _, alg := range []string{"none", "zlib", "zstd"} {
		if err := b.algorithm(ctx, alg, row); err != nil {
			return err
		}
	}
	return nil
}

// dropWAL makes the server remove the WAL of the load: cp -a would copy it and a
// backup does not, which would flatter the backup.
func (b *bench) dropWAL(ctx context.Context) error {
	for _, sql := range []string{
		"ALTER SYSTEM SET max_wal_size = '64MB'", "ALTER SYSTEM SET min_wal_size = '32MB'",
		"SELECT pg_reload_conf()", "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT",
	} {
		if _, err := b.source.SQL(ctx, "postgres", sql); err != nil {
			return err
		}
	}
	all, err := size(b.source.DataDir)
	if err != nil {
		return err
	}
	wal, err := size(filepath.Join(b.source.DataDir, "pg_wal"))
	if err == nil && wal > max(all/10, 128<<20) {
		err = fmt.Errorf("drop WAL: %s of %s are still WAL", mb(wal), mb(all))
	}
	return err
}

func (b *bench) algorithm(ctx context.Context, alg string, row func(string, result)) error {
	for _, j := range []int{1, 2} {
		r, err := b.backup(ctx, "--compress-algorithm="+alg, "-j", strconv.Itoa(j), "--no-validate")
		if err != nil {
			return err
		}
		row(fmt.Sprintf("backup FULL %s -j%d --no-validate", alg, j), r)
	}
	if alg == "none" { // the counterpart of a bare cp
		r, err := b.backup(ctx, "-j", "2", "--no-validate", "--no-sync")
		if err != nil {
			return err
		}
		row("backup FULL none -j2 --no-validate --no-sync", r)
	}
	r, err := b.backup(ctx, "--compress-algorithm="+alg, "-j", "2")
	if err != nil {
		return err
	}
	row("backup FULL "+alg+" -j2 (validates)", r)
	for _, j := range []string{"1", "2"} {
		if r, err = b.validate(ctx, "-j", j); err != nil {
			return err
		}
		row("validate "+alg+" -j"+j, r)
		if r, err = b.restore(ctx, "-j", j, "--no-validate"); err != nil {
			return err
		}
		row("restore "+alg+" -j"+j+" --no-validate", r)
	}
	if r, err = b.restore(ctx, "-j", "2"); err != nil {
		return err
	}
	row("restore "+alg+" -j2 (validates)", r)
	return nil
}

// basebackup gives nothing when the installation has no pg_basebackup (npm).
func (b *bench) basebackup(ctx context.Context) (result, error) {
	bin, err := b.source.Program("pg_basebackup")
	if err != nil {
		return result{}, nil //nolint:nilerr // an npm server has none; the column then is empty
	}
	script := fmt.Sprintf(`exec '%s' -h '%s' -p %d -U postgres -X stream -c fast -D "$2"`, bin, b.source.SocketDir, b.source.Port)
	return b.copyTree(ctx, script)
}

func (b *bench) cacheNote() string {
	if b.cold {
		return "page cache dropped before each command"
	}
	return "page cache warm"
}

func ratio(base, r result) string {
	return fmt.Sprintf("%.2f", base.wall.Seconds()/r.wall.Seconds())
}

func gb(n int64) float64 { return float64(n) / (1 << 30) }

func mb(n int64) string { return fmt.Sprintf("%d MB", n>>20) }
