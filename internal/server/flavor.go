package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/wal"
)

// Flavor is the SQL a backup needs, in the dialect of one server family. A
// Flavor belongs to one Conn. Failing statements give *usererr.Error with C's
// text `query failed: …` and the *pgconn.PgError as cause.
type Flavor interface {
	Family() pgdata.Family
	// Major is 12 … 18 for PostgreSQL and 9 for openGauss, which calls itself
	// 9.2.4 in all releases.
	Major() int
	// Version is the text of version().
	Version() string

	// Prepare makes the settings of the session that a long backup needs.
	Prepare(ctx context.Context) error
	// CheckPrivileges fails, naming the GRANT that is missing, when the role
	// cannot finish the backup described by n. It changes nothing.
	CheckPrivileges(ctx context.Context, n Needs) error

	IsInRecovery(ctx context.Context) (bool, error)
	// Sizes are in bytes.
	BlockSize(ctx context.Context) (int, error)
	WALBlockSize(ctx context.Context) (int, error)
	WALSegmentSize(ctx context.Context) (int, error)
	DataChecksums(ctx context.Context) (bool, error)
	// Identity is the zero Identity when the family has no usable SQL for it:
	// then pg_control tells. On a standby the time line may lag behind; the
	// replication connection's IdentifySystem is right there.
	Identity(ctx context.Context) (Identity, error)
	// TablespaceLocations are the directories of user tablespaces.
	TablespaceLocations(ctx context.Context) ([]string, error)
	// Databases are all but template0 and template1, for database_map.
	Databases(ctx context.Context) ([]Database, error)
	CheckpointTimeout(ctx context.Context) (time.Duration, error)
	// LogicalSlots lists the logical replication slots of subscriptions
	// (--backup-pg-replslot).
	LogicalSlots(ctx context.Context) ([]LogicalSlot, error)

	// StartBackup enters backup mode. After an error the server is not in
	// backup mode on our behalf, unless ctx ended or the connection was lost:
	// then AbortBackup must be called, as after success.
	StartBackup(ctx context.Context, o StartOptions) (wal.LSN, error)
	// CreateRestorePoint is for a primary only.
	CreateRestorePoint(ctx context.Context, name string) error
	StopBackup(ctx context.Context) (*StopResult, error)
	// AbortBackup leaves backup mode when StopBackup has not done so. It does
	// nothing when no backup runs. When it is not known whether one runs it
	// closes the connection, upon which the server drops the session's backup.
	AbortBackup(ctx context.Context) error
	// InBackup tells whether AbortBackup has anything to do: not after a start
	// that the server refused.
	InBackup() bool
	// SwitchWAL ends the current WAL segment of a primary and returns the end
	// of the switch record.
	SwitchWAL(ctx context.Context) (wal.LSN, error)

	// ReplicationStartCommand is START_REPLICATION from start; slot "" is
	// without a slot.
	ReplicationStartCommand(slot string, start wal.LSN, tli wal.Timeline) string
	// TempSlotCommand creates a physical slot that lives as long as the
	// replication connection and keeps WAL from now on; ok is false when the
	// family has none (then --temp-slot has no effect, as in C).
	TempSlotCommand(slot string) (command string, ok bool)
}

// Needs describes the backup to be taken.
type Needs struct {
	Stream       bool // WAL is streamed, so the role must be allowed to
	RestorePoint bool // CreateRestorePoint will be called (primary)
}

// Identity names a cluster and its present time line.
type Identity struct {
	SystemID uint64
	Timeline wal.Timeline
}

// Database is a row of pg_database.
type Database struct {
	OID  uint32
	Name string
}

// StartOptions are the arguments of the start function.
type StartOptions struct {
	Label string
	// Fast asks for an immediate checkpoint; without it (-C) the checkpoint
	// may take as long as checkpoint_timeout.
	Fast bool
	// InRecovery is the answer of IsInRecovery: openGauss uses its exclusive
	// form on a primary.
	InRecovery bool
}

// StopResult is what the server tells at the end of a backup.
type StopResult struct {
	LSN  wal.LSN   // end of the backup; on a standby its minimum recovery point
	XID  uint64    // txid_snapshot_xmax: recovery_xid
	Time time.Time // server's clock, whole seconds: recovery_time if WAL has none

	// Exclusive: backup_label and tablespace_map are in the data directory;
	// else they are here and have to be written into the backup.
	Exclusive     bool
	Label         []byte
	TablespaceMap []byte // empty without user tablespaces
}

// backupState is what is known about backup mode of the session.
type backupState int

const (
	noBackup   backupState = iota
	inBackup               // entered, not left
	maybe                  // a start or stop was cut off
	ownerless              // on, but of no session: see LeftBehind
	maxVersion = 18
	minVersion = 12
)

// newFlavor asks the server who it is.
func newFlavor(ctx context.Context, c *Conn) (Flavor, error) {
	if c.d.familyKnown && c.d.family == pgdata.PostgreSQL {
		return newPostgres(ctx, c)
	}
	version, err := one(c.Query(ctx, sqlVersion))
	if err != nil {
		return nil, err
	}
	family := c.d.family
	if !c.d.familyKnown { // the 3.0 fall-back with a trusting server
		family = pgdata.OpenGauss
		if strings.HasPrefix(version, "PostgreSQL ") && c.pg.ParameterStatus("server_version") != gaussServerVersion {
			family = pgdata.PostgreSQL
		}
		c.d.familyKnown, c.d.family = true, family
	}
	if family == pgdata.OpenGauss {
		return &openGauss{c: c, version: version}, nil
	}
	return newPostgres(ctx, c)
}

// quoteIdent quotes a slot or role name.
func quoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func startReplication(slot string, start wal.LSN) string {
	if slot == "" {
		return fmt.Sprintf("START_REPLICATION %s", start)
	}
	return fmt.Sprintf("START_REPLICATION SLOT %s %s", quoteIdent(slot), start)
}
