package backup

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pagecopy"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/wal"
)

const parentTime = 1_700_000_000

// fewRows is an openGauss server with these changes.
type fewRows []ptrack.CBMRow

func (r fewRows) CBMTrackedLocation(context.Context) (wal.LSN, string, error) {
	return 1 << 40, "", nil
}

func (r fewRows) CBMChangedBlocks(_ context.Context, _ wal.LSN, _ string, f func(ptrack.CBMRow) error) error {
	for _, row := range r {
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// incrementRun is a run whose parent has these files.
func incrementRun(t *testing.T, files map[string]knownFile, rows fewRows) *run {
	t.Helper()
	r := &run{
		layout: pgdata.NewLayout(pgdata.OpenGauss, 9),
		deps:   Deps{Sink: event.Discard},
		parent: &parent{Backup: &catalog.Backup{ID: parentTime, StartLSN: 0x4000028}, files: map[fileKey]knownFile{}},
		diff:   &difference{anew: map[uint32]bool{}},
	}
	for path, k := range files {
		r.parent.files[fileKey{0, path}] = k
	}
	if rows == nil {
		r.diff.floor = remote.Floor{LSN: 0x5000028}
		return r
	}
	q := ptrack.Query{Range: ptrack.Range{End: 1}, Wait: ptrack.Wait{Timeout: time.Minute}}
	var err error
	if r.diff.changes, err = ptrack.FromCBM(context.Background(), rows, q, func(string) {}); err != nil {
		t.Fatal(err)
	}
	return r
}

// task is what is done with a data file of some blocks.
func (r *run) task(path string, blocks int64) (*listed, pagecopy.Task) {
	c := r.layout.Classify(path)
	data := c.Kind == pgdata.KindData || c.Kind == pgdata.KindCompressed
	it := &listed{Entry: contentlist.Entry{Path: path, Mode: 0o100600, IsDatafile: data, DBOid: c.DBOid}, size: blocks * pgdata.BlockSize}
	t := pagecopy.Task{Path: path, Size: it.size, Kind: pagecopy.Pages, FirstBlock: r.layout.AbsoluteBlock(c, 0)}
	r.leaveOut(it, &t)
	return it, t
}

// wanted is the blocks of a task that are copied.
func wanted(t pagecopy.Task) string {
	m, and := t.Map, ""
	if m == nil && t.Floor.Marked != nil {
		m, and = t.Floor.Marked, fmt.Sprintf(" and what is new at %s, of %d", t.Floor.LSN, t.Floor.Known)
	}
	if m == nil {
		return "all"
	}
	list := []uint32{}
	for b := range t.Blocks() {
		if m.Has(b) {
			list = append(list, b)
		}
	}
	return fmt.Sprint(list) + and
}

func TestLeaveOutMappedPages(t *testing.T) {
	r := incrementRun(t, map[string]knownFile{
		"base/1/10": {data: true, blocks: 8}, "base/1/10.1": {data: true, blocks: 8}, "base/1/11": {data: true},
		"base/1/12": {data: true, blocks: 8}, "base/1/12.1": {data: true, blocks: 8}, "base/1/14": {blocks: 8, size: 8 * 8192}, "base/2/10": {data: true, blocks: 8},
		"base/3/10": {data: true, blocks: 8}, "base/1/15.1_compress": {data: true, blocks: 2000}, "base/1/16": {data: true, blocks: 8},
	}, fewRows{
		{Path: "base/1/10", Count: 3, Blocks: []byte("1, 131074, 131079")},
		{Path: "base/1/12", Truncated: true, TruncateBlock: 5},
		{Path: "base/1/13", Count: 1, Blocks: []byte("0")},
		{Path: "base/1/15", Count: 1, Blocks: []byte("131072")},
		{Path: "base/2", Created: true},
	})
	r.diff.anew[3] = true
	tests := []struct {
		path   string
		blocks int64
		want   string
		known  bool
	}{
		{"base/1/10", 8, "[1]", true},
		{"base/1/10", 10, "[1 8 9]", true}, // grown without WAL
		{"base/1/10", 1, "[]", true},       // cut
		{"base/1/10.1", 8, "[2 7]", true},
		{"base/1/11", 3, "[0 1 2]", true}, // was empty
		// Was cut to 5, and perhaps to fewer before.
		{"base/1/12", 8, "[5 6 7] and what is new at 0/4000028, of 8", true},
		{"base/1/12.1", 8, "all", true},
		{"base/1/13", 8, "all", false}, // new, though named
		{"base/1/14", 8, "all", false}, // was no data file
		{"base/2/10", 8, "all", true},  // database came by file copy
		{"base/3/10", 8, "all", true},  // database is younger than the parent
		{"base/1/15.1_compress", 2000, "[1024]", true},
		{"base/1/16", 8, "[]", true},
	}
	for _, tt := range tests {
		it, task := r.task(tt.path, tt.blocks)
		if got := wanted(task); got != tt.want || it.known != tt.known || task.Floor.LSN != 0 && task.Floor.Marked == nil {
			t.Errorf("%s of %d blocks: %s, known %v, want %s, %v", tt.path, tt.blocks, got, it.known, tt.want, tt.known)
		}
	}
	r.diff.all = true
	if _, task := r.task("base/1/10", 8); wanted(task) != "all" {
		t.Errorf("restored cluster: %s", wanted(task))
	}
}

func TestLeaveOutByLSN(t *testing.T) {
	r := incrementRun(t, map[string]knownFile{"base/1/10": {data: true, blocks: 8}, "base/2/10": {data: true, blocks: 8}}, nil)
	r.diff.floor.KeepVisible = true
	r.diff.anew[2] = true
	for path, want := range map[string]remote.Floor{
		"base/1/10": {LSN: 0x5000028, Known: 8, KeepVisible: true}, "base/1/11": {}, "base/2/10": {},
	} {
		if _, task := r.task(path, 9); task.Floor != want || task.Map != nil {
			t.Errorf("%s: %+v, want %+v", path, task.Floor, want)
		}
	}
}

func TestLeaveOutPlainFiles(t *testing.T) {
	const sum, size = 0x1234, 100
	has := knownFile{crc: sum, size: size}
	r := incrementRun(t, map[string]knownFile{
		"postgresql.conf": has, "base/1/10_vm": {crc: sum, size: -1}, "undo/undometa": has, "pg_filenode.map": has,
		"global/pg_remain_segs": {crc: crc32c.SelfSummed, size: size}, "was_empty": {}, "base/1/10": {data: true, blocks: 1, size: size, crc: sum},
	}, nil)
	tests := []struct {
		name     string
		path     string
		size     int64
		modified int64 // relative to the parent's start
		want     bool
	}{
		{"as it was", "postgresql.conf", size, 0, true},
		{"modified since", "postgresql.conf", size, 1, false},
		{"other size", "postgresql.conf", size + 1, -1000, false},
		{"unchanged in the parent, too", "base/1/10_vm", size, -1, true},
		{"not in the parent", "pg_hba.conf", size, -1000, false},
		{"was empty", "was_empty", size, -1000, false},
		{"is empty", "was_empty", 0, -1000, false},
		{"was a data file", "base/1/10", size, -1000, false},
		{"undo, settled", "undo/undometa", size, -settleTime, true},
		{"undo, just before", "undo/undometa", size, -settleTime + 1, false},
		{"ends with its sum, settled", "global/pg_remain_segs", size, -settleTime, true},
		{"ends with its sum, just before", "global/pg_remain_segs", size, -1, false},
		{"never trusted", "pg_filenode.map", size, -100000, false},
	}
	for _, tt := range tests {
		it := &listed{Entry: contentlist.Entry{Path: tt.path, Mode: 0o100600}, size: tt.size, modified: parentTime + tt.modified}
		task := pagecopy.Task{Path: tt.path, Size: tt.size, Kind: pagecopy.Plain}
		r.leaveOut(it, &task)
		if task.Known != tt.want {
			t.Errorf("%s: known %v, want %v", tt.name, task.Known, tt.want)
		}
	}
	// pg_control is stored each time.
	r.parent.files[fileKey{0, pgdata.ControlPath}] = has
	task := pagecopy.Task{Kind: pagecopy.Control, Size: size}
	r.leaveOut(&listed{Entry: contentlist.Entry{Path: pgdata.ControlPath}, size: size}, &task)
	if task.Known {
		t.Error("pg_control is left out")
	}
}

func TestFindYounger(t *testing.T) {
	version := func(path string, at int64) *listed {
		return &listed{Entry: contentlist.Entry{Path: path, Mode: 0o100600}, modified: parentTime + at}
	}
	r := incrementRun(t, nil, nil)
	r.findYounger(&listing{items: []*listed{
		version("PG_VERSION", 0), version("base/1/PG_VERSION", 0), version("base/16384/PG_VERSION", 1), version("base/5/1259", 9),
		version("pg_tblspc/16500/PG_9.2_201611171_og1/16600/PG_VERSION", 3),
	}})
	if r.diff.all || fmt.Sprint(r.diff.anew) != "map[16384:true 16600:true]" {
		t.Errorf("all %v, databases %v", r.diff.all, r.diff.anew)
	}
	r.findYounger(&listing{items: []*listed{version("PG_VERSION", 1)}})
	if !r.diff.all {
		t.Error("a restored cluster is not noticed")
	}
}

// What came of a task, in the words of a list.
func TestNoteOfIncrement(t *testing.T) {
	r := incrementRun(t, nil, nil)
	tests := []struct {
		name string
		it   listed
		res  pagecopy.Result
		want int64
	}{
		{"nothing stored", listed{Entry: contentlist.Entry{IsDatafile: true}, known: true}, pagecopy.Result{Blocks: 7}, contentlist.SizeUnchanged},
		{"empty now", listed{Entry: contentlist.Entry{IsDatafile: true}, known: true}, pagecopy.Result{}, 0},
		{"some stored", listed{Entry: contentlist.Entry{IsDatafile: true}, known: true}, pagecopy.Result{Size: 8200, Blocks: 7}, 8200},
		{"new and empty", listed{Entry: contentlist.Entry{IsDatafile: true}}, pagecopy.Result{}, 0},
		{"same content", listed{}, pagecopy.Result{Outcome: pagecopy.Unchanged, CRC: 5}, contentlist.SizeUnchanged},
	}
	for _, tt := range tests {
		r.noteResult(&tt.it, tt.res)
		if tt.it.Size != tt.want || tt.it.CRC != tt.res.CRC || tt.it.NBlocks != int(tt.res.Blocks) {
			t.Errorf("%s: %+v", tt.name, tt.it.Entry)
		}
	}
}

// little is a disk with room for some pages.
type little struct {
	fsx.FS
	pages int64
}

func (l little) Statfs(string) (fsx.Space, error) {
	return fsx.Space{BlockSize: pgdata.BlockSize, BlocksAvail: l.pages}, nil
}

// What is known to have changed must fit, also of a relation that is read whole.
func TestCheckNeed(t *testing.T) {
	r := incrementRun(t, map[string]knownFile{"base/1/10": {data: true, blocks: 8}, "base/1/12": {data: true, blocks: 8}}, fewRows{
		{Path: "base/1/10", Count: 1, Blocks: []byte("1")},
		{Path: "base/1/12", Truncated: true, TruncateBlock: 5},
	})
	r.backup = &catalog.Backup{}
	_, a := r.task("base/1/10", 8)
	_, b := r.task("base/1/12", 8)
	for pages, want := range map[int64]bool{3: false, 4: true} {
		r.deps.FS = little{fsx.OS(), pages}
		if err := r.checkNeed([]pagecopy.Task{a, b}); (err == nil) != want {
			t.Errorf("room for %d pages: %v", pages, err)
		}
	}
}
