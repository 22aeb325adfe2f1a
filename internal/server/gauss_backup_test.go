package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"gsprobackup/internal/ptrack"
)

// TestGaussStatements compares with the statements of a recorded C backup
// (golden 11_wire/b_full_stream_main_01), without those of libpq itself.
func TestGaussStatements(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.query = gaussAnswers
	c := mustConnect(t, f.options())
	ctx, g := t.Context(), c.Flavor()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	size, err := g.BlockSize(ctx)
	must(err)
	walSize, err := g.WALBlockSize(ctx)
	must(err)
	recovery, err := g.IsInRecovery(ctx)
	must(err)
	must(g.Prepare(ctx))
	role, err := g.(OpenGauss).LocalRole(ctx)
	must(err)
	start, err := g.StartBackup(ctx, StartOptions{Label: "2026-11-22 08:48:45+00 with pg_probackup", Fast: true})
	must(err)
	timeout, err := g.CheckpointTimeout(ctx)
	must(err)
	dbs, err := g.Databases(ctx)
	must(err)
	must(g.CreateRestorePoint(ctx, "pg_probackup, backup_id TOWB59"))
	stop, err := g.StopBackup(ctx)
	must(err)
	must(g.AbortBackup(ctx)) // nothing left to do

	if size != 8192 || walSize != 8192 || recovery || role != "Primary" || timeout != 15*time.Minute {
		t.Errorf("%d %d %v %q %v", size, walSize, recovery, role, timeout)
	}
	if len(dbs) != 2 || dbs[1] != (Database{OID: 16384, Name: "testdb"}) {
		t.Errorf("databases %v", dbs)
	}
	if start != 0x4B000028 || stop.LSN != 0x4B0001E8 || stop.XID != 15021 || !stop.Exclusive ||
		!stop.Time.Equal(time.Date(2026, 11, 22, 8, 48, 46, 0, time.UTC)) {
		t.Errorf("start %v, stop %+v", start, stop)
	}
	want := []string{
		"select version()",
		"SELECT pg_catalog.current_setting($1)",
		"SELECT pg_catalog.current_setting($1)",
		"SELECT pg_catalog.pg_is_in_recovery()",
		"SET session_timeout = 0;",
		"select local_role from pg_stat_get_stream_replications();",
		"SELECT pg_catalog.pg_start_backup($1, $2)",
		"show checkpoint_timeout",
		"SELECT oid, datname FROM pg_catalog.pg_database WHERE datname NOT IN ('template1', 'template0')",
		"SET client_min_messages = warning;",
		"SET datestyle = 'ISO, DMY';",
		"SELECT pg_catalog.pg_create_restore_point($1)",
		"SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()), current_timestamp(0)::timestamptz, pg_catalog.pg_stop_backup() as lsn",
	}
	if got := f.statements(); !slices.Equal(got, want) {
		t.Errorf("statements:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func gaussAnswers(sql string, args []string) ([][]string, *pgproto3.ErrorResponse) {
	switch {
	case strings.Contains(sql, "current_setting"):
		return [][]string{{"8192"}}, nil
	case strings.Contains(sql, "pg_is_in_recovery"):
		return [][]string{{"f"}}, nil
	case strings.Contains(sql, "local_role"):
		return [][]string{{"Primary"}}, nil
	case strings.Contains(sql, "labelfile"):
		return [][]string{{"15021", "2026-11-22 08:48:46+05:30", "0/4B0001E8", "START WAL LOCATION: x\n", ""}}, nil
	case strings.Contains(sql, "txid_snapshot_xmax"):
		return [][]string{{"15021", "2026-11-22 08:48:46+00", "0/4B0001E8"}}, nil
	case strings.Contains(sql, "pg_start_backup"):
		return [][]string{{"0/4B000028"}}, nil
	case strings.Contains(sql, "checkpoint_timeout"):
		return [][]string{{"15min"}}, nil
	case strings.Contains(sql, "pg_database"):
		return [][]string{{"15635", "postgres"}, {"16384", "testdb"}}, nil
	}
	return nil, nil
}

func TestGaussStandbyBackup(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.query = gaussAnswers
	c := mustConnect(t, f.options())
	if _, err := c.Flavor().StartBackup(t.Context(), StartOptions{Label: "l", InRecovery: true}); err != nil {
		t.Fatal(err)
	}
	stop, err := c.Flavor().StopBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stop.Exclusive || string(stop.Label) != "START WAL LOCATION: x\n" || stop.Time.UTC().Hour() != 3 {
		t.Errorf("stop %+v", stop)
	}
	got := f.statements()
	want := []string{
		"select version()", "SELECT pg_catalog.pg_start_backup($1, $2, false)",
		"SET client_min_messages = warning;", "SET datestyle = 'ISO, DMY';",
		"SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()), current_timestamp(0)::timestamptz, lsn, labelfile, spcmapfile FROM pg_catalog.pg_stop_backup(false)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("statements %q", got)
	}
}

// TestGaussStartErrors: a stale tablespace_map is cleared once; a backup of
// somebody else is never touched.
func TestGaussStartErrors(t *testing.T) {
	stale := &pgproto3.ErrorResponse{
		Severity: "ERROR", Code: "55000", Message: "a backup is already in progress",
		Hint: `If you're sure there is no backup in progress, remove file "tablespace_map" and try again.`,
	}
	running := &pgproto3.ErrorResponse{
		Severity: "ERROR", Code: "55000", Message: "a backup is already in progress",
		Hint: "Run pg_stop_backup() and try again.", Where: "referenced column: pg_start_backup",
	}
	cases := []struct {
		name     string
		failures []*pgproto3.ErrorResponse
		want     string // error text
		stops    int
	}{
		{"stale", []*pgproto3.ErrorResponse{stale}, "", 1},
		{"stale twice", []*pgproto3.ErrorResponse{stale, stale}, "query failed: ERROR:  a backup is already in progress\n" +
			"HINT:  If you're sure there is no backup in progress, remove file \"tablespace_map\" and try again.\n" +
			"query was: SELECT pg_catalog.pg_start_backup($1, $2)", 2},
		{"running", []*pgproto3.ErrorResponse{running}, "query failed: ERROR:  a backup is already in progress\n" +
			"HINT:  Run pg_stop_backup() and try again.\nCONTEXT:  referenced column: pg_start_backup\n" +
			"query was: SELECT pg_catalog.pg_start_backup($1, $2)", 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			failures := tc.failures
			f.query = func(sql string, args []string) ([][]string, *pgproto3.ErrorResponse) {
				if strings.Contains(sql, "pg_start_backup") && len(failures) > 0 {
					failure := failures[0]
					failures = failures[1:]
					return nil, failure
				}
				return gaussAnswers(sql, args)
			}
			o := f.options()
			rec := &recorder{}
			o.Events = rec
			c := mustConnect(t, o)
			_, err := c.Flavor().StartBackup(t.Context(), StartOptions{Label: "l", Fast: true})
			if tc.want != "" {
				wantText(t, err, tc.want)
			} else if err != nil {
				t.Fatal(err)
			}
			if has[StaleTablespaceMap](rec) != (tc.stops > 0) {
				t.Errorf("event StaleTablespaceMap: %v", !has[StaleTablespaceMap](rec))
			}
			if tc.want != "" { // the second refusal has turned backup mode on again
				if err := c.Flavor().AbortBackup(t.Context()); err != nil {
					t.Error(err)
				}
				if c.Flavor().InBackup() {
					t.Error("still in backup mode")
				}
			}
			stops := 0
			for _, sql := range f.statements() {
				if sql == "SELECT pg_catalog.pg_stop_backup()" {
					stops++
				}
			}
			if stops != tc.stops {
				t.Errorf("%d stops, want %d", stops, tc.stops)
			}
			if tc.want != "" && len(f.statements()) != 2+tc.stops+tc.stops/2 {
				t.Errorf("abort after a refused start: %q", f.statements())
			}
		})
	}
}

func TestGaussCutStart(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.query = func(sql string, args []string) ([][]string, *pgproto3.ErrorResponse) {
		if strings.Contains(sql, "pg_start_backup") {
			cancel()
			return nil, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014", Message: "canceling statement due to user request"}
		}
		return gaussAnswers(sql, args)
	}
	c := mustConnect(t, f.options())
	if _, err := c.Flavor().StartBackup(ctx, StartOptions{Label: "l"}); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
	// the exclusive backup that may run could be somebody else's
	if err := c.Flavor().AbortBackup(t.Context()); err != nil {
		t.Error(err)
	}
	<-c.Done()
	for _, sql := range f.statements() {
		if strings.Contains(sql, "pg_stop_backup") {
			t.Errorf("abort sent %q", sql)
		}
	}
}

func TestGaussCBM(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tracked := "00000000/4B000028"
	f.query = func(sql string, args []string) ([][]string, *pgproto3.ErrorResponse) {
		switch sql {
		case "SELECT pg_cbm_tracked_location()":
			return [][]string{{tracked}}, nil
		case sqlCBMChanged:
			if !slices.Equal(args, []string{"0/4A000028", "00000000/4B000028"}) {
				return nil, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "22023", Message: "there is a gap"}
			}
			return [][]string{
				{"base/1/2", "3", "0, 5, 134999", "f", "f", "f", null},
				{"base/1/3", "0", null, "t", "f", "f", null},
				{"base/1/4", "0", null, "f", "t", "t", "17"},
			}, nil
		case "SELECT slot_name, restart_lsn FROM pg_catalog.pg_get_replication_slots()WHERE slot_type = 'logical' AND plugin = 'pgoutput'":
			return [][]string{{"s1", "0/100"}, {"s2", null}}, nil
		}
		return nil, nil
	}
	c := mustConnect(t, f.options())
	g := c.Flavor().(OpenGauss)
	lsn, text, err := g.CBMTrackedLocation(t.Context())
	if err != nil || lsn != 0x4B000028 {
		t.Fatalf("tracked %v, %v", lsn, err)
	}
	var got []string
	collect := func(r ptrack.CBMRow) error {
		got = append(got, fmt.Sprintf("%s %d %q dropped %v created %v truncated %v %d", r.Path, r.Count, r.Blocks, r.Dropped, r.Created, r.Truncated, r.TruncateBlock))
		return nil
	}
	if err := g.CBMChangedBlocks(t.Context(), 0x4A000028, text, collect); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`base/1/2 3 "0, 5, 134999" dropped false created false truncated false 0`,
		`base/1/3 0 "" dropped true created false truncated false 0`,
		`base/1/4 0 "" dropped false created true truncated true 17`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q", got)
	}
	wantText(t, g.CBMChangedBlocks(t.Context(), 1, text, collect), "query failed: ERROR:  there is a gap\n"+
		" query was: "+sqlCBMChanged+"\n"+
		"Please check the replication slots, if it has slots useless,delete it and try again.")
	stop := errors.New("stop")
	if err := g.CBMChangedBlocks(t.Context(), 0x4A000028, text, func(ptrack.CBMRow) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("callback's error: %v", err)
	}
	slots, err := c.Flavor().LogicalSlots(t.Context())
	if err != nil || !slices.Equal(slots, []LogicalSlot{{"s1", 0x100}, {"s2", 0}}) {
		t.Errorf("slots %v, %v", slots, err)
	}
	tracked = null
	_, _, err = g.CBMTrackedLocation(t.Context())
	wantText(t, err, "cannot get cbm tracked lsn location, maybe enable_cbm_tracking is off")
}

// Where nodes share a tablespace, the server tells which directory is its own.
func TestNodeName(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.query = func(sql string, args []string) ([][]string, *pgproto3.ErrorResponse) {
		if sql == "show pgxc_node_name" {
			return [][]string{{"og1"}}, nil
		}
		return gaussAnswers(sql, args)
	}
	c := mustConnect(t, f.options())
	if name, err := c.Flavor().(OpenGauss).NodeName(t.Context()); err != nil || name != "og1" {
		t.Errorf("node name %q, %v", name, err)
	}
}
