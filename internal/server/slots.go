package server

import (
	"context"
	"fmt"

	"gsprobackup/internal/wal"
)

// LogicalSlot is a logical slot and the oldest WAL it needs.
type LogicalSlot struct {
	Name       string
	RestartLSN wal.LSN // 0 when the slot reserves nothing
}

// The missing blank before WHERE is C's.
const sqlLogicalSlots = "SELECT slot_name, restart_lsn FROM pg_catalog.pg_get_replication_slots()" +
	"WHERE slot_type = 'logical' AND plugin = 'pgoutput'"

func logicalSlots(ctx context.Context, c *Conn) ([]LogicalSlot, error) {
	rows, err := c.Query(ctx, sqlLogicalSlots)
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
