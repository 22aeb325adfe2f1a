package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gsprobackup/test/pgserver"
)

// over measures restores over a cluster of which one page in a hundred has
// changed, and restores of a long chain, beside a restore from nothing.
func (b *bench) over(ctx context.Context) error {
	if err := b.fill(ctx, "Restore"); err != nil {
		return err
	}
	fmt.Println("With -j2 and --no-validate, synced. Read and written are what its system calls asked for.")
	fmt.Println()
	fmt.Println("| restore | time | × of the plain one | read | written |")
	fmt.Println("|---|---|---|---|---|")
	for _, alg := range []string{"none", "zstd"} {
		if err := b.overOf(ctx, alg); err != nil {
			return err
		}
	}
	return nil
}

// overOf measures with one algorithm.
func (b *bench) overOf(ctx context.Context, alg string) error {
	row := func(name string, base, r result) {
		fmt.Printf("| %s, %s | %.2f s | %.2f | %s | %s |\n", name, alg, r.wall.Seconds(), r.wall.Seconds()/base.wall.Seconds(), mb(r.read), mb(r.written))
	}
	if err := b.emptyCatalog(); err != nil {
		return err
	}
	if err := b.increment(ctx, "FULL", alg); err != nil {
		return err
	}
	plain, err := b.restoreAnew(ctx)
	if err != nil {
		return err
	}
	row("FULL", plain, plain)
	for _, mode := range []string{"checksum", "lsn"} {
		r, err := b.restoreOver(ctx, mode)
		if err != nil {
			return err
		}
		row("-I "+mode+" after a change of 1 %", plain, r)
	}
	return b.longChain(ctx, alg, row)
}

// longChain compares a chain of five backups with what it is merged into.
func (b *bench) longChain(ctx context.Context, alg string, row func(string, result, result)) error {
	for i := range 4 {
		if err := b.change(ctx, b.source, i); err != nil {
			return err
		}
		if err := b.increment(ctx, "DELTA", alg); err != nil {
			return err
		}
	}
	chain, err := b.restoreAnew(ctx)
	if err != nil {
		return err
	}
	ids, err := filepath.Glob(filepath.Join(b.catalog, "backups", "bench", "*", "backup.control"))
	if err != nil || len(ids) != 5 {
		return errors.Join(err, fmt.Errorf("%d backups in the catalog, want 5", len(ids)))
	}
	if _, err := b.gs(ctx, "merge", "-B", b.catalog, "--instance=bench", "-i", filepath.Base(filepath.Dir(ids[4])), "-j", "2"); err != nil {
		return err
	}
	merged, err := b.restoreAnew(ctx)
	if err != nil {
		return err
	}
	row("the FULL that five backups were merged into", merged, merged)
	row("the chain of five", merged, chain)
	return nil
}

func (b *bench) increment(ctx context.Context, mode, alg string) error {
	_, err := b.gs(ctx, "backup", "-B", b.catalog, "--instance=bench", "-b", mode, "--compress-algorithm="+alg, "-j", "2", "--no-validate",
		"-h", b.source.SocketDir, "-p", strconv.Itoa(b.source.Port), "-U", "postgres", "-d", "postgres")
	return err
}

// change updates one row of every 200th page; its new version is on another.
func (b *bench) change(ctx context.Context, s *pgserver.Server, i int) error {
	sql := fmt.Sprintf("UPDATE accounts SET abalance = abalance + 1 WHERE ctid IN (SELECT format('(%%s,%d)', p)::tid FROM generate_series(%d, pg_relation_size('accounts') / 8192 - 1, 200) p)",
		i+1, time.Now().Nanosecond()%200)
	_, err := s.SQL(ctx, "postgres", sql)
	return err
}

func (b *bench) restoreAnew(ctx context.Context) (result, error) {
	target := filepath.Join(b.dir, "restored")
	return b.median(func() (result, error) {
		r, err := b.counted(ctx, "restore", "-B", b.catalog, "--instance=bench", "-D", target, "-j", "2", "--no-validate")
		return r, errors.Join(err, os.RemoveAll(target))
	})
}

// restoreOver lets a restored cluster change before each restore over it.
func (b *bench) restoreOver(ctx context.Context, mode string) (result, error) {
	target := filepath.Join(b.dir, "restored")
	args := []string{"restore", "-B", b.catalog, "--instance=bench", "-D", target, "-j", "2", "--no-validate"}
	r, err := b.median(func() (result, error) {
		if _, err := b.gs(ctx, append(args, "-I", "checksum")...); err != nil {
			return result{}, err
		}
		if err := b.runAndChange(ctx, target); err != nil {
			return result{}, err
		}
		return b.counted(ctx, append(args, "-I", mode)...)
	})
	return r, errors.Join(err, os.RemoveAll(target))
}

func (b *bench) runAndChange(ctx context.Context, dir string) error {
	s, err := pgserver.StartDir(ctx, b.source.Major, dir)
	if err != nil {
		return err
	}
	err = errors.Join(s.WaitPrimary(ctx), b.change(ctx, s, 0), s.Stop(pgserver.Fast))
	return errors.Join(err, s.Close())
}
