package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
)

// leftBehindTime is how long the server may take to be asked again after the
// connection was lost.
const leftBehindTime = 20 * time.Second

// endLeftBehind ends the exclusive backup mode that our lost session has left
// on. What runs is known by the label in backup_label: a backup of somebody
// else is not touched.
func (r *run) endLeftBehind(ctx context.Context, left *server.LeftBehind, announce func()) error {
	ctx, cancel := context.WithTimeout(ctx, leftBehindTime)
	defer cancel()
	on, err := r.labelled(ctx, left.Label)
	if err == nil && on {
		announce()
		if err = r.stopAnew(ctx); err != nil {
			// The server may have ended it meanwhile.
			still, lerr := r.labelled(ctx, left.Label)
			if lerr == nil && !still {
				err = nil
			}
		}
	}
	if err == nil || left.Owned { // that ends by itself with the session
		return nil
	}
	return usererr.Wrap(err, "the server may still be in backup mode, which could not be ended: %s", err).
		WithHint("if backup_label in the data directory has the label \"%s\", end backup mode with SELECT pg_stop_backup() on the server", left.Label)
}

// stopAnew ends the backup over a connection of its own.
func (r *run) stopAnew(ctx context.Context) error {
	conn, err := r.conn.Again(ctx)
	if err != nil {
		return err
	}
	og, ok := conn.Flavor().(server.OpenGauss)
	if !ok {
		err = errors.New("another server answers")
	} else {
		err = og.EndLeftBehind(ctx)
	}
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// labelled tells whether backup_label in the data directory has this label.
func (r *run) labelled(ctx context.Context, label string) (bool, error) {
	raw, err := r.deps.Host.ReadFile(ctx, path.Join(r.opts.PGData, pgdata.BackupLabelName), 1<<20)
	if errors.Is(err, remote.ErrVanished) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read backup_label: %w", err)
	}
	l, err := pgdata.ParseBackupLabel(raw)
	if err != nil {
		return false, err
	}
	return l.Label == label, nil
}
