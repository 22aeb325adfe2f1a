package server

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"gsprobackup/internal/ptrack"
)

// A server prints booleans as 1 and 0 in a database of dolphin when
// PGAPPNAME has renamed the client (boolout of the plugin's bool.cpp).
func TestBooleans(t *testing.T) {
	t.Parallel()
	for _, yes := range []string{"t", "1"} {
		no := map[string]string{"t": "f", "1": "0"}[yes]
		f := newFake(t)
		f.query = func(sql string, _ []string) ([][]string, *pgproto3.ErrorResponse) {
			switch {
			case strings.Contains(sql, "pg_is_in_recovery"):
				return [][]string{{yes}}, nil
			case strings.Contains(sql, "pg_cbm_get_changed_block"):
				return [][]string{{"base/1/2", "0", "", no, yes, yes, "7"}, {"base/1/3", "1", "0", yes, no, no, ""}}, nil
			}
			return nil, nil
		}
		g := mustConnect(t, f.options()).Flavor()
		if in, err := g.IsInRecovery(t.Context()); err != nil || !in {
			t.Errorf("%s: in recovery: %v, %v", yes, in, err)
		}
		var rows []ptrack.CBMRow
		err := g.(OpenGauss).CBMChangedBlocks(t.Context(), 1, "0/2", func(r ptrack.CBMRow) error {
			rows = append(rows, r)
			return nil
		})
		if err != nil || len(rows) != 2 || rows[0].Dropped || !rows[0].Created || rows[0].TruncateBlock != 7 || !rows[1].Dropped || rows[1].Truncated {
			t.Errorf("%s: %+v, %v", yes, rows, err)
		}
	}
}
