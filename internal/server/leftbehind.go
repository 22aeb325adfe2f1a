package server

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// LeftBehind is an exclusive backup mode of an openGauss server that a session
// which is gone may have left on (spec/server.md §2.2). A backup_label with
// Label in the data directory shows that it has.
//
// Over a tablespace_map that an older session left behind, pg_start_backup
// fails and yet turns backup mode on, without an owner. When the connection is
// lost before that is put right, the server stays in it for ever.
type LeftBehind struct {
	Label string
	// Owned says the session had entered backup mode as usual: then the server
	// leaves it when it notices the end of the session.
	Owned bool
}

const gaussStopAny = "SELECT pg_catalog.pg_stop_backup()"

// LeftBehind is nil unless the session has ended while it may have been in
// exclusive backup mode. AbortBackup decides that.
func (g *openGauss) LeftBehind() *LeftBehind { return g.left }

// EndLeftBehind ends the exclusive backup that runs, whoever began it.
func (g *openGauss) EndLeftBehind(ctx context.Context) error {
	err := g.c.Exec(ctx, gaussStopAny)
	if notInBackup(err) {
		return nil
	}
	return err
}

// leave records that the session is gone.
func (g *openGauss) leave() {
	if g.exclusive && g.state != noBackup {
		g.left = &LeftBehind{Label: g.label, Owned: g.state == inBackup}
	}
	g.state = noBackup
}

// stopOwnerless ends the backup mode that a start over a stale tablespace_map
// has turned on, and removes the map.
func (g *openGauss) stopOwnerless(ctx context.Context) error {
	if err := g.EndLeftBehind(ctx); err != nil {
		return err
	}
	g.state = noBackup
	return nil
}

// staleMap recognizes the hint of spec/server.md §2.2. A backup that really
// runs has another hint, so it cannot be hit.
func staleMap(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.Contains(pg.Hint, `remove file "tablespace_map" and try again`)
}

// notInBackup recognizes the answer to a stop that has nothing to end.
func notInBackup(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Message, "a backup is not in progress")
}
