package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gsprobackup/test/pgserver"
)

// chainMajor is the first PostgreSQL with WAL summaries, which PTRACK needs.
const chainMajor = 17

// changeEvery: a row of each page of that distance is updated. Its new version
// and its index entry are on other pages, together 1 % of all.
const changeEvery = 320

// chain measures what increments cost beside a FULL of the same cluster, and
// what it costs to merge two of them into it. Between two backups about one
// page in a hundred is changed.
func (b *bench) chain(ctx context.Context) error {
	if err := b.fill(ctx, "Chain"); err != nil {
		return err
	}
	fmt.Println("Each command with -j2, synced and validated. Read and written are what its system calls asked for, the validation's included.")
	fmt.Println()
	fmt.Println("| command | time | × FULL | read | written | stored, of FULL |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, alg := range []string{"none", "zlib", "zstd", "lz4"} {
		if err := b.chainOf(ctx, alg); err != nil {
			return err
		}
	}
	return nil
}

// fill makes the cluster of a part of the benchmark and prints its heading.
func (b *bench) fill(ctx context.Context, title string) error {
	lt := pgserver.LoadTables{Branches: b.megabytes/branchMB + 1, AccountsPerBranch: 100000}
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
	fmt.Printf("\n## %s: PostgreSQL %s, pgbench-like, %.1f GB, page checksums, %s\n\n", title, b.source.Version, gb(bytes), b.cacheNote())
	return nil
}

// chainOf measures the whole life of a chain, -runs times.
func (b *bench) chainOf(ctx context.Context, alg string) error {
	names := []string{"backup FULL", "backup PTRACK", "second backup PTRACK", "merge of the three"}
	all := make([][]result, len(names))
	for range b.runs {
		if err := b.emptyCatalog(); err != nil {
			return err
		}
		before := int64(0)
		for i := range names {
			r, err := b.chainStep(ctx, i, alg)
			if err != nil {
				return fmt.Errorf("%s %s: %w", names[i], alg, err)
			}
			now, err := size(b.catalog)
			if err != nil {
				return err
			}
			r.stored, before = now-before, now
			all[i] = append(all[i], r)
		}
	}
	full := middle(all[0])
	for i, name := range names {
		r := middle(all[i])
		share := "-"
		if i < len(names)-1 {
			share = fmt.Sprintf("%.3f", float64(r.stored)/float64(full.stored))
		}
		fmt.Printf("| %s, %s | %.2f s | %.2f | %s | %s | %s |\n", name, alg, r.wall.Seconds(),
			r.wall.Seconds()/full.wall.Seconds(), mb(r.read), mb(r.written), share)
	}
	return nil
}

// chainStep is a FULL, an increment after a change, or the merge.
func (b *bench) chainStep(ctx context.Context, i int, alg string) (result, error) {
	if i == 3 {
		ids, err := filepath.Glob(filepath.Join(b.catalog, "backups", "bench", "*", "backup.control"))
		if err != nil || len(ids) != 3 {
			return result{}, errors.Join(err, fmt.Errorf("%d backups in the catalog, want 3", len(ids)))
		}
		last := filepath.Base(filepath.Dir(ids[2]))
		return b.counted(ctx, "merge", "-B", b.catalog, "--instance=bench", "-i", last, "-j", "2")
	}
	mode := "FULL"
	if i > 0 {
		mode = "PTRACK"
		sql := fmt.Sprintf("UPDATE accounts SET abalance = abalance + 1 WHERE ctid IN (SELECT format('(%%s,%d)', p)::tid FROM generate_series(%d, pg_relation_size('accounts') / 8192 - 1, %d) p)", i, time.Now().Nanosecond()%changeEvery, changeEvery)
		if _, err := b.source.SQL(ctx, "postgres", sql); err != nil {
			return result{}, err
		}
	}
	return b.counted(ctx, "backup", "-B", b.catalog, "--instance=bench", "-b", mode, "--compress-algorithm="+alg, "-j", "2",
		"-h", b.source.SocketDir, "-p", strconv.Itoa(b.source.Port), "-U", "postgres", "-d", "postgres")
}

// counted measures the tool and what it read and wrote: the kernel adds the
// counts of an ended child to those of its parent, here a shell.
func (b *bench) counted(ctx context.Context, args ...string) (result, error) {
	name := filepath.Join(b.dir, "io")
	if err := os.RemoveAll(name); err != nil {
		return result{}, err
	}
	script := `out=$1; shift; "$@" && cat /proc/$$/io >"$out"`
	r, err := b.measure(ctx, "sh", append([]string{"-c", script, "sh", name, b.tool}, args...)...)
	if err != nil {
		return r, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
			return r, fmt.Errorf("read counters: %w", err)
		case key == "rchar":
			r.read = n
		case key == "wchar":
			r.written = n
		}
	}
	return r, nil
}
