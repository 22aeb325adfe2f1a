// Command manual writes the man pages and completion scripts below a prefix
// directory. It is run when a package is built and is not part of it.
//
//	manual PREFIX YYYY-MM-DD
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gsprobackup/internal/cli"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/manual"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: manual PREFIX YYYY-MM-DD")
		os.Exit(1)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

func write(prefix, date string) error {
	ref, err := cli.ReadReference()
	if err != nil {
		return err
	}
	disk := fsx.OS()
	for _, f := range manual.Files(ref, date) {
		name := filepath.Join(prefix, f.Name)
		if err := fsx.MkdirAll(disk, filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
		err := fsx.WriteFile(disk, name, fsx.WriteOptions{Perm: 0o644, NoSync: true}, func(w io.Writer) error {
			_, err := io.WriteString(w, f.Text)
			return err
		})
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
