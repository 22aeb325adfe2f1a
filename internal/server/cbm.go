package server

import (
	"context"
	"fmt"
	"strconv"

	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// OpenGauss is what only an openGauss server offers: changed block maps and
// the role in a DSS cluster. A Flavor of that family
// implements it:
//
//	g, ok := conn.Flavor().(server.OpenGauss)
type OpenGauss interface {
	// CBM is the changed block tracking. CBMTrackedLocation fails when it
	// never ran; its text has to be given back to CBMChangedBlocks, whose
	// rows come in no order and are streamed.
	ptrack.CBM
	// IdleSlots are the names of replication slots that nobody uses. They keep
	// WAL, and with it changed block maps, from going and from growing.
	IdleSlots(ctx context.Context) ([]string, error)
	// NodeName is the server's own name, which its tablespace directories
	// end in.
	NodeName(ctx context.Context) (string, error)
	// LocalRole is the role in a DSS cluster, such as "Primary".
	LocalRole(ctx context.Context) (string, error)
	// LeftBehind tells what a lost session may have left; EndLeftBehind ends
	// it on another connection.
	LeftBehind() *LeftBehind
	EndLeftBehind(ctx context.Context) error
}

var _ OpenGauss = (*openGauss)(nil)

const (
	sqlCBMTracked = "SELECT pg_cbm_tracked_location()"
	// C asks for the first three columns only and so misses truncations.
	sqlCBMChanged = "SELECT path,changed_block_number,changed_block_list,rel_dropped,rel_created,rel_truncated,truncate_blocknum" +
		" FROM pg_cbm_get_changed_block($1, $2)"
	sqlIdleSlots = "SELECT slot_name FROM pg_catalog.pg_get_replication_slots() WHERE NOT active ORDER BY 1"
	sqlLocalRole = "select local_role from pg_stat_get_stream_replications();"
)

func (g *openGauss) CBMTrackedLocation(ctx context.Context) (wal.LSN, string, error) {
	text, err := one(g.c.Query(ctx, sqlCBMTracked))
	if err != nil {
		return 0, "", err
	}
	if text == "" {
		return 0, "", usererr.New("cannot get cbm tracked lsn location, maybe enable_cbm_tracking is off").
			WithHint("set enable_cbm_tracking = on in postgresql.conf, reload, and take a FULL backup")
	}
	lsn, err := wal.ParseLSN(text)
	if err != nil {
		return 0, "", err
	}
	return lsn, text, nil
}

func (g *openGauss) CBMChangedBlocks(ctx context.Context, start wal.LSN, end string, f func(ptrack.CBMRow) error) error {
	var fErr error
	err := g.c.Each(ctx, sqlCBMChanged, []string{start.String(), end}, func(row [][]byte) error {
		fErr = cbmRow(row, f)
		return fErr
	})
	if err == nil || fErr != nil || ctx.Err() != nil {
		return err
	}
	return usererr.Wrap(err, "query failed: %s query was: %s\nPlease check the replication slots, if it has slots useless,delete it and try again.",
		serverText(err), sqlCBMChanged).
		WithHint("where the map does not reach back to the parent backup, only a FULL backup helps")
}

// cbmRow decodes a row of pg_cbm_get_changed_block (spec/server.md §2.3).
func cbmRow(row [][]byte, f func(ptrack.CBMRow) error) error {
	if len(row) != 7 {
		return fmt.Errorf("read changed blocks: %d columns, want 7", len(row))
	}
	r := ptrack.CBMRow{
		Path: string(row[0]), Blocks: row[2],
		Dropped: isTrue(row[3]), Created: isTrue(row[4]), Truncated: isTrue(row[5]),
	}
	var err error
	if r.Count, err = strconv.ParseUint(string(row[1]), 10, 64); err != nil {
		return fmt.Errorf("read changed blocks of %q: %w", r.Path, err)
	}
	if r.Truncated {
		length, err := strconv.ParseUint(string(row[6]), 10, 32)
		if err != nil {
			return fmt.Errorf("read truncation of %q: %w", r.Path, err)
		}
		r.TruncateBlock = uint32(length)
	}
	return f(r)
}

func (g *openGauss) IdleSlots(ctx context.Context) ([]string, error) {
	rows, err := g.c.Query(ctx, sqlIdleSlots)
	var names []string
	for _, r := range rows {
		if len(r) == 1 {
			names = append(names, string(r[0]))
		}
	}
	return names, err
}

func (g *openGauss) NodeName(ctx context.Context) (string, error) {
	return one(g.c.Query(ctx, "show pgxc_node_name"))
}

func (g *openGauss) LocalRole(ctx context.Context) (string, error) {
	return one(g.c.Query(ctx, sqlLocalRole))
}
