package restore

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strconv"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
)

// Incremental says how a restore uses what is in the data directory already.
type Incremental int

// The modes of --incremental-mode.
const (
	// IncrementalNone wants an empty directory.
	IncrementalNone Incremental = iota
	// IncrementalChecksum keeps pages whose LSN and checksum are those of
	// the backup.
	IncrementalChecksum
	// IncrementalLSN keeps such pages only if they are older than a backup
	// of the chain that is known to lie in the directory's own past.
	IncrementalLSN
)

// lookAtTarget decides whether the data directory can be restored to, and how
// (spec/server.md §6.2 steps 1 and 2).
func (r *run) lookAtTarget(ctx context.Context) error {
	entries, err := r.entriesOf(ctx, r.opts.PGData, "Restore destination is not empty: \"%s\"")
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		r.newDir = true
		return nil
	}
	rec, err := r.interrupted(ctx)
	if err != nil {
		return err
	}
	switch {
	case rec != nil:
		r.resumed, r.old, r.mode = rec, rec.Old, IncrementalChecksum
		if r.opts.Incremental == IncrementalLSN && rec.Old != nil {
			r.mode = IncrementalLSN
		}
		r.emit(Resumed{PGData: r.opts.PGData})
		return nil
	case r.opts.Incremental == IncrementalNone:
		return usererr.New("Restore destination is not empty: \"%s\"", r.opts.PGData)
	}
	r.mode = r.opts.Incremental
	r.emit(RunningIncremental{PGData: r.opts.PGData})
	return r.checkCompatible(ctx)
}

// compares tells whether the restore writes over what is there.
func (r *run) compares() bool { return r.mode != IncrementalNone }

// checkCompatible makes sure that the data directory is one of the cluster of
// the catalog, and that no server works on it.
func (r *run) checkCompatible(ctx context.Context) error {
	name := path.Join(r.opts.PGData, pgdata.ControlPath)
	raw, err := r.deps.Host.ReadFile(ctx, name, 8*pgdata.ControlFileSize)
	if err != nil {
		return usererr.Wrap(err, "Could not open file \"%s\" for reading: %s", name, usererr.SystemText(err))
	}
	control, err := pgdata.ParseControl(raw)
	if err != nil {
		return err
	}
	lsn, tli := control.RedoPoint()
	r.old = &oldControl{Redo: lsn, Timeline: tli, Checksums: control.DataChecksumVersion != 0, catalogVersion: control.CatalogVersion}
	impossible := false
	if control.SystemID != r.opts.SystemID {
		r.emit(OtherSystem{Catalog: r.opts.SystemID, Directory: control.SystemID})
		impossible = true
	}
	running, err := r.postmaster(ctx)
	if err != nil {
		return err
	}
	impossible = impossible || running
	if r.mode == IncrementalLSN {
		_, err := r.deps.Host.Stat(ctx, path.Join(r.opts.PGData, pgdata.BackupLabelName))
		if err != nil && !isMissing(err) {
			return fmt.Errorf("look at restore destination: %w", err)
		}
		if err == nil {
			r.emit(LabelPresent{})
			impossible = true
		}
	}
	if impossible {
		return usererr.New("Incremental restore is impossible")
	}
	return nil
}

// postmaster tells whether a server runs on the data directory, or may run.
func (r *run) postmaster(ctx context.Context) (bool, error) {
	name := path.Join(r.opts.PGData, "postmaster.pid")
	raw, err := r.deps.Host.ReadFile(ctx, name, 64<<10)
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a running server: %w", err)
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil || pid == 0 {
		r.emit(PidFileMangled{Path: name})
		return true, nil //nolint:nilerr // what cannot be read says that much
	}
	pid = max(pid, -pid) // a server in single-user mode writes it negative
	alive, err := r.deps.Host.Alive(ctx, pid)
	if alive {
		r.emit(PostmasterRuns{PID: pid, PGData: r.opts.PGData})
	}
	return alive, err
}
