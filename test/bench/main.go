// Command bench compares gs_probackup with pg_basebackup and cp -a on the same
// machine in the same run, and prints tables in Markdown.
//
// Only ratios mean something: absolute times are those of whatever disk and
// neighbours the machine has. Each figure is the median of -runs runs. Peak RSS
// is what the kernel tells of the ended process (wait4), and never below our
// own, since a child starts as a copy of us; the table begins with that floor.
//
// Caches: warm unless -cold is given (root only), which drops the page cache
// before each measured command. gs_probackup and pg_basebackup sync what they
// write and cp does not, so there is also a row for cp with sync.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"gsprobackup/test/pgserver"
)

func main() {
	var b bench
	flag.StringVar(&b.tool, "tool", "bin/gs_probackup", "the gs_probackup to measure")
	flag.StringVar(&b.dir, "dir", "", "directory with room for about 4 times -mb (default: a temporary one)")
	flag.IntVar(&b.major, "major", 0, "PostgreSQL major version; 0 takes the one nearest to 15")
	flag.IntVar(&b.megabytes, "mb", 2048, "least size of the cluster")
	flag.IntVar(&b.files, "files", 200000, "number of small files in the second case")
	flag.IntVar(&b.runs, "runs", 3, "runs of each measurement, the median counts")
	flag.BoolVar(&b.cold, "cold", false, "drop the page cache before each measurement (root)")
	flag.StringVar(&b.only, "only", "", "large, small, chain or restore: one of the cases")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench failed:", err)
		os.Exit(1)
	}
}

type bench struct {
	tool, dir, only string
	major           int
	megabytes       int
	files, runs     int
	cold            bool

	account pgserver.Account
	catalog string
	source  *pgserver.Server
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.account, err = pgserver.RunAs(); err != nil {
		return err
	}
	if b.dir == "" {
		if b.dir, err = b.account.TempDir("bench-"); err != nil {
			return err
		}
	} else if err := errors.Join(os.Mkdir(b.dir, 0o700), b.account.Own(b.dir)); err != nil {
		return fmt.Errorf("make -dir (it must not exist): %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.tool, err = b.account.CopyTool(b.tool, b.dir); err != nil {
		return err
	}
	for _, c := range []struct {
		name  string
		major int
		run   func(context.Context) error
	}{{"large", b.major, b.large}, {"small", b.major, b.small}, {"chain", max(b.major, chainMajor), b.chain}, {"restore", b.major, b.over}} {
		if b.only == "" || b.only == c.name {
			if err := b.withCluster(ctx, c.major, c.run); err != nil {
				return fmt.Errorf("case %s: %w", c.name, err)
			}
		}
	}
	return nil
}

// withCluster gives run a server in b.source and an empty catalog with the
// instance "bench", and removes both.
func (b *bench) withCluster(ctx context.Context, major int, run func(context.Context) error) (err error) {
	settings := map[string]string{
		"shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "1h", "maintenance_work_mem": "256MB",
	}
	if major >= chainMajor {
		settings["summarize_wal"] = "on"
	}
	b.source, err = pgserver.Start(ctx, pgserver.Config{Major: major, DataChecksums: true, Settings: settings})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.source.Close()) }()
	b.catalog = filepath.Join(b.dir, "backups")
	if _, err := b.gs(ctx, "init", "-B", b.catalog); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.catalog)) }()
	if _, err := b.gs(ctx, "add-instance", "-B", b.catalog, "--instance=bench", "-D", b.source.DataDir); err != nil {
		return err
	}
	return run(ctx)
}
