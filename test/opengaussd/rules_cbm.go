package opengaussd

import (
	"context"
	"fmt"

	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogdata"
)

// The columns of pg_cbm_get_changed_block (server.md §2.3).
var cbmColumns = []column{
	text("merged_start_lsn"), text("merged_end_lsn"), ofType("tablespace_oid", 26, 4), ofType("database_oid", 26, 4),
	ofType("relfilenode", 26, 4), ofType("fork_number", 23, 4), text("path"), ofType("rel_dropped", 16, 1),
	ofType("rel_created", 16, 1), ofType("rel_truncated", 16, 1), ofType("truncate_blocknum", 26, 4),
	ofType("changed_block_number", 26, 4), text("changed_block_list"),
}

func location(l wal.LSN) string { return fmt.Sprintf("%08X/%08X", uint32(l>>32), uint32(l)) }

// cbmRow is one row as the server prints it (golden 12_server_sql [014]).
func cbmRow(r ogdata.ChangedRow) []string {
	flag := map[bool]string{false: "f", true: "t"}
	cut, list := null, null
	if r.Truncated {
		cut = fmt.Sprint(r.TruncatedTo)
	}
	if l, ok := r.BlockList(); ok {
		list = l
	}
	return []string{
		location(r.MergedStart), location(r.MergedEnd), fmt.Sprint(r.Tablespace), fmt.Sprint(r.Database), fmt.Sprint(r.Rel),
		fmt.Sprint(r.Fork), r.Path, flag[r.Dropped], flag[r.Created], flag[r.Truncated], cut, fmt.Sprint(len(r.Blocks)), list,
	}
}

func changedBlocks(ses *session, args []string) ([][]string, error) {
	const function = "pg_cbm_get_changed_block"
	var lsns [2]wal.LSN
	for i := range lsns {
		if len(args) != 2 {
			return nil, &Error{State: "08P01", Message: "bind message supplies the wrong number of parameters"}
		}
		lsn, err := wal.ParseLSN(args[i])
		if err != nil {
			return nil, inColumn(&Error{State: "22P02", Message: fmt.Sprintf("invalid input syntax for transaction log location: %q", args[i])}, function)
		}
		lsns[i] = lsn
	}
	changes, err := ses.srv.cfg.Cluster.ChangedBlocks(lsns[0], lsns[1])
	if err != nil {
		return nil, inColumn(&Error{State: "XX000", Message: err.Error()}, function)
	}
	var rows [][]string
	for _, r := range changes {
		rows = append(rows, cbmRow(r))
	}
	return rows, nil
}

var cbmRules = []rule{
	{
		sql: "SELECT pg_cbm_tracked_location()", source: "server.md §2.3; 11_wire #108–#112; golden 12_server_sql [008]",
		columns: []column{text("pg_cbm_tracked_location")},
		run: func(_ context.Context, ses *session, _ []string) ([][]string, error) {
			lsn, ok := ses.srv.cfg.Cluster.Tracked()
			if !ok {
				return one(null), nil
			}
			return one(location(ses.srv.faults.tracked(lsn))), nil
		},
	},
	{
		sql:    "SELECT path,changed_block_number,changed_block_list FROM pg_cbm_get_changed_block($1, $2)",
		source: "server.md §2.3; 11_wire #113–#125; golden 12_server_sql [013], [015]", columns: []column{cbmColumns[6], cbmColumns[11], cbmColumns[12]},
		run: func(_ context.Context, ses *session, args []string) ([][]string, error) {
			rows, err := changedBlocks(ses, args)
			for i, r := range rows {
				rows[i] = []string{r[6], r[11], r[12]}
			}
			return rows, err
		},
	},
	{
		// Not C's: our own tool also looks at truncations.
		sql:    "SELECT path,changed_block_number,changed_block_list,rel_dropped,rel_created,rel_truncated,truncate_blocknum FROM pg_cbm_get_changed_block($1, $2)",
		source: "server.md §2.3", columns: []column{cbmColumns[6], cbmColumns[11], cbmColumns[12], cbmColumns[7], cbmColumns[8], cbmColumns[9], cbmColumns[10]},
		run: func(_ context.Context, ses *session, args []string) ([][]string, error) {
			rows, err := changedBlocks(ses, args)
			for i, r := range rows {
				rows[i] = []string{r[6], r[11], r[12], r[7], r[8], r[9], r[10]}
			}
			return rows, err
		},
	},
	{
		sql: "SELECT * FROM pg_cbm_get_changed_block($1, $2)", source: "server.md §2.3; golden 12_server_sql [013]–[015]", columns: cbmColumns,
		run: func(_ context.Context, ses *session, args []string) ([][]string, error) {
			return changedBlocks(ses, args)
		},
	},
}
