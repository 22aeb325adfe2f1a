package opengaussd

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// rule answers one statement.
type rule struct {
	sql     string // as normalize gives it; a final * stands for any rest
	source  string // where the answer is from
	columns []column
	tag     string // command tag; "" means SELECT and the number of rows
	run     func(ctx context.Context, ses *session, args []string) ([][]string, error)
}

// find picks the rule for a statement.
func (s *Server) find(sql string) *rule {
	sql = normalize(sql)
	for _, list := range [][]rule{settingRules, catalogRules, backupRules, cbmRules} {
		for i, r := range list {
			prefix, open := strings.CutSuffix(r.sql, "*")
			if sql == r.sql || open && strings.HasPrefix(sql, prefix) {
				return &list[i]
			}
		}
	}
	return changedRule(sql)
}

// normalize makes spellings equal that the server takes for equal: white
// space, a final semicolon and the schema pg_catalog.
func normalize(sql string) string {
	sql = strings.TrimRight(strings.Join(strings.Fields(sql), " "), "; ")
	return strings.ReplaceAll(sql, "pg_catalog.", "")
}

func one(v string) [][]string { return [][]string{{v}} }

// settings are what SHOW tells (golden 12_server_sql [001], 11_wire).
var settings = map[string]string{
	"block_size": "8192", "wal_block_size": "8192", "wal_segment_size": "16MB", "segment_size": "1GB",
	"server_version": "9.2.4", "server_version_num": "90204", "wal_level": "hot_standby", "enable_cbm_tracking": "on",
	"checkpoint_timeout": "15min", "server_encoding": "UTF8", "ssl": "off", "password_encryption_type": "2",
	"sql_compatibility": "A", "enable_incremental_checkpoint": "on", "enable_double_write": "on",
}

func (ses *session) setting(name string) (string, error) {
	for _, m := range []map[string]string{ses.settings, ses.srv.cfg.Settings, settings} {
		if v, ok := m[name]; ok {
			return v, nil
		}
	}
	if name == "archive_mode" {
		if ses.srv.cfg.ArchiveMode {
			return "on", nil
		}
		return "off", nil
	}
	// golden 12_server_sql [001], data_checksums
	return "", &Error{State: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
}

func show(name string) rule {
	return rule{
		sql: "show " + name, source: "golden 12_server_sql [001], 11_wire #97", tag: "SHOW", columns: []column{text(name)},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			v, err := ses.setting(name)
			return one(v), err
		},
	}
}

// set accepts a SET; the client is told where the recording has it.
func set(sql, name, value, reported string) rule {
	return rule{
		sql: sql, source: "server.md §2.1 #5, #16, #17; 11_wire #78, #126, #129", tag: "SET",
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			ses.settings[name] = value
			if reported == "" {
				return nil, nil
			}
			return nil, ses.w.send('S', cstring(reported), cstring(value))
		},
	}
}

var settingRules = []rule{
	{
		sql: "SELECT current_setting($1)", source: "server.md §2.1 #1, #2; 11_wire #47–#57", columns: []column{text("current_setting")},
		run: func(_ context.Context, ses *session, args []string) ([][]string, error) {
			if len(args) != 1 {
				return nil, &Error{State: "08P01", Message: "bind message supplies the wrong number of parameters"}
			}
			v, err := ses.setting(args[0])
			return one(v), err
		},
	},
	show("checkpoint_timeout"), show("sql_compatibility"), show("wal_segment_size"), show("enable_cbm_tracking"), show("archive_mode"),
	set("SET session_timeout = 0", "session_timeout", "0", ""),
	set("SET client_min_messages = warning", "client_min_messages", "warning", ""),
	set("SET datestyle = 'ISO, DMY'", "datestyle", "ISO, DMY", "DateStyle"),
	{
		sql: "SET connection_info = *", source: "11_wire #43–#46", tag: "SET",
		run: func(_ context.Context, ses *session, args []string) ([][]string, error) {
			_, v, _ := strings.Cut(ses.running, "'")
			return nil, ses.w.send('S', cstring("connection_info"), cstring(strings.TrimSuffix(v, "'")))
		},
	},
}

var catalogRules = []rule{
	{
		sql: "select version()", source: "golden 12_server_sql [001]", columns: []column{text("version")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			return one("(openGauss " + ses.srv.cfg.Version + " build 585be54d) compiled at 2026-11-22 08:11:59 commit 0 last mr 0 release"), nil
		},
	},
	{
		sql: "SELECT proname FROM pg_proc WHERE proname='pgpro_edition'", source: "server.md §2.1 #3; 11_wire #69–#72",
		columns: []column{{name: "proname", table: 1255, attr: 1, oid: 19, size: 64, mod: -1}},
		run:     func(context.Context, *session, []string) ([][]string, error) { return nil, nil },
	},
	{
		sql: "select name, setting from pg_settings where name in ('connection_info')", source: "server.md §1.1; 11_wire #38–#42",
		columns: []column{
			{name: "name", table: 12289, attr: 1, oid: 25, size: -1, mod: -1},
			{name: "setting", table: 12289, attr: 2, oid: 25, size: -1, mod: -1},
		},
		run: func(context.Context, *session, []string) ([][]string, error) {
			return [][]string{{"connection_info", ""}}, nil
		},
	},
	{
		sql: "SELECT pg_is_in_recovery()", source: "server.md §2.1 #4; 11_wire #73–#77",
		columns: []column{ofType("pg_is_in_recovery", 16, 1)},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			if ses.srv.cfg.Standby {
				return one("t"), nil
			}
			return one("f"), nil
		},
	},
	{
		sql: "select local_role from pg_stat_get_stream_replications()", source: "server.md §2.1 #7; 11_wire #81–#85",
		columns: []column{text("local_role")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			if ses.srv.cfg.Standby {
				return one("Standby"), nil
			}
			return one("Normal"), nil
		},
	},
	{
		sql: "SELECT pg_tablespace_location(oid) FROM pg_tablespace", source: "server.md §2.1 #6, §2.2; golden cluster_setup.txt",
		columns: []column{text("pg_tablespace_location")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			rows := [][]string{{""}, {""}} // pg_default, pg_global
			for _, ts := range ses.srv.cfg.Cluster.Tablespaces() {
				v := ts.Location
				if !ses.user.Sysadmin {
					v = null
				}
				rows = append(rows, []string{v})
			}
			return rows, nil
		},
	},
	{
		sql:    "SELECT oid, datname FROM pg_database WHERE datname NOT IN ('template1', 'template0')",
		source: "server.md §2.1 #13; 11_wire #102–#107",
		columns: []column{
			{name: "oid", table: 1262, attr: 0xFFFE, oid: 26, size: 4, mod: -1},
			{name: "datname", table: 1262, attr: 1, oid: 19, size: 64, mod: -1},
		},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			var rows [][]string
			for _, db := range ses.srv.cfg.Cluster.Databases() {
				rows = append(rows, []string{fmt.Sprint(db.OID), db.Name})
			}
			return rows, nil
		},
	},
	{
		sql:    "SELECT slot_name, restart_lsn FROM pg_get_replication_slots()WHERE slot_type = 'logical' AND plugin = 'pgoutput'",
		source: "server.md §2.1 #9", columns: []column{text("slot_name"), text("restart_lsn")},
		run: func(context.Context, *session, []string) ([][]string, error) { return nil, nil },
	},
	{
		sql:    "SELECT slot_name FROM pg_get_replication_slots() WHERE NOT active ORDER BY 1",
		source: "the function's columns in the server's pg_proc (1.1 to 7.0)", columns: []column{text("slot_name")},
		run: func(_ context.Context, ses *session, _ []string) (rows [][]string, err error) {
			for _, name := range slices.Sorted(slices.Values(ses.srv.cfg.Slots)) { // nobody streams meanwhile
				rows = append(rows, []string{name})
			}
			return rows, nil
		},
	},
}
