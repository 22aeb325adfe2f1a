// Command checkcatalog checks a backup catalog against formats.md and exits
// with 1 when it finds a problem.
package main

import (
	"flag"
	"fmt"
	"os"

	"gsprobackup/test/checker"
)

func main() {
	var opts checker.Options
	one := flag.Bool("backup", false, "the argument is one backup directory, not a catalog")
	flag.BoolVar(&opts.Foreign, "foreign", false, "accept what the C tool leaves behind")
	flag.BoolVar(&opts.OnlyFinished, "only-finished", false, "unfinished backups are notes")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: checkcatalog [-foreign] [-only-finished] [-backup] DIRECTORY")
		os.Exit(2)
	}
	run := checker.Check
	if *one {
		run = checker.CheckBackup
	}
	problems, stats, err := run(flag.Arg(0), opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	fmt.Printf("%d backups, %d files, %d data files, %d pages (%d zero), %d bytes: %d problems\n",
		stats.Backups, stats.Files, stats.DataFiles, stats.Pages, stats.ZeroPages, stats.Bytes, len(checker.Errors(problems)))
	if len(checker.Errors(problems)) > 0 {
		os.Exit(1)
	}
}
