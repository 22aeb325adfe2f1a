package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gsprobackup/test/pgserver"
)

// dataset is a kind of data, with the ways to back it up.
type dataset struct {
	name       string
	table      string // SQL of a table of one megabyte per %d
	algorithms []string
}

func datasets() []dataset {
	return []dataset{
		// gen_random_bytes needs an extension that not every package has.
		{"random", `CREATE TABLE t AS SELECT i, decode(string_agg(md5(random()::text || j), ''), 'hex') AS b
			FROM generate_series(1, %d * 128) i, generate_series(1, 500) j GROUP BY i`, []string{"none"}},
		{"pgbench-like", `CREATE TABLE t AS SELECT i AS aid, i %% 100 AS bid, 0 AS abalance, ''::char(84) AS filler
			FROM generate_series(1, %d * 7800) i`, []string{"zlib", "zstd", "lz4"}},
	}
}

// measure takes backups of a cluster with the data and restores them.
func (b *bench) measure(ctx context.Context, d dataset) (err error) {
	src, err := pgserver.Start(ctx, pgserver.Config{DataChecksums: true, Settings: map[string]string{
		"shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "1h", "wal_level": "replica",
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_commit = off", fmt.Sprintf(strings.ReplaceAll(d.table, "\t", " "), b.megabytes), "VACUUM FREEZE t", "CHECKPOINT"} {
		if _, err := src.SQL(ctx, "postgres", sql); err != nil {
			return err
		}
	}
	catalog := filepath.Join(b.dir, "catalog")
	if _, err := b.gs(ctx, "init", "-B", catalog); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(catalog)) }()
	on := func(command string, args ...string) []string {
		return append(append([]string{command, "-B", catalog, "--instance=b"}, args...), b.remote()...)
	}
	if _, err := b.gs(ctx, on("add-instance", "-D", src.DataDir)...); err != nil {
		return err
	}
	bytes, err := size(src.DataDir)
	if err != nil {
		return err
	}
	for _, algorithm := range d.algorithms {
		backup, err := b.gs(ctx, on("backup", "-b", "FULL", "-D", src.DataDir, "-j", b.threads, "--no-validate", "--compress-algorithm="+algorithm,
			"-h", src.SocketDir, "-p", strconv.Itoa(src.Port), "-U", "postgres", "-d", "postgres")...)
		if err != nil {
			return err
		}
		b.row(d.name, "backup "+algorithm, bytes, backup)
		target := filepath.Join(b.dir, "restored")
		restore, err := b.gs(ctx, on("restore", "-D", target, "-j", b.threads, "--no-validate")...)
		if err = errors.Join(err, os.RemoveAll(target)); err != nil {
			return err
		}
		b.row(d.name, "restore "+algorithm, bytes, restore)
	}
	return nil
}

func (b *bench) row(data, command string, bytes int64, r result) {
	part := func(d time.Duration) float64 { return mbit(bytes, d) * 1e6 / float64(b.line.Rate) }
	fmt.Printf("| %s | %s -j%s | %d MB | %.1f s | %.0f s | %.2f | %.2f |\n",
		data, command, b.threads, bytes>>20, r.whole.Seconds(), r.transfer.Seconds(), part(r.whole), part(r.transfer))
}

// size is the size of a data directory without its WAL.
func size(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if filepath.Base(path) == "pg_wal" {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
