package pgdata

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestGoldenNames holds the classification against what the C tool recorded
// in its content lists.
func TestGoldenNames(t *testing.T) {
	f, err := os.Open("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := NewLayout(OpenGauss, 9)
	kinds := map[string]FileKind{"f": KindOther, "p": KindData, "c": KindCompressed}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		var path, kind string
		var segno, db uint32
		if _, err := fmt.Sscan(sc.Text(), &path, &kind, &segno, &db); err != nil {
			t.Fatalf("%q: %v", sc.Text(), err)
		}
		if kind == "d" {
			if r := l.Dir(path); r.Action == DirSkip || r.DBOid != db {
				t.Errorf("%s: %+v, C lists it for database %d", path, r, db)
			}
			continue
		}
		c := l.Classify(path)
		if c.Kind != kinds[kind] || c.Segno != segno || c.DBOid != db {
			t.Errorf("%s: %+v, C has %s segment %d database %d", path, c, kind, segno, db)
		}
	}
}

func TestClassifyOpenGauss(t *testing.T) {
	l := NewLayout(OpenGauss, 9)
	const ts = "pg_tblspc/16385/PG_9.2_201611171_og1/16384/"
	main := func(kind FileKind, form Form, rel, segno uint32) FileClass {
		return FileClass{Kind: kind, Form: form, Fork: ForkMain, Rel: rel, Segno: segno}
	}
	db := func(c FileClass) FileClass { c.DBOid, c.TablespaceOid = 5, 1663; return c }
	skip := func(r SkipReason) FileClass { return FileClass{Kind: KindSkip, Reason: r} }
	for path, want := range map[string]FileClass{
		"base/5/16384":                      db(main(KindData, FormRelation, 16384, 0)),
		"base/5/16384.12":                   db(main(KindData, FormRelation, 16384, 12)),
		"base/5/16384_compress":             db(main(KindCompressed, FormRelation, 16384, 0)),
		"base/5/16384.3_compress":           db(main(KindCompressed, FormRelation, 16384, 3)),
		"base/5/16384_fsm":                  db(FileClass{Form: FormRelation, Fork: ForkFSM, Rel: 16384}),
		"base/5/16384_vm.1":                 db(FileClass{Form: FormRelation, Fork: ForkVM, Rel: 16384, Segno: 1}),
		"base/5/16384_bcm":                  db(FileClass{Form: FormRelation, Fork: ForkBCM, Rel: 16384}),
		"base/5/16384_init":                 db(FileClass{Form: FormRelation, Fork: ForkInit, Rel: 16384}),
		"base/5/16384_C1.0":                 db(FileClass{Form: FormColumnStore, Rel: 16384}),
		"base/5/16384_C12_bcm":              db(FileClass{Form: FormColumnStore, Rel: 16384}),
		"base/5/16384_b123":                 db(FileClass{Form: FormBucket, Rel: 16384}),
		"base/5/16384_b123_fsm.1":           db(FileClass{Form: FormBucket, Rel: 16384}),
		"base/5/16384_pca":                  db(main(KindOther, FormPCA, 16384, 0)),
		"base/5/16384.1_pcd":                db(main(KindOther, FormPCD, 16384, 1)),
		"base/5/1":                          db(main(KindData, FormSegmentStorage, 1, 0)),
		"base/5/5.2":                        db(main(KindData, FormSegmentStorage, 5, 2)),
		"base/5/2_fsm":                      db(FileClass{Form: FormSegmentStorage, Fork: ForkFSM, Rel: 2}),
		"base/5/pg_filenode.map":            db(FileClass{}),
		"base/5/16384_fsm_compress":         db(FileClass{}),
		"base/5/16384_compress.1":           db(FileClass{}),
		"base/5/16384.x":                    db(FileClass{}),
		"base/5/16384.1.2":                  db(FileClass{}),
		"base/5/16384.0":                    db(FileClass{}),
		"base/5/016384":                     db(FileClass{}),
		"base/5/0":                          db(FileClass{}),
		"base/5/16384.32767":                db(main(KindData, FormRelation, 16384, 32767)),
		"base/5/16384.32768":                db(FileClass{}),
		"base/5/16384.99999_compress":       db(FileClass{}),
		"base/5/16384.99999999":             db(FileClass{}),
		"base/5/99999999999":                db(FileClass{}),
		"base/5/16384.snap":                 db(FileClass{}),
		"base/5/16384.cfm":                  db(FileClass{}),
		"base/5/sub/16384":                  db(FileClass{}),
		"base/16384":                        {TablespaceOid: 1663},
		"16384":                             {},
		"pg_clog/0000":                      {},
		"global/1262":                       {Kind: KindData, Form: FormRelation, Fork: ForkMain, Rel: 1262, TablespaceOid: 1664},
		"global/pg_control":                 {Form: FormControl, TablespaceOid: 1664},
		"global/pg_dw_single":               {Form: FormDoubleWrite, TablespaceOid: 1664},
		"undo/permanent/00000.0000000":      {Form: FormUndo},
		"undo/undometa":                     {Form: FormUndo},
		ts + "16390":                        {Kind: KindData, Form: FormRelation, Fork: ForkMain, Rel: 16390, DBOid: 16384, TablespaceOid: 16385},
		ts + "16390.1_compress":             {Kind: KindCompressed, Form: FormRelation, Fork: ForkMain, Rel: 16390, Segno: 1, DBOid: 16384, TablespaceOid: 16385},
		"pg_tblspc/x/16384":                 {},
		"pg_location/a/b/16384":             {},
		"backup_label":                      {},
		"tablespace_map":                    {},
		"backup_label.old":                  {},
		"recovery.done":                     {},
		"pg_multixact/postmaster.pid":       {},
		"postmaster.pid":                    skip(SkipExcluded),
		"recovery.conf":                     skip(SkipExcluded),
		"standby.signal":                    skip(SkipExcluded),
		"database_map":                      skip(SkipExcluded),
		"base/1/database_map":               {DBOid: 1, TablespaceOid: 1663},
		".hidden":                           skip(SkipHidden),
		"pg_clog/.x":                        skip(SkipHidden),
		".d/x":                              skip(SkipHidden),
		"pg_xlog/000000010000000000000001":  skip(SkipExcluded),
		"pg_xlog/archive_status/x":          skip(SkipExcluded),
		"global/pg_dw_ext_chunk/5_assist":   skip(SkipExcluded),
		"pg_log/x.log":                      skip(SkipExcluded),
		"pg_replslot/s/state":               skip(SkipExcluded),
		"pg_stat_tmp/pgstat.stat":           skip(SkipExcluded),
		"pg_stat/pgstat.stat":               {},
		"ptrack_init":                       skip(SkipExcluded),
		"pg_tblspc/16385/PG_VERSION":        {Kind: KindSkip, Reason: SkipForeign, TablespaceOid: 16385},
		"pg_tblspc/16385/PG_15_1/5/16384":   skip(SkipForeign),
		"base/pgsql_tmp/pgsql_tmp1.0":       skip(SkipTemporary),
		"base/5/pg_internal.init":           {Kind: KindSkip, Reason: SkipExcluded, DBOid: 5, TablespaceOid: 1663},
		"global/pg_internal.init.44":        {Kind: KindSkip, Reason: SkipExcluded, TablespaceOid: 1664},
		"base/5/ptrack.map":                 {Kind: KindSkip, Reason: SkipExcluded, DBOid: 5, TablespaceOid: 1663},
		"base/5/t3_16384":                   {Kind: KindSkip, Reason: SkipTemporary, DBOid: 5, TablespaceOid: 1663},
		"base/5/t3x":                        {Kind: KindSkip, Reason: SkipTemporary, DBOid: 5, TablespaceOid: 1663},
		"t3_16384":                          {},
		"pg_tblspc/16385/PG_9.2_1/5/16384":  {Kind: KindData, Form: FormRelation, Fork: ForkMain, Rel: 16384, DBOid: 5, TablespaceOid: 16385},
		"pg_tblspc/16385/PG_9.2_1_/5/16384": skip(SkipForeign),
		"":                                  {},
		"/":                                 {},
	} {
		if got := l.Classify(path); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", path, got, want)
		}
	}
}

func TestClassifyPostgreSQL(t *testing.T) {
	l := NewLayout(PostgreSQL, 15)
	db := func(c FileClass) FileClass { c.DBOid, c.TablespaceOid = 5, 1663; return c }
	skip := func(r SkipReason) FileClass { return FileClass{Kind: KindSkip, Reason: r} }
	rel := FileClass{Kind: KindData, Form: FormRelation, Fork: ForkMain, Rel: 16384}
	tsRel := rel
	tsRel.DBOid, tsRel.TablespaceOid = 5, 16400
	for path, want := range map[string]FileClass{
		"base/5/16384":                            db(rel),
		"base/5/1":                                db(FileClass{Kind: KindData, Form: FormRelation, Fork: ForkMain, Rel: 1}),
		"base/5/16384_fsm":                        db(FileClass{Form: FormRelation, Fork: ForkFSM, Rel: 16384}),
		"base/5/16384_bcm":                        db(FileClass{}),
		"base/5/16384_compress":                   db(FileClass{}),
		"base/5/16384_C1.0":                       db(FileClass{}),
		"base/5/t3_16384":                         db(skip(SkipTemporary)),
		"base/5/t3_16384_fsm.1":                   db(skip(SkipTemporary)),
		"base/5/t3x":                              db(FileClass{}),
		"base/5/t3_x":                             db(FileClass{}),
		"global/t3_16384":                         {TablespaceOid: 1664},
		"base/5/pg_internal.init.123":             db(skip(SkipExcluded)),
		"base/pgsql_tmp/pgsql_tmp99.0":            skip(SkipTemporary),
		"base/pgsql_tmp99.0":                      {Kind: KindSkip, Reason: SkipTemporary, TablespaceOid: 1663},
		"backup_label":                            skip(SkipExcluded),
		"tablespace_map":                          skip(SkipExcluded),
		"backup_manifest":                         skip(SkipExcluded),
		"my/backup_label":                         {},
		"pg_wal/000000010000000000000001":         skip(SkipExcluded),
		"pg_wal/archive_status/x.done":            skip(SkipExcluded),
		"pg_wal/other/x":                          skip(SkipExcluded),
		"pg_xlog/x":                               {},
		"log/postgresql.log":                      skip(SkipExcluded),
		"pg_log/postgresql.log":                   {},
		"pg_tblspc/16400/PG_15_202209061/5/16384": tsRel,
		"pg_tblspc/16400/PG_14_202107181/5/16384": skip(SkipForeign),
		"undo/x":                                  {},
	} {
		if got := l.Classify(path); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", path, got, want)
		}
	}
}

func TestDir(t *testing.T) {
	og, pg := NewLayout(OpenGauss, 9), NewLayout(PostgreSQL, 15)
	node := og
	node.NodeName = "og1"
	keep := og
	keep.BackupLog, keep.ReplSlots = true, true
	slots := keep
	slots.KeepSlots = []string{"sub1"}
	none := keep
	none.KeepSlots = []string{}
	extra := og
	extra.EmptyDirs = []string{"pg_location/a/ts"}
	vers := pg.WithControl(&Control{CatalogVersion: 202209061, RelSegBlocks: 131072})
	logdir := pg
	logdir.LogDir = "my/log/"
	for _, tc := range []struct {
		name string
		l    Layout
		dir  string
		want DirAction
	}{
		{"og", og, "", DirDescend},
		{"og", og, "base/1", DirDescend},
		{"og", og, "pg_xlog", DirEmpty},
		{"og", og, "pg_wal", DirDescend},
		{"og", og, "pg_log", DirEmpty},
		{"og", og, "log", DirDescend},
		{"og", og, "pg_clog", DirDescend},
		{"og", og, "pg_notify", DirEmpty},
		{"og", og, "x/pg_notify", DirDescend},
		{"og", og, "base/pgsql_tmp", DirEmpty},
		{"og", og, "pgsql_tmp", DirDescend},
		{"og", og, "pg_tblspc/1/PG_9.2_201611171_og1/pgsql_tmp", DirEmpty},
		{"og", og, "pg_tblspc", DirDescend},
		{"og", og, "pg_tblspc/1", DirDescend},
		{"og", og, "pg_tblspc/1/PG_9.2_201611171", DirDescend},
		{"og", og, "pg_tblspc/1/PG_9.2_201611171_any", DirDescend},
		{"og", og, "pg_tblspc/1/PG_9.2_x", DirSkip},
		{"og", og, "pg_tblspc/1/lost+found", DirSkip},
		{"og", og, ".recycle", DirSkip},
		{"node", node, "pg_tblspc/1/PG_9.2_201611171_og1", DirDescend},
		{"node", node, "pg_tblspc/1/PG_9.2_201611171_og2", DirSkip},
		{"node", node, "pg_tblspc/1/PG_9.2_201611171", DirDescend},
		{"og", og, "pg_replslot", DirEmpty},
		{"keep", keep, "pg_replslot", DirDescend},
		{"keep", keep, "pg_replslot/any", DirDescend},
		{"keep", keep, "pg_log", DirDescend},
		{"slots", slots, "pg_replslot/sub1", DirDescend},
		{"slots", slots, "pg_replslot/sub1/snap", DirDescend},
		{"slots", slots, "pg_replslot/phys", DirSkip},
		{"none", none, "pg_replslot/sub1", DirSkip},
		{"og", og, "pg_location/a/ts", DirDescend},
		{"extra", extra, "pg_location/a/ts", DirEmpty},
		{"pg", pg, "pg_wal", DirDescend},
		{"pg", pg, "pg_wal/archive_status", DirEmpty},
		{"pg", pg, "pg_wal/summaries", DirEmpty},
		{"pg", pg, "pg_wal/lost+found", DirSkip},
		{"pg", pg, "log", DirEmpty},
		{"pg", pg, "pg_xlog", DirDescend},
		{"pg", pg, "base/pgsql_tmp", DirSkip},
		{"pg", pg, "pg_tblspc/1/PG_15_202209061", DirDescend},
		{"pg", pg, "pg_tblspc/1/PG_15_202209061_n", DirSkip},
		{"pg", pg, "pg_tblspc/1/PG_15_1", DirDescend},
		{"vers", vers, "pg_tblspc/1/PG_15_1", DirSkip},
		{"logdir", logdir, "my/log", DirEmpty},
		{"logdir", logdir, "log", DirDescend},
	} {
		if got := tc.l.Dir(tc.dir).Action; got != tc.want {
			t.Errorf("%s %q: %d, want %d", tc.name, tc.dir, got, tc.want)
		}
	}
}

func TestNonExclusive(t *testing.T) {
	l := NewLayout(OpenGauss, 9)
	l.NonExclusive = true
	for _, name := range []string{"backup_label", "tablespace_map"} {
		if c := l.Classify(name); c.Kind != KindSkip {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestInitForks(t *testing.T) {
	files := []string{
		"base/5/100", "base/5/100.1", "base/5/100_fsm", "base/5/100_init",
		"base/5/101", "base/6/100", "base/5/PG_VERSION",
		"pg_tblspc/9/PG_15_1/5/100_vm", "pg_tblspc/9/PG_15_1/5/200_init", "pg_tblspc/9/PG_15_1/5/200",
	}
	for _, tc := range []struct {
		l    Layout
		want string
	}{
		{NewLayout(PostgreSQL, 15), "base/5/100 base/5/100.1 base/5/100_fsm pg_tblspc/9/PG_15_1/5/200"},
		{NewLayout(OpenGauss, 9), ""},
	} {
		forks := NewInitForks(tc.l)
		for _, f := range files {
			forks.Add(f, tc.l.Classify(f))
		}
		var dropped []string
		for _, f := range files {
			if forks.Drops(f, tc.l.Classify(f)) {
				dropped = append(dropped, f)
			}
		}
		if got := strings.Join(dropped, " "); got != tc.want {
			t.Errorf("%v drops %q, want %q", tc.l.Family, got, tc.want)
		}
	}
}

func TestAbsoluteBlock(t *testing.T) {
	l := NewLayout(OpenGauss, 9)
	if got := l.AbsoluteBlock(l.Classify("base/5/16384.2"), 7); got != 2*131072+7 {
		t.Errorf("data: %d", got)
	}
	if got := l.AbsoluteBlock(l.Classify("base/5/16384.2_compress"), 7); got != 2*130048+7 {
		t.Errorf("compressed: %d", got)
	}
	l.RelSegBlocks = 1000
	if got := l.AbsoluteBlock(l.Classify("base/5/16384.2"), 7); got != 2007 {
		t.Errorf("small segments: %d", got)
	}
	if got := (Layout{}).AbsoluteBlock(FileClass{Segno: 1}, 0); got != 131072 {
		t.Errorf("zero layout: %d", got)
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"base/5/16384.1_compress", "pg_tblspc/1/PG_15_202209061/5/t1_2", "/", "a//b", "base/5/1_C1.0"} {
		f.Add(s)
	}
	og, pg := NewLayout(OpenGauss, 9), NewLayout(PostgreSQL, 15)
	f.Fuzz(func(t *testing.T, path string) {
		for _, l := range []Layout{og, pg} {
			c := l.Classify(path)
			_ = l.Dir(path)
			if (c.Kind == KindSkip) != (c.Reason != NotSkipped) {
				t.Fatalf("%q: %+v", path, c)
			}
			paged := c.Kind == KindData || c.Kind == KindCompressed
			if paged && (c.Rel == 0 || c.Fork != ForkMain || c.TablespaceOid == 0) {
				t.Fatalf("%q: data file %+v", path, c)
			}
			if paged {
				_ = l.AbsoluteBlock(c, 0)
			}
		}
	})
}
