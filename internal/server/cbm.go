package server

import (
	"context"
	"fmt"
	"strconv"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// OpenGauss is what only an openGauss server offers: changed block maps,
// logical slots and the role in a DSS cluster. A Flavor of that family
// implements it:
//
//	g, ok := conn.Flavor().(server.OpenGauss)
type OpenGauss interface {
	// CBMTrackedLocation is the LSN up to which WAL has been turned into
	// changed block maps, and the server's own text for it, which has to be
	// given back to CBMChangedBlocks. It fails when tracking never ran.
	CBMTrackedLocation(ctx context.Context) (wal.LSN, string, error)
	// CBMChangedBlocks calls f for every relation fork changed between start
	// and the location text end, in no order. f must not keep c.Blocks.
	CBMChangedBlocks(ctx context.Context, start wal.LSN, end string, f func(CBMChange) error) error
	// LogicalSlots lists the logical replication slots of subscriptions
	// (--backup-pg-replslot).
	LogicalSlots(ctx context.Context) ([]LogicalSlot, error)
	// LocalRole is the role in a DSS cluster, such as "Primary".
	LocalRole(ctx context.Context) (string, error)
}

var _ OpenGauss = (*openGauss)(nil)

// CBMChange is one row of pg_cbm_get_changed_block (spec/server.md §2.3).
type CBMChange struct {
	Path string
	// Count is the number of blocks in Blocks; 0 for dropped, created and
	// truncated relations.
	Count uint64
	// Blocks are decimal block numbers of the whole relation, separated by
	// ", ". Empty when Count is 0.
	Blocks []byte
}

// LogicalSlot is a logical slot and the oldest WAL it needs.
type LogicalSlot struct {
	Name       string
	RestartLSN wal.LSN // 0 when the slot reserves nothing
}

const (
	sqlCBMTracked = "SELECT pg_cbm_tracked_location()"
	sqlCBMChanged = "SELECT path,changed_block_number,changed_block_list FROM pg_cbm_get_changed_block($1, $2)"
	// The missing blank before WHERE is C's.
	sqlLogicalSlots = "SELECT slot_name, restart_lsn FROM pg_catalog.pg_get_replication_slots()" +
		"WHERE slot_type = 'logical' AND plugin = 'pgoutput'"
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

func (g *openGauss) CBMChangedBlocks(ctx context.Context, start wal.LSN, end string, f func(CBMChange) error) error {
	var fErr error
	err := g.c.Each(ctx, sqlCBMChanged, []string{start.String(), end}, func(row [][]byte) error {
		fErr = cbmRow(row, f)
		return fErr
	})
	if err == nil || fErr != nil || ctx.Err() != nil {
		return err
	}
	return usererr.Wrap(err, "query failed: %s query was: %s\nPlease check the replication slots, if it has slots useless,delete it and try again.",
		serverText(err), sqlCBMChanged)
}

func cbmRow(row [][]byte, f func(CBMChange) error) error {
	if len(row) != 3 {
		return fmt.Errorf("read changed blocks: %d columns, want 3", len(row))
	}
	ch := CBMChange{Path: string(row[0]), Blocks: row[2]}
	var err error
	if ch.Count, err = strconv.ParseUint(string(row[1]), 10, 64); err != nil {
		return fmt.Errorf("read changed blocks of %q: %w", ch.Path, err)
	}
	return f(ch)
}

func (g *openGauss) LogicalSlots(ctx context.Context) ([]LogicalSlot, error) {
	rows, err := g.c.Query(ctx, sqlLogicalSlots)
	if err != nil {
		return nil, err
	}
	var slots []LogicalSlot
	for _, r := range rows {
		if len(r) != 2 {
			return nil, fmt.Errorf("read replication slots: %d columns, want 2", len(r))
		}
		s := LogicalSlot{Name: string(r[0])}
		if len(r[1]) > 0 {
			if s.RestartLSN, err = wal.ParseLSN(string(r[1])); err != nil {
				return nil, fmt.Errorf("read replication slot %q: %w", s.Name, err)
			}
		}
		slots = append(slots, s)
	}
	return slots, nil
}

func (g *openGauss) LocalRole(ctx context.Context) (string, error) {
	return one(g.c.Query(ctx, sqlLocalRole))
}
