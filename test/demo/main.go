// Command demo shows a disaster and the way back: a cluster with a tablespace,
// under write load, is backed up while it works, deleted, restored and started
// again; then the data is compared.
//
// What is compared. The load goes on through the backup and after it, so "the
// data at the backup's stop point" exists nowhere once the backup has ended.
// But every transaction writes a journal row (table history), and all balances
// began at 0. Before the cluster is deleted the demo reads the journal; after
// the restore it computes from it what each row of each table must be and
// compares checksums. It also proves that every transaction confirmed before
// the backup's stop LSN is there and none from after it (pgserver.Journal).
// Tables that did not change are compared with their checksums before the
// disaster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gsprobackup/test/pgserver"
)

func main() {
	var d demo
	flag.StringVar(&d.tool, "tool", "bin/gs_probackup", "the gs_probackup to show")
	flag.IntVar(&d.major, "major", 0, "PostgreSQL major version; 0 takes the one nearest to 15")
	flag.StringVar(&d.compress, "compress-algorithm", "zstd", "none, zlib, lz4, zstd or pglz")
	flag.BoolVar(&d.keep, "keep", false, "leave the catalog behind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := d.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo failed:", err)
		os.Exit(1)
	}
}

type demo struct {
	tool, compress string
	major          int
	keep           bool

	dir, catalog string // our temporary directory and the catalog in it
	account      pgserver.Account
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.account, err = pgserver.RunAs(); err != nil {
		return err
	}
	if d.dir, err = d.account.TempDir("demo-"); err != nil {
		return err
	}
	d.catalog = filepath.Join(d.dir, "backups")
	defer func() {
		if d.keep {
			fmt.Println("\nkept:", d.dir)
			return
		}
		say("clean up")
		show([]string{"rm", "-rf", d.dir})
		err = errors.Join(err, os.RemoveAll(d.dir))
	}()
	if d.tool, err = d.account.CopyTool(d.tool, d.dir); err != nil {
		return err
	}

	say("a cluster with page checksums, a tablespace and pgbench-like tables")
	source, err := pgserver.Start(ctx, pgserver.Config{Major: d.major, DataChecksums: true, Tablespaces: 1, Trace: show})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	tables, err := source.CreateLoadTables(ctx, pgserver.LoadTables{Branches: 5, AccountsPerBranch: 20000, Tablespace: "ts1"})
	if err != nil {
		return err
	}
	const documents = `CREATE TABLE documents TABLESPACE ts1 AS SELECT i AS id, repeat(md5(i::text), i % 200) AS body FROM generate_series(1, 5000) i`
	show([]string{"SQL:", documents})
	if _, err := source.SQL(ctx, "postgres", documents); err != nil {
		return err
	}
	fmt.Printf("PostgreSQL %s, %d accounts, user %s\n", source.Version, tables.Branches*tables.AccountsPerBranch, source.Name)

	say("four clients write from now on")
	load, err := source.StartLoad(ctx, tables, 4)
	if err != nil {
		return err
	}
	before := load.WaitCount(500)
	if err := d.backup(ctx, source); err != nil {
		return errors.Join(err, stopLoad(load))
	}
	after := load.Count()
	load.WaitCount(after + 500) // written after the backup: must not come back
	if err := stopLoad(load); err != nil {
		return err
	}
	fmt.Printf("transactions: %d before the backup, %d when it ended, %d in the end\n", before, after, load.Count())

	journal, err := source.ReadJournal(ctx, load)
	if err != nil {
		return err
	}
	last, err := source.Checksums(ctx)
	if err != nil {
		return err
	}
	if err := d.tell(ctx, source); err != nil {
		return err
	}

	say("the disaster")
	show([]string{"kill", "-QUIT", "postmaster"})
	show([]string{"rm", "-rf", source.DataDir, source.Tablespaces[0].Dir})
	if err := source.Destroy(); err != nil {
		return err
	}
	return d.restore(ctx, source, journal, last)
}

func (d *demo) backup(ctx context.Context, source *pgserver.Server) error {
	say("a catalog, the instance, a full backup while the clients write")
	if err := d.gs(ctx, "init", "-B", d.catalog); err != nil {
		return err
	}
	if err := d.gs(ctx, "add-instance", "-B", d.catalog, "--instance=demo", "-D", source.DataDir); err != nil {
		return err
	}
	return d.gs(ctx, "backup", "-B", d.catalog, "--instance=demo", "-b", "FULL", "-j", "2", "--compress-algorithm="+d.compress,
		"-h", source.SocketDir, "-p", fmt.Sprint(source.Port), "-U", "postgres", "-d", "postgres")
}

func (d *demo) tell(ctx context.Context, source *pgserver.Server) error {
	say("what the catalog holds, and whether it is sound")
	if err := d.gs(ctx, "show", "-B", d.catalog); err != nil {
		return err
	}
	return d.gs(ctx, "validate", "-B", d.catalog, "--instance=demo", "-j", "2")
}

func (d *demo) restore(ctx context.Context, source *pgserver.Server, journal *pgserver.Journal, last map[string]string) (err error) {
	say("the way back")
	if err := d.gs(ctx, "restore", "-B", d.catalog, "--instance=demo", "-D", source.DataDir, "-j", "2"); err != nil {
		return err
	}
	restored, err := pgserver.New(source.Major)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restored.Close()) }()
	restored.DataDir, restored.Trace = source.DataDir, show
	if err := restored.Launch(ctx); err != nil {
		return err
	}
	if err := restored.WaitPrimary(ctx); err != nil {
		return err
	}

	say("is it the same data?")
	stop, err := d.stopLSN()
	if err != nil {
		return err
	}
	position, err := restored.PositionOf(ctx)
	if err != nil {
		return err
	}
	if err := journal.CheckPosition(position, stop); err != nil {
		return err
	}
	fmt.Printf("%d transactions restored: all that were confirmed before the stop LSN %X/%X, none from after it\n",
		position.Total(), stop>>32, uint32(stop))
	want, err := journal.ChecksumsAt(position)
	if err != nil {
		return err
	}
	for table, sum := range last {
		if _, changing := want[table]; !changing {
			want[table] = sum
		}
	}
	got, err := restored.Checksums(ctx)
	if err != nil {
		return err
	}
	return compare(want, got)
}

func compare(want, got map[string]string) error {
	different := len(want) != len(got)
	fmt.Printf("%-30s %-34s %s\n", "table", "checksum expected", "restored")
	for _, table := range slices.Sorted(maps.Keys(want)) {
		verdict := "equal"
		if got[table] != want[table] {
			verdict, different = "DIFFERENT: "+got[table], true
		}
		fmt.Printf("%-30s %-34s %s\n", strings.TrimPrefix(table, "postgres.public."), want[table], verdict)
	}
	if different {
		return errors.New("the restored data is not the data that was backed up")
	}
	fmt.Println("\nThe cluster is back, with the data of the backup's stop point.")
	return nil
}

func (d *demo) gs(ctx context.Context, args ...string) error {
	show(append([]string{"gs_probackup"}, args...))
	cmd := d.account.AsUser(exec.CommandContext(ctx, d.tool, args...))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that a backup ends properly
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run gs_probackup %s: %w", args[0], err)
	}
	return nil
}

// stopLSN reads the stop point from the one backup's control file.
func (d *demo) stopLSN() (uint64, error) {
	names, err := filepath.Glob(filepath.Join(d.catalog, "backups", "demo", "*", "backup.control"))
	if err != nil || len(names) != 1 {
		return 0, fmt.Errorf("find the backup's control file: %v, %w", names, errors.Join(err, io.ErrUnexpectedEOF))
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		return 0, fmt.Errorf("read control file: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nstop-lsn = ")
	var hi, lo uint32
	if _, err := fmt.Sscanf(rest, "%X/%X", &hi, &lo); err != nil {
		return 0, fmt.Errorf("read stop-lsn: %w", err)
	}
	return uint64(hi)<<32 | uint64(lo), nil
}

func stopLoad(l *pgserver.Load) error {
	_, err := l.Stop()
	return err
}

func say(text string) { fmt.Printf("\n== %s\n", text) }

// show prints a command as one could type it.
func show(command []string) {
	words := slices.Clone(command)
	for i, w := range words {
		if words[0] != "SQL:" && strings.ContainsAny(w, " '\"$*") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	fmt.Println("$", strings.Join(words, " "))
}
