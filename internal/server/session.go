package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// Statements that both families understand (spec/server.md §2.1).
const (
	sqlVersion     = "select version()"
	sqlSetting     = "SELECT pg_catalog.current_setting($1)"
	sqlInRecovery  = "SELECT pg_catalog.pg_is_in_recovery()"
	sqlTablespaces = "SELECT pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace;"
	sqlDatabases   = "SELECT oid, datname FROM pg_catalog.pg_database WHERE datname NOT IN ('template1', 'template0')"
	sqlCkptTimeout = "show checkpoint_timeout"
	sqlRestorePt   = "SELECT pg_catalog.pg_create_restore_point($1)"
	sqlQuietNotice = "SET client_min_messages = warning;"
	sqlDateStyle   = "SET datestyle = 'ISO, DMY';"
)

func inRecovery(ctx context.Context, c *Conn) (bool, error) {
	v, err := one(c.Query(ctx, sqlInRecovery))
	return isTrue([]byte(v)), err
}

// isTrue reads a boolean. In a database of MySQL's kind (dolphin), openGauss
// prints 1 and 0, unless the client calls itself gs_probackup; PGAPPNAME may
// have another name.
func isTrue(text []byte) bool { return string(text) == "t" || string(text) == "1" }

// sizeSetting reads a setting that is a size in bytes.
func sizeSetting(ctx context.Context, c *Conn, name string) (int, error) {
	v, err := one(c.Query(ctx, sqlSetting, name))
	if err != nil {
		return 0, err
	}
	n, err := parseSize(v)
	if err != nil {
		return 0, usererr.Wrap(err, "cannot get %s: %s", name, err)
	}
	return n, nil
}

func tablespaceLocations(ctx context.Context, c *Conn) ([]string, error) {
	rows, err := c.Query(ctx, sqlTablespaces)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, r := range rows {
		if len(r) == 1 && len(r[0]) > 0 { // pg_default and pg_global have none
			dirs = append(dirs, string(r[0]))
		}
	}
	return dirs, nil
}

func databases(ctx context.Context, c *Conn) ([]Database, error) {
	rows, err := c.Query(ctx, sqlDatabases)
	if err != nil {
		return nil, err
	}
	list := make([]Database, 0, len(rows))
	for _, r := range rows {
		if len(r) != 2 {
			return nil, fmt.Errorf("read list of databases: %d columns, want 2", len(r))
		}
		oid, err := strconv.ParseUint(string(r[0]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read list of databases: %w", err)
		}
		list = append(list, Database{OID: uint32(oid), Name: string(r[1])})
	}
	return list, nil
}

func checkpointTimeout(ctx context.Context, c *Conn) (time.Duration, error) {
	v, err := one(c.Query(ctx, sqlCkptTimeout))
	if err != nil {
		return 0, err
	}
	return parseInterval(v)
}

func queryLSN(ctx context.Context, c *Conn, sql string, args ...string) (wal.LSN, error) {
	v, err := one(c.Query(ctx, sql, args...))
	if err != nil {
		return 0, err
	}
	return wal.ParseLSN(v)
}

// afterCut is the backup state after a start or stop that failed with err: a
// statement that the server refused has changed nothing.
func (c *Conn) afterCut(before backupState, err error) backupState {
	const queryCanceled = "57014"
	if state := sqlState(err); state != "" && state != queryCanceled && c.Err() == nil {
		return before
	}
	return maybe
}

// parseStop reads the row of the stop query: xid, time, LSN and, for the
// non-exclusive form, label and tablespace map.
func parseStop(rows Rows, columns int) (*StopResult, error) {
	if len(rows) != 1 || len(rows[0]) != columns {
		return nil, fmt.Errorf("read result of pg_stop_backup: %d rows, want one of %d columns", len(rows), columns)
	}
	row := rows[0]
	var r StopResult
	var err error
	if r.XID, err = strconv.ParseUint(string(row[0]), 10, 64); err != nil {
		return nil, usererr.Wrap(err, "result of txid_snapshot_xmax() is invalid: %s", row[0])
	}
	if r.Time, err = parseTimestamp(string(row[1])); err != nil {
		return nil, usererr.Wrap(err, "result of current_timestamp is invalid: %s", row[1])
	}
	if r.LSN, err = wal.ParseLSN(string(row[2])); err != nil {
		return nil, fmt.Errorf("read result of pg_stop_backup: %w", err)
	}
	if columns == 5 {
		r.Label, r.TablespaceMap = row[3], row[4]
		if len(r.Label) == 0 {
			return nil, errors.New("read result of pg_stop_backup: no backup label")
		}
	}
	r.Exclusive = columns == 3
	return &r, nil
}

// parseTimestamp reads a timestamptz printed with DateStyle ISO. The offset
// has minutes and seconds only when they are not zero.
func parseTimestamp(s string) (time.Time, error) {
	var first error
	for _, layout := range []string{"2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07:00:00"} {
		t, err := time.Parse(layout, s)
		if err == nil {
			return t, nil
		}
		if first == nil {
			first = err
		}
	}
	return time.Time{}, first
}

// parseInterval reads a time setting as SHOW prints it: a number and a unit.
func parseInterval(s string) (time.Duration, error) {
	units := map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}
	n, unit, err := numberUnit(s)
	if err != nil {
		return 0, err
	}
	u, ok := units[unit]
	if !ok || int64(n) > int64(1<<62)/int64(u) {
		return 0, fmt.Errorf("read time %q: want a number of ms, s, min, h or d", s)
	}
	return time.Duration(n) * u, nil
}

// parseSize reads a size setting in bytes, with or without a unit.
func parseSize(s string) (int, error) {
	units := map[string]int{"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
	n, unit, err := numberUnit(s)
	if err != nil {
		return 0, err
	}
	u, ok := units[unit]
	if !ok || n > (1<<40)/u {
		return 0, fmt.Errorf("read size %q: want bytes, kB, MB or GB", s)
	}
	return n * u, nil
}

func numberUnit(s string) (int, string, error) {
	unit := strings.TrimLeft(s, "0123456789")
	n, err := strconv.Atoi(strings.TrimSuffix(s, unit))
	if err != nil {
		return 0, "", fmt.Errorf("read setting %q: %w", s, err)
	}
	return n, strings.TrimSpace(unit), nil
}
