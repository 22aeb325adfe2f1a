package opengaussd

import (
	"context"
	"fmt"
	"regexp"
	"strings"

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
}

var changedSelect = regexp.MustCompile(`^SELECT (\*|[a-z_, ]+) FROM pg_cbm_get_changed_block\(\$1, \$2\)$`)

// changedRule answers any selection of the function's columns. C asks for
// path, number and list, the recordings have all.
func changedRule(sql string) *rule {
	m := changedSelect.FindStringSubmatch(sql)
	if m == nil {
		return nil
	}
	r := rule{source: "server.md §2.3; 11_wire #113–#125; golden 12_server_sql [013]–[015]"}
	var picked []int
	for i, c := range cbmColumns {
		if m[1] == "*" {
			r.columns, picked = append(r.columns, c), append(picked, i)
		}
	}
	for name := range strings.SplitSeq(m[1], ",") {
		for i, c := range cbmColumns {
			if strings.TrimSpace(name) == c.name {
				r.columns, picked = append(r.columns, c), append(picked, i)
			}
		}
	}
	if m[1] != "*" && len(picked) != strings.Count(m[1], ",")+1 {
		return nil // an unknown column
	}
	r.run = func(_ context.Context, ses *session, args []string) ([][]string, error) {
		all, err := changedBlocks(ses, args)
		rows := make([][]string, len(all))
		for i, row := range all {
			for _, n := range picked {
				rows[i] = append(rows[i], row[n])
			}
		}
		return rows, err
	}
	return &r
}
