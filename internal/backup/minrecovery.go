package backup

import (
	"fmt"
	"io"
	"io/fs"
	"path"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// MinRecoveryPoint says that the stored pg_control of a backup from a standby
// is made to demand recovery up to where the backup stopped.
type MinRecoveryPoint struct{ Current, Set wal.LSN }

// requireRecovery makes the stored pg_control demand recovery up to the stop
// position (spec/formats.md §9.3). A standby has no record that ends a backup:
// only this position tells the restored server when its pages fit together.
// pg_control is copied when all other files are at least begun, but the pages
// read after it may be newer than what it says; that holds for both families.
// The position the server answered counts, which the record at StopLSN may
// begin before.
func (r *run) requireRecovery() error {
	if !r.backup.FromReplica {
		return nil
	}
	entry := r.listedFile(pgdata.ControlPath)
	if entry == nil {
		return usererr.New("Failed to find file \"%s\" in backup filelist.", pgdata.ControlPath)
	}
	name := path.Join(r.backup.DatabaseDir(), pgdata.ControlPath)
	image, err := fsx.ReadFile(r.deps.FS, name, pgdata.ControlFileSize)
	if err != nil {
		return fmt.Errorf("set minimum recovery point: %w", err)
	}
	control, err := pgdata.ParseControl(image)
	if err != nil {
		return fmt.Errorf("set minimum recovery point: %w", err)
	}
	lsn := max(r.stopped.LSN, r.backup.StopLSN, control.MinRecoveryPoint)
	r.emit(MinRecoveryPoint{Current: control.MinRecoveryPoint, Set: lsn})
	if entry.CRC, err = pgdata.SetMinRecoveryPoint(image, lsn, r.timeline); err != nil {
		return fmt.Errorf("set minimum recovery point: %w", err)
	}
	write := func(w io.Writer) error {
		_, err := w.Write(image)
		return err
	}
	opts := fsx.WriteOptions{Perm: fs.FileMode(entry.Mode & 0o777), NoSync: r.opts.NoSync}
	if err := fsx.WriteFile(r.deps.FS, name, opts, write); err != nil {
		return fmt.Errorf("set minimum recovery point: %w", err)
	}
	return nil
}

// listedFile finds a copied file of the data directory.
func (r *run) listedFile(name string) *listed {
	for i := range r.source.items {
		if it := r.source.items[i]; it.Path == name && it.ExternalDir == 0 && !it.vanished {
			return it
		}
	}
	return nil
}
