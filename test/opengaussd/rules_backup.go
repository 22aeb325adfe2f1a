package opengaussd

import (
	"context"
	"fmt"
	"strings"

	"gsprobackup/internal/wal"
)

// inColumn adds the context the server gives to errors of a function in a
// select list (golden 12_server_sql, 11_wire b_noprivilege_main_01).
func inColumn(e *Error, function string) *Error {
	e.Context = "referenced column: " + function
	return e
}

// mayBackup: sysadmin or replication role (server.md §2.2, 11_wire
// b_noprivilege_main_01).
func (ses *session) mayBackup(function string) error {
	if ses.user.Sysadmin || ses.user.Replication {
		return nil
	}
	return inColumn(&Error{State: "42501", Message: "must be system admin or replication role to run a backup." +
		"If in operation mode, you can also be operator admin to run a backup."}, function)
}

func startRule(sql string, exclusive bool) rule {
	return rule{
		sql: sql, source: "server.md §2.1 #8, §2.2; 11_wire #86–#96; golden 12_server_sql [004], [007]",
		columns: []column{text("pg_start_backup")},
		run: func(ctx context.Context, ses *session, args []string) ([][]string, error) {
			if err := ses.mayBackup("pg_start_backup"); err != nil {
				return nil, err
			}
			if len(args) != 2 || args[1] != "true" && args[1] != "false" {
				return nil, inColumn(&Error{State: "22P02", Message: "invalid input syntax for type boolean"}, "pg_start_backup")
			}
			lsn, e := ses.srv.backup.start(ses, args[0], exclusive)
			if e != nil {
				return nil, inColumn(e, "pg_start_backup")
			}
			return one(lsn.String()), nil
		},
	}
}

// stamp is current_timestamp(0)::timestamptz with TimeZone UTC.
func (ses *session) stamp() string { return ses.now().UTC().Format("2006-01-02 15:04:05+00") }

func (ses *session) xmax() string { return fmt.Sprint(ses.srv.cfg.Cluster.NextXID()) }

// Columns of the stop query (11_wire #145).
var (
	colXmax  = ofType("txid_snapshot_xmax", 20, 8)
	colStamp = column{name: "timestamptz", oid: 1184, size: 8}
)

const stopHead = "SELECT txid_snapshot_xmax(txid_current_snapshot()), current_timestamp(0)::timestamptz, "

var backupRules = []rule{
	startRule("SELECT pg_start_backup($1, $2)", true),
	startRule("SELECT pg_start_backup($1, $2, false)", false),
	{
		sql: stopHead + "pg_stop_backup() as lsn", source: "server.md §2.2; 11_wire #144–#148",
		columns: []column{colXmax, colStamp, text("lsn")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			xmax, at := ses.xmax(), ses.stamp()
			lsn, err := ses.stopExclusive()
			return [][]string{{xmax, at, lsn.String()}}, err
		},
	},
	{
		sql:    stopHead + "lsn, labelfile, spcmapfile FROM pg_stop_backup(false)",
		source: "server.md §2.2; golden 12_server_sql [005], [007]", columns: []column{colXmax, colStamp, text("lsn"), text("labelfile"), text("spcmapfile")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			if err := ses.mayBackup("pg_stop_backup"); err != nil {
				return nil, err
			}
			lsn, b, e := ses.srv.backup.stopShared(ses)
			if e != nil {
				return nil, e
			}
			return [][]string{{ses.xmax(), ses.stamp(), lsn.String(), b.label, b.tablespaceMap}}, nil
		},
	},
	{
		sql: "SELECT pg_stop_backup()", source: "server.md §2.2; golden 12_server_sql [004]", columns: []column{text("pg_stop_backup")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			lsn, err := ses.stopExclusive()
			return one(lsn.String()), err
		},
	},
	{
		sql: "SELECT pg_create_restore_point($1)", source: "server.md §2.1 #18, §2.2; 11_wire #133–#143",
		columns: []column{text("pg_create_restore_point")},
		run: func(_ context.Context, ses *session, args []string) ([][]string, error) {
			switch {
			case !ses.user.Sysadmin:
				return nil, inColumn(&Error{State: "42501",
					Message: "Must be system admin or operator admin in operation mode to create a restore point."}, "pg_create_restore_point")
			case ses.srv.cfg.Standby:
				return nil, inColumn(&Error{State: "55000", Message: "recovery is in progress",
					Hint: "WAL control functions cannot be executed during recovery."}, "pg_create_restore_point")
			case len(args) != 1 || len(args[0]) >= 64:
				return nil, inColumn(&Error{State: "22023", Message: "value too long for restore point (maximum 63 characters)"}, "pg_create_restore_point")
			}
			lsn, err := ses.srv.cfg.Cluster.RestorePoint(args[0])
			return one(lsn.String()), err
		},
	},
	{
		sql: "SELECT pg_switch_xlog()", source: "golden 12_server_sql [011]; server.md §2.2", columns: []column{text("pg_switch_xlog")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			lsn, err := ses.srv.cfg.Cluster.SwitchWAL()
			return one(lsn.String()), err
		},
	},
}

func (ses *session) stopExclusive() (wal.LSN, error) {
	if err := ses.mayBackup("pg_stop_backup"); err != nil {
		return 0, err
	}
	lsn, e := ses.srv.backup.stopExclusive(ses)
	if e != nil {
		return 0, inColumn(e, "pg_stop_backup")
	}
	note := "WAL archiving is not enabled; you must ensure that all required WAL segments are copied through other means to complete the backup"
	if ses.srv.cfg.ArchiveMode {
		note = "pg_stop_backup complete, all required WAL segments have been archived"
	}
	return lsn, ses.notice(note)
}

// mapText is a tablespace_map (formats.md §8.2; golden 12_server_sql [007]).
func (s *Server) mapText() string {
	var b strings.Builder
	for _, ts := range s.cfg.Cluster.Tablespaces() {
		fmt.Fprintf(&b, "%d %s\n", ts.OID, ts.Target)
	}
	return b.String()
}
