package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
)

// checkServer makes sure the server is the one whose files are in PGDATA, that
// its formats are ours, and that the role can finish what it begins. Nothing
// on the server changes.
func (r *run) checkServer(ctx context.Context) error {
	if err := r.checkBlockSizes(ctx); err != nil {
		return err
	}
	standby, err := r.flavor.IsInRecovery(ctx)
	if err != nil {
		return err
	}
	r.backup.FromReplica = standby
	if err := r.readControl(ctx); err != nil {
		return err
	}
	if err := r.checkChecksums(ctx); err != nil {
		return err
	}
	if err := r.checkIdentity(ctx); err != nil {
		return err
	}
	if standby {
		r.emit(FromStandby{ID: r.backup.ID})
	}
	if err := r.flavor.Prepare(ctx); err != nil {
		return err
	}
	if err := r.flavor.CheckPrivileges(ctx, server.Needs{Stream: true, RestorePoint: !standby}); err != nil {
		return err
	}
	if err := r.note(); err != nil {
		return err
	}
	r.emit(CopyPrepared{})
	if len(r.opts.ExternalDirs) == 0 {
		return nil
	}
	locations, err := r.flavor.TablespaceLocations(ctx)
	if err != nil {
		return err
	}
	if err := r.checkExternalTablespaces(locations); err != nil {
		return err
	}
	return r.checkExternalKinds(ctx)
}

// checkBlockSizes refuses servers whose pages do not fit the catalog format.
func (r *run) checkBlockSizes(ctx context.Context) error {
	sizes := []struct {
		name string
		get  func(context.Context) (int, error)
	}{{"block_size", r.flavor.BlockSize}, {"wal_block_size", r.flavor.WALBlockSize}}
	for _, s := range sizes {
		n, err := s.get(ctx)
		if err != nil {
			return err
		}
		if n != pgdata.BlockSize {
			return usererr.New("%s(%d) is not compatible(%d expected)", s.name, n, pgdata.BlockSize)
		}
	}
	return nil
}

// readControl reads PGDATA's pg_control and derives from it how the directory
// is laid out.
func (r *run) readControl(ctx context.Context) error {
	c, err := readControl(ctx, r.deps.Host, r.opts.PGData)
	if err != nil {
		return err
	}
	if c.Family != r.flavor.Family() {
		return usererr.New("the data directory \"%s\" is of %s, but the connected server is %s", r.opts.PGData, c.Family, r.flavor.Family())
	}
	r.control = c
	r.layout = pgdata.NewLayout(r.flavor.Family(), r.flavor.Major()).WithControl(c)
	r.layout.BackupLog = r.opts.BackupLog
	r.layout.ReplSlots = r.opts.BackupReplSlots
	r.layout.NonExclusive = r.backup.FromReplica
	r.rules = c.PageRules()
	r.backup.ServerVersion = r.layout.ServerVersion()
	return nil
}

func (r *run) checkChecksums(ctx context.Context) error {
	on, err := r.flavor.DataChecksums(ctx)
	if err != nil {
		return err
	}
	r.rules.Checksums = on
	r.backup.ChecksumVersion = 0
	if on {
		r.backup.ChecksumVersion = 1
	}
	r.emit(ChecksumState{Enabled: on})
	return nil
}

// checkIdentity compares the three places that know the system identifier.
func (r *run) checkIdentity(ctx context.Context) error {
	id, err := r.flavor.Identity(ctx)
	if err != nil {
		return err
	}
	connected := id.SystemID
	if connected == 0 {
		connected = r.control.SystemID // openGauss has no SQL for it
	}
	want := r.opts.SystemID
	if want == 0 {
		return usererr.New("the configuration of instance \"%s\" has no system-identifier", r.opts.Instance.Name())
	}
	if connected != want {
		return usererr.New("Backup data directory was initialized for system id %d, but connected instance system id is %d", want, connected)
	}
	if r.control.SystemID != want {
		return usererr.New("Backup data directory was initialized for system id %d, but target backup directory system id is %d", want, r.control.SystemID)
	}
	r.timeline = r.control.Timeline
	if id.Timeline != 0 {
		r.timeline = id.Timeline
	}
	return nil
}

// checkTexts refuses what the control file cannot hold, before there is one.
func (o *Options) checkTexts() error {
	b := catalog.NewBackup(0, o.Mode.Recorded())
	b.Note, b.ExternalDirs = o.Note, o.externalText()
	return catalog.WriteControl(io.Discard, b, time.UTC)
}

// note stores the note before the copy, so that a failed backup shows it, too.
func (r *run) note() error {
	if r.opts.NoNote {
		r.emit(NoteRemoved{ID: r.backup.ID})
	}
	if r.opts.Note == "" {
		return nil
	}
	r.backup.Note = r.opts.Note
	r.emit(NoteAdded{ID: r.backup.ID, Note: r.opts.Note})
	return r.saveControl()
}

// controlReader is the part of a host that readControl needs.
type controlReader interface {
	ReadFile(ctx context.Context, path string, max int64) ([]byte, error)
}

// readAttempts bounds re-reading of a pg_control caught half-written: the
// server replaces it in one write, but a reader may still see both halves.
const readAttempts = 10

func readControl(ctx context.Context, host controlReader, dir string) (*pgdata.Control, error) {
	_, c, err := readControlCopy(ctx, host, dir)
	return c, err
}

// readControlCopy returns the image of pg_control to be stored, and what it
// says.
func readControlCopy(ctx context.Context, host controlReader, dir string) ([]byte, *pgdata.Control, error) {
	name := path.Join(dir, pgdata.ControlPath)
	var err error
	for range readAttempts {
		var raw []byte
		raw, err = host.ReadFile(ctx, name, 1<<20)
		if err != nil {
			return nil, nil, usererr.Wrap(err, "Could not open file \"%s\" for reading: %s", name, usererr.SystemText(err))
		}
		var image []byte
		var c *pgdata.Control
		if image, c, err = pgdata.BackupCopy(raw); err == nil {
			return image, c, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	var u *usererr.Error
	if errors.As(err, &u) {
		return nil, nil, u
	}
	return nil, nil, fmt.Errorf("read control file %q: %w", name, err)
}
