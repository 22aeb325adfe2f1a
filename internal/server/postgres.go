package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// postgres is PostgreSQL 12 to 18 (spec/server.md §8): always a
// non-exclusive backup, on a primary or a standby.
type postgres struct {
	c       *Conn
	version string
	major   int
	state   backupState
}

// startStop names the functions that were renamed in version 15.
type startStop struct {
	start, startArgs, startSig string
	stop, stopArgs, stopSig    string
}

func (p *postgres) functions() startStop {
	if p.major >= 15 {
		return startStop{
			start: "pg_backup_start", startArgs: "$1, $2", startSig: "text, boolean",
			stop: "pg_backup_stop", stopArgs: "false", stopSig: "boolean",
		}
	}
	return startStop{
		start: "pg_start_backup", startArgs: "$1, $2, false", startSig: "text, boolean, boolean",
		stop: "pg_stop_backup", stopArgs: "false, false", stopSig: "boolean, boolean",
	}
}

// newPostgres makes the session safe before it asks anything: in a hot standby
// no query works at isolation level serializable, and a search_path may name
// public before pg_catalog.
func newPostgres(ctx context.Context, c *Conn) (*postgres, error) {
	if err := setAll(ctx, c, quietSettings); err != nil {
		return nil, err
	}
	version, err := one(c.Query(ctx, sqlVersion))
	if err != nil {
		return nil, err
	}
	num, err := one(c.Query(ctx, sqlSetting, "server_version_num"))
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(num)
	if err != nil {
		return nil, fmt.Errorf("read server version: %w", err)
	}
	p := &postgres{c: c, version: version, major: n / 10000}
	if p.major < minVersion || p.major > maxVersion {
		return nil, usererr.New("PostgreSQL %d is not supported", p.major).
			WithHint("supported are openGauss and PostgreSQL %d to %d", minVersion, maxVersion)
	}
	return p, p.quietTimeouts(ctx)
}

// quietSettings undo whatever role, database or PGOPTIONS settings could end a
// long statement or an idle session, hide functions behind other schemas, or
// change the form of results. The backup lives as long as this session.
//
// Nothing is to be converted: what is asked for are paths and names, bytes
// that stand for themselves whatever the database's encoding.
var quietSettings = [][2]string{
	{"search_path", "pg_catalog"},
	{"default_transaction_isolation", "read committed"},
	{"statement_timeout", "0"},
	{"lock_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"client_encoding", "SQL_ASCII"},
	{"client_min_messages", "warning"},
	{"datestyle", "ISO, DMY"},
	{"default_transaction_deferrable", "off"},
}

// quietTimeouts are those that only later releases know.
func (p *postgres) quietTimeouts(ctx context.Context) error {
	var settings [][2]string
	if p.major >= 14 {
		settings = append(settings, [2]string{"idle_session_timeout", "0"})
	}
	if p.major >= 17 {
		settings = append(settings, [2]string{"transaction_timeout", "0"})
	}
	return setAll(ctx, p.c, settings)
}

func setAll(ctx context.Context, c *Conn, settings [][2]string) error {
	for _, s := range settings {
		if err := c.Exec(ctx, fmt.Sprintf("SET %s = '%s'", s[0], s[1])); err != nil {
			return err
		}
	}
	return nil
}

func (p *postgres) Family() pgdata.Family { return pgdata.PostgreSQL }
func (p *postgres) Major() int            { return p.major }
func (p *postgres) Version() string       { return p.version }

// Prepare: done when connecting, since the other queries need it too.
func (p *postgres) Prepare(context.Context) error { return nil }

func (p *postgres) IsInRecovery(ctx context.Context) (bool, error) { return inRecovery(ctx, p.c) }

func (p *postgres) BlockSize(ctx context.Context) (int, error) {
	return sizeSetting(ctx, p.c, "block_size")
}

func (p *postgres) WALBlockSize(ctx context.Context) (int, error) {
	return sizeSetting(ctx, p.c, "wal_block_size")
}

func (p *postgres) WALSegmentSize(ctx context.Context) (int, error) {
	return sizeSetting(ctx, p.c, "wal_segment_size")
}

func (p *postgres) DataChecksums(ctx context.Context) (bool, error) {
	v, err := one(p.c.Query(ctx, sqlSetting, "data_checksums"))
	return v == "on", err
}

// sqlIdentity: pg_control's checkpoint knows the time line as of the last
// checkpoint or restart point, min_recovery_end_timeline what a standby has
// replayed since (0 on a primary). A primary that was just promoted has
// neither yet, but can name its current segment.
const sqlIdentity = `SELECT s.system_identifier,
 CASE WHEN pg_catalog.pg_is_in_recovery()
  THEN pg_catalog.to_hex(GREATEST(c.timeline_id, r.min_recovery_end_timeline))
  ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END
 FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r`

func (p *postgres) Identity(ctx context.Context) (Identity, error) {
	rows, err := p.c.Query(ctx, sqlIdentity)
	if err != nil {
		return Identity{}, err
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return Identity{}, fmt.Errorf("read system identifier: %d rows, want one of 2 columns", len(rows))
	}
	// bigint on the server: identifiers above 2^63 come out negative.
	id, err := strconv.ParseInt(string(rows[0][0]), 10, 64)
	if err != nil {
		return Identity{}, fmt.Errorf("read system identifier: %w", err)
	}
	tli, err := strconv.ParseUint(string(rows[0][1]), 16, 32)
	if err != nil {
		return Identity{}, fmt.Errorf("read time line: %w", err)
	}
	return Identity{SystemID: uint64(id), Timeline: wal.Timeline(tli)}, nil
}

func (p *postgres) TablespaceLocations(ctx context.Context) ([]string, error) {
	return tablespaceLocations(ctx, p.c)
}

func (p *postgres) Databases(ctx context.Context) ([]Database, error) { return databases(ctx, p.c) }

func (p *postgres) CheckpointTimeout(ctx context.Context) (time.Duration, error) {
	return checkpointTimeout(ctx, p.c)
}

func (p *postgres) LogicalSlots(ctx context.Context) ([]LogicalSlot, error) {
	return logicalSlots(ctx, p.c)
}

func (p *postgres) StartBackup(ctx context.Context, o StartOptions) (wal.LSN, error) {
	if p.state != noBackup {
		return 0, errors.New("start backup: a backup runs already in this session")
	}
	f := p.functions()
	lsn, err := queryLSN(ctx, p.c, fmt.Sprintf("SELECT pg_catalog.%s(%s)", f.start, f.startArgs), o.Label, fmt.Sprint(o.Fast))
	if err != nil {
		p.state = p.c.afterCut(noBackup, err)
		return 0, err
	}
	p.state = inBackup
	return lsn, nil
}

func (p *postgres) CreateRestorePoint(ctx context.Context, name string) error {
	return p.c.Exec(ctx, sqlRestorePt, name)
}

// StopBackup does not let the server wait for archiving: whoever needs the
// last segment waits for the file itself.
func (p *postgres) StopBackup(ctx context.Context) (*StopResult, error) {
	if p.state != inBackup {
		return nil, errors.New("stop backup: no backup runs in this session")
	}
	f := p.functions()
	rows, err := p.c.Query(ctx, fmt.Sprintf("SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()),"+
		" current_timestamp(0)::timestamptz, lsn, labelfile, spcmapfile FROM pg_catalog.%s(%s)", f.stop, f.stopArgs))
	if err != nil {
		p.state = p.c.afterCut(inBackup, err)
		return nil, err
	}
	p.state = noBackup
	return parseStop(rows, 5)
}

func (p *postgres) InBackup() bool { return p.state != noBackup }

func (p *postgres) AbortBackup(ctx context.Context) error {
	switch {
	case p.state == noBackup:
		return nil
	case p.c.Err() != nil: // the server has dropped it with the session
		p.state = noBackup
		return nil //nolint:nilerr // a lost session is what ends the backup
	case p.state == maybe:
		p.state = noBackup
		return p.c.Close(ctx)
	}
	_, err := p.StopBackup(ctx)
	return err
}

func (p *postgres) SwitchWAL(ctx context.Context) (wal.LSN, error) {
	return queryLSN(ctx, p.c, "SELECT pg_catalog.pg_switch_wal()")
}

func (p *postgres) ReplicationStartCommand(slot string, start wal.LSN, tli wal.Timeline) string {
	return fmt.Sprintf("%s TIMELINE %d", startReplication(slot, start), tli)
}

func (p *postgres) TempSlotCommand(slot string) (string, bool) {
	option := "RESERVE_WAL"
	if p.major >= 15 {
		option = "(RESERVE_WAL)"
	}
	return fmt.Sprintf("CREATE_REPLICATION_SLOT %s TEMPORARY PHYSICAL %s", quoteIdent(slot), option), true
}
