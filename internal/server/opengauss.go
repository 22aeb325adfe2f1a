package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/wal"
)

// gaussServerVersion is what every openGauss release reports.
const gaussServerVersion = "9.2.4"

// openGauss sends the statements of spec/server.md §2, letter by letter.
type openGauss struct {
	c       *Conn
	version string
	state   backupState
	// exclusive says which form the running backup has.
	exclusive bool
	label     string      // of the backup started last
	left      *LeftBehind // set when the session ends in backup mode
	quiet     bool        // statements 16 and 17 have been sent
}

// The start and stop statements of both forms (spec/server.md §2.1 #8, §2.2).
const (
	gaussStartExclusive = "SELECT pg_catalog.pg_start_backup($1, $2)"
	gaussStartShared    = "SELECT pg_catalog.pg_start_backup($1, $2, false)"
	gaussStopExclusive  = "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())," +
		" current_timestamp(0)::timestamptz, pg_catalog.pg_stop_backup() as lsn"
	gaussStopShared = "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())," +
		" current_timestamp(0)::timestamptz, lsn, labelfile, spcmapfile FROM pg_catalog.pg_stop_backup(false)"
)

func (g *openGauss) Family() pgdata.Family { return pgdata.OpenGauss }
func (g *openGauss) Major() int            { return 9 }
func (g *openGauss) Version() string       { return g.version }

// Prepare keeps the server from ending the session while files are copied
// (statement 5).
func (g *openGauss) Prepare(ctx context.Context) error {
	return g.c.Exec(ctx, "SET session_timeout = 0;")
}

// CheckPrivileges checks nothing, as C: who may start a backup depends on the
// operation mode and on roles that releases name differently, and the start
// function says so itself before anything has happened.
func (g *openGauss) CheckPrivileges(context.Context, Needs) error { return nil }

func (g *openGauss) IsInRecovery(ctx context.Context) (bool, error) { return inRecovery(ctx, g.c) }

func (g *openGauss) BlockSize(ctx context.Context) (int, error) {
	return sizeSetting(ctx, g.c, "block_size")
}

func (g *openGauss) WALBlockSize(ctx context.Context) (int, error) {
	return sizeSetting(ctx, g.c, "wal_block_size")
}

func (g *openGauss) WALSegmentSize(ctx context.Context) (int, error) {
	return sizeSetting(ctx, g.c, "wal_segment_size")
}

// DataChecksums: openGauss has them always and no setting to ask for.
func (g *openGauss) DataChecksums(context.Context) (bool, error) { return true, nil }

// Identity: C reads pg_control (spec/server.md §2).
func (g *openGauss) Identity(context.Context) (Identity, error) { return Identity{}, nil }

func (g *openGauss) TablespaceLocations(ctx context.Context) ([]string, error) {
	return tablespaceLocations(ctx, g.c)
}

func (g *openGauss) Databases(ctx context.Context) ([]Database, error) { return databases(ctx, g.c) }

func (g *openGauss) CheckpointTimeout(ctx context.Context) (time.Duration, error) {
	return checkpointTimeout(ctx, g.c)
}

func (g *openGauss) LogicalSlots(ctx context.Context) ([]LogicalSlot, error) {
	return logicalSlots(ctx, g.c)
}

func (g *openGauss) StartBackup(ctx context.Context, o StartOptions) (wal.LSN, error) {
	if g.state != noBackup {
		return 0, errors.New("start backup: a backup runs already in this session")
	}
	g.exclusive, g.label, g.left = !o.InRecovery, o.Label, nil
	sql := gaussStartExclusive
	if o.InRecovery {
		sql = gaussStartShared
	}
	lsn, err := g.start(ctx, sql, o)
	if g.state != ownerless {
		return lsn, err
	}
	// The lost session's tablespace_map is left behind and this attempt has
	// turned backup mode on without an owner: one stop clears both.
	if err := g.stopOwnerless(ctx); err != nil {
		return 0, err
	}
	g.c.d.Events.Emit(StaleTablespaceMap{})
	return g.start(ctx, sql, o)
}

func (g *openGauss) start(ctx context.Context, sql string, o StartOptions) (wal.LSN, error) {
	lsn, err := queryLSN(ctx, g.c, sql, o.Label, fmt.Sprint(o.Fast))
	if err != nil {
		g.state = g.c.afterCut(noBackup, err)
		if g.exclusive && staleMap(err) {
			g.state = ownerless
		}
		return 0, err
	}
	g.state = inBackup
	return lsn, nil
}

// hush sends statements 16 and 17, which C sends once, after copying.
func (g *openGauss) hush(ctx context.Context) error {
	if g.quiet {
		return nil
	}
	for _, sql := range []string{sqlQuietNotice, sqlDateStyle} {
		if err := g.c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	g.quiet = true
	return nil
}

func (g *openGauss) CreateRestorePoint(ctx context.Context, name string) error {
	if err := g.hush(ctx); err != nil {
		return err
	}
	return g.c.Exec(ctx, sqlRestorePt, name)
}

func (g *openGauss) StopBackup(ctx context.Context) (*StopResult, error) {
	if g.state != inBackup {
		return nil, errors.New("stop backup: no backup runs in this session")
	}
	if err := g.hush(ctx); err != nil {
		return nil, err
	}
	sql, columns := gaussStopExclusive, 3
	if !g.exclusive {
		sql, columns = gaussStopShared, 5
	}
	rows, err := g.c.Query(ctx, sql)
	if err != nil {
		g.state = g.c.afterCut(inBackup, err)
		return nil, err
	}
	g.state = noBackup
	return parseStop(rows, columns)
}

func (g *openGauss) InBackup() bool { return g.state != noBackup }

func (g *openGauss) AbortBackup(ctx context.Context) error {
	var err error
	switch {
	case g.state == noBackup:
		return nil
	case g.c.Err() != nil: // nothing can be sent any more
	case g.state == maybe:
		// A stop sent now could hit an exclusive backup of somebody else; the
		// end of the session hits only our own.
		err = g.c.Close(ctx)
	case g.state == ownerless:
		err = g.stopOwnerless(ctx)
	default:
		_, err = g.StopBackup(ctx)
	}
	if g.c.Err() != nil {
		g.leave()
	}
	return err
}

func (g *openGauss) SwitchWAL(ctx context.Context) (wal.LSN, error) {
	return queryLSN(ctx, g.c, "SELECT pg_catalog.pg_switch_xlog()")
}

// ReplicationStartCommand has no TIMELINE clause: openGauss closes the
// connection upon one (spec/server.md §4.1).
func (g *openGauss) ReplicationStartCommand(slot string, start wal.LSN, _ wal.Timeline) string {
	return startReplication(slot, start)
}

func (g *openGauss) TempSlotCommand(string) (string, bool) { return "", false }
