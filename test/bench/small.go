package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const filesPerDir = 5000

// small measures a cluster with very many small files: half are relations of
// one page, half plain files of about 100 bytes. The server does not know them;
// to a physical backup they are files like any other.
func (b *bench) small(ctx context.Context) error {
	if err := b.makeFiles(ctx); err != nil {
		return err
	}
	floor, err := b.floor(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n## Small: PostgreSQL %s, %d small files, %s\n\n", b.source.Version, b.files, b.cacheNote())
	fmt.Printf("RSS floor of the measurement: %s.\n\n", mb(floor))
	fmt.Println("| command | time | × cp -a | cpu | peak RSS |")
	fmt.Println("|---|---|---|---|---|")
	base, err := b.copyTree(ctx, `cp -a "$1" "$2"`)
	if err != nil {
		return err
	}
	row := func(name string, r result) {
		fmt.Printf("| %s | %.1f s | %s | %.1f s | %s |\n", name, r.wall.Seconds(), ratio(base, r), r.cpu.Seconds(), mb(r.rss))
	}
	row("`cp -a`", base)
	synced, err := b.copyTree(ctx, copyAndSync)
	if err != nil {
		return err
	}
	row("`cp -a` and sync of each file", synced)
	steps := []struct {
		name string
		run  func() (result, error)
	}{
		{"backup FULL none -j2 --no-validate --no-sync", func() (result, error) { return b.backup(ctx, "-j", "2", "--no-validate", "--no-sync") }},
		{"backup FULL none -j2 --no-validate", func() (result, error) { return b.backup(ctx, "-j", "2", "--no-validate") }},
		{"show", func() (result, error) {
			return b.median(func() (result, error) { return b.gs(ctx, "show", "-B", b.catalog) })
		}},
		{"validate -j2", func() (result, error) { return b.validate(ctx, "-j", "2") }},
		{"restore -j2 --no-validate", func() (result, error) { return b.restore(ctx, "-j", "2", "--no-validate") }},
		{"restore -j2 --no-validate --no-sync", func() (result, error) { return b.restore(ctx, "-j", "2", "--no-validate", "--no-sync") }},
	}
	for _, s := range steps {
		begin := time.Now()
		r, err := s.run()
		if err != nil {
			return fmt.Errorf("%s (after %v): %w", s.name, time.Since(begin).Round(time.Second), err)
		}
		row(s.name, r)
	}
	return nil
}

// makeFiles copies a real one-page relation: its checksum fits under each name,
// since it depends on the block number only.
func (b *bench) makeFiles(ctx context.Context) error {
	rows, err := b.source.SQL(ctx, "postgres", `CREATE TABLE page AS SELECT 1 AS i; CHECKPOINT; SELECT pg_relation_filepath('page')`)
	if err != nil {
		return err
	}
	page, err := os.ReadFile(filepath.Join(b.source.DataDir, rows[0][0]))
	if err != nil {
		return fmt.Errorf("read the sample page: %w", err)
	}
	if len(page) != 8192 || bytes.Equal(page, make([]byte, 8192)) {
		return errors.New("read the sample page: not one page with content")
	}
	relations := filepath.Dir(filepath.Join(b.source.DataDir, rows[0][0]))
	for i := range b.files / 2 {
		if err := os.WriteFile(filepath.Join(relations, strconv.Itoa(10000000+i)), page, 0o600); err != nil {
			return fmt.Errorf("write relation: %w", err)
		}
		dir := filepath.Join(b.source.DataDir, "extra", strconv.Itoa(i/filesPerDir))
		if i%filesPerDir == 0 {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fmt.Errorf("make directory: %w", err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), bytes.Repeat([]byte{byte(i)}, 100), 0o600); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	return b.account.Own(b.source.DataDir)
}
