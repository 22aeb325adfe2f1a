package main

import "regexp"

// cut describes one small catalog.
type cut struct {
	name     string // of the result, without .tar.zst
	archive  string // below the recordings
	from     string // the instance's directory in the archive
	instance string
	to       string // the catalog's directory in the result
	backups  []string
	keep     *regexp.Regexp // paths of files to keep; directories are all kept
}

// common is what a backup cannot do without, and small files of many kinds.
const common = `PG_VERSION|backup_label|tablespace_map|database_map|pg_ctl\.lock|pg_hba\.conf|postgresql\.conf|gaussdb\.state` +
	`|global/(pg_control(\.backup)?|pg_filenode\.map|14263|14265|14348|pg_remain_segs)` +
	`|base/16384/(PG_VERSION|pg_filenode\.map|14323_init)|pg_xlog/[0-9A-F]{24}|pg_logical/.*|pg_multixact/.*|pg_clog/.*|pg_audit/0_adt`

func pattern(more string) *regexp.Regexp {
	return regexp.MustCompile(`^(` + common + `|` + more + `)$`)
}

var cuts = []cut{
	{
		name: "mixed", archive: "02c_chain_no_rowcompress_merge/catalogs_before_and_after_merge.tar.zst",
		from: "bc_before/backups/n1", instance: "n1", to: "home/omm/be", backups: []string{"TOWAGE", "TOWAGJ", "TOWAGN", "TOWAGR"},
		// Catalog tables that change in every backup, an index, relations
		// that come later, an unlogged one, forks; the map of changed blocks.
		keep: pattern(`base/16384/(144(8[1-6]|9[1-6])|14659|14256|14517|14606|16394|16504(_init)?|165(67|7[0-9])(_.*)?|16387_(vm|fsm))|pg_cbm/.*`),
	},
	{
		name: "zlib", archive: "02b_backups_compressed/catalog_zlib_chain.tar.zst",
		from: "backups_z/backups/n1", instance: "n1", to: "home/omm/backups_z", backups: []string{"TOWA57", "TOWA5D", "TOWA5I"},
		// External files, row-compressed, column store, ustore index, index,
		// segment-page file, relative tablespace, undo, CBM.
		keep: pattern(`newfile|link|random\.bin|empty\.txt|sub/.*|base/16384/(1|16450_(compress|vm|fsm)|16463_C1\.0|16485|16394|14481)` +
			`|pg_location/.*/(16498|16493_vm)|undo/permanent/.*meta.*|pg_cbm/.*`),
	},
	{
		name: "ptrack", archive: "02_backups/catalog.tar.zst",
		from: "backups/backups/n1", instance: "n1", to: "home/omm/backups",
		backups: []string{"TOW9UX", "TOW9V2", "TOW9V6", "TOW9VA", "TOW9VF", "TOW9VJ"},
		// Row-compressed relations that change, which C cannot merge.
		keep: pattern(`newfile|link|random\.bin|empty\.txt|sub/.*|base/16384/(16450_(compress|vm|fsm)|14481)|pg_location/.*/16493_vm`),
	},
	{
		name: "lz4", archive: "02b_backups_compressed/partial_FULL_lz4.tar.zst",
		from: "backups_z/backups/n1", instance: "n1", to: "home/omm/backups_lz4", backups: []string{"TOWA5X"},
		keep: pattern(`base/16384/(16456_compress|16509|16463_C1\.0)`),
	},
	{
		name: "pglz", archive: "02b_backups_compressed/partial_FULL_pglz.tar.zst",
		from: "backups_z/backups/n1", instance: "n1", to: "home/omm/backups_pglz", backups: []string{"TOWA5M"},
		keep: pattern(`base/16384/(16485|16509)`),
	},
	{
		name: "zstd", archive: "02b_backups_compressed/partial_FULL_zstd.tar.zst",
		from: "backups_z/backups/n1", instance: "n1", to: "home/omm/backups_zstd", backups: []string{"TOWA62"},
		keep: pattern(`base/16384/(16479|16485)`), // ustore
	},
	{
		name: "raw", archive: "18_row_compressed_raw/catalog.tar.zst",
		from: "cat/backups/v", instance: "v", to: "home/omm/cat", backups: []string{"TOWDFI"},
		keep: pattern(`base/16384/(16385_(compress|vm|fsm)|16397_compress)`),
	},
}
