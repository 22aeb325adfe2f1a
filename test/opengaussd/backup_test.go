package opengaussd

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/pgdata"
	"gsprobackup/test/opengaussd/ogdata"
)

// TestFullBackup: a FULL backup of the stand-in is a sound catalog and comes
// back as it was, with each codec and with WAL in odd pieces.
func TestFullBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{}, Config{Chunks: []int{1, 333, 8192, 1 << 20, 5_000_001}})
	w.init()
	for step, alg := range []string{"none", "zstd"} {
		if err := w.cluster.Mutate(step + 1); err != nil {
			t.Fatal(err)
		}
		id, tree := w.backup("FULL", "--compress-algorithm", alg, "-j", "2")
		w.restore(id, tree)
		label, err := os.ReadFile(filepath.Join(w.catalog, "backups/n1", id, "database/backup_label"))
		if err != nil || !strings.Contains(string(label), "BACKUP METHOD: pg_start_backup\n") {
			t.Errorf("backup_label %q, %v", label, err)
		}
	}
	w.check()
	w.must("validate", "-B", w.catalog, "--instance", "n1")
	for _, f := range []string{"backup_label", "tablespace_map"} {
		if _, err := os.Stat(filepath.Join(w.cluster.Dir(), f)); err == nil {
			t.Errorf("%s was left in the data directory", f)
		}
	}
}

// TestPtrackChain: FULL, then PTRACKs over everything that can happen to a
// cluster; each comes back as the cluster was.
func TestPtrackChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{}, Config{})
	w.init()
	type taken struct {
		id   string
		tree ogdata.Tree
	}
	var chain []taken
	add := func(mode string, more ...string) {
		id, tree := w.backup(mode, more...)
		chain = append(chain, taken{id, tree})
	}
	add("FULL", "--compress-algorithm", "zlib")
	for step, alg := range []string{"none", "zstd", "zlib"} {
		if err := w.cluster.Mutate(step + 1); err != nil {
			t.Fatal(err)
		}
		if step == 1 {
			// Several intervals in one increment, and a lagging tracker.
			if _, _, err := w.cluster.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			if err := w.cluster.Mutate(11); err != nil {
				t.Fatal(err)
			}
			w.srv.SlowCBM(2)
		}
		add("PTRACK", "--compress-algorithm", alg, "-j", "2")
	}
	add("PTRACK") // nothing has changed
	w.check()
	w.must("validate", "-B", w.catalog, "--instance", "n1")
	for _, b := range chain {
		w.restore(b.id, b.tree)
	}
	// An increment must not cost the double-write files (server.md §3.4).
	last := filepath.Join(w.catalog, "backups/n1", chain[len(chain)-1].id, "database")
	if n := used(t, last); n > 24<<20 { // two WAL segments at most, and crumbs
		t.Errorf("an increment without changes takes %d bytes", n)
	}
}

// used is the space that the files below dir take on disk.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			total += fi.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// TestEveryKindOfRelation: a cluster with a relation of 1.5 GiB, a
// row-compressed one of more than 130048 blocks, column store, unlogged
// tables, and tables in a relative and an absolute tablespace: FULL and two
// increments, each comes back whole.
func TestEveryKindOfRelation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true, BigRelation: true, BigRowCompressed: true}, Config{})
	for _, kind := range []string{
		"base/16384/16600.1", "base/16384/16610.1_compress", "base/16384/16463_C1.0", "base/16384/16499_init",
		"pg_tblspc/16385/PG_9.2_201611171_og1/16384", "pg_location/tsrel/ts2",
	} {
		if _, err := os.Stat(filepath.Join(w.cluster.Dir(), kind)); err != nil {
			t.Error(err)
		}
	}
	w.init()
	for step, mode := range []string{"FULL", "PTRACK", "PTRACK"} {
		if err := w.cluster.Mutate(step + 1); err != nil {
			t.Fatal(err)
		}
		id, tree := w.backup(mode, "--compress-algorithm", "zstd", "--no-validate", "-j", "2")
		w.restore(id, tree, "--no-validate", "-j", "2") // all is compared instead
		if n := used(t, filepath.Join(w.catalog, "backups/n1", id, "database")); mode == "PTRACK" && n > 48<<20 {
			t.Errorf("an increment takes %d bytes", n)
		}
	}
}

// TestCompressedSegments: a compressed extent of openGauss 7.0 in a segment-page
// file. Its chunks are no pages; the file comes back as it was.
func TestCompressedSegments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{Version: "7.0.0-RC1"})
	w.init()
	w.backup("FULL", "--compress-algorithm", "zlib") // when it had pages only
	heap, err := os.ReadFile(filepath.Join(w.cluster.Dir(), "base/16384/16387"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(w.cluster.Dir(), "base/16384/4"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // the test reads it by name
	for step, mode := range []string{"PTRACK", "PTRACK", "FULL", "PTRACK"} {
		extent := make([]byte, pgdata.Extents128.Size())
		images := [][]byte{heap[:8192], heap[8192:16384], make([]byte, 8192), heap[3*8192 : 4*8192]}[:step+1]
		if _, err := pgdata.Extents128.Build(extent, 2048, 2, 0, images); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(extent, pgdata.FirstSegmentExtent*8192); err != nil {
			t.Fatal(err)
		}
		id, tree := w.backup(mode, "--compress-algorithm", "zlib")
		w.restore(id, tree)
		list, err := os.ReadFile(filepath.Join(w.catalog, "backups/n1", id, "backup_content.control"))
		if err != nil || !strings.Contains(string(list), `"path":"base/16384/4", "size":"`+fmt.Sprint((pgdata.FirstSegmentExtent+128)*8192)+`", "mode":"33152", "is_datafile":"0"`) {
			t.Errorf("%s: the list has it otherwise, %v", id, err)
		}
	}
	w.check()
}

// TestPtrackFaults: what can be wrong with changed block tracking.
func TestPtrackFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{Slots: []string{"abandoned"}})
	w.init()
	fail := func(want, hint string) {
		t.Helper()
		r := w.tool(w.backupArgs("PTRACK", "--archive-timeout=1", "--hints")...)
		if r.exit != 1 || !strings.Contains(r.err, want) || !strings.Contains(r.err, hint) {
			t.Errorf("exit %d, want 1, %q and %q\n%s", r.exit, want, hint, clip(r.err))
		}
		ids := w.backups()
		if st := w.status(ids[len(ids)-1]); st != "ERROR" {
			t.Errorf("status %q", st)
		}
		w.usable()
	}
	fail("ERROR: Create new full backup before an incremental one", "")
	w.backup("FULL", "--compress-algorithm", "zlib")
	w.srv.SlowCBM(-1)
	const slot = "slots that nobody uses: abandoned; drop those not needed with SELECT pg_drop_replication_slot('NAME')"
	fail(", and has not moved for ", "set it to on, reload, and take a FULL backup; replication "+slot)
	w.srv.Heal()
	w.srv.Inject(Fault{On: "pg_cbm_get_changed_block", Times: 1, Err: &Error{State: "XX000", Context: "referenced column: pg_cbm_get_changed_block",
		Message: "there is a gap between CBM file pg_xlog_1_00000000023E96B0_000000004A000148.cbm and pg_xlog_3_000000004B000148_0000000000000000.cbm"}})
	fail("Please check the replication slots, if it has slots useless,delete it and try again.", slot)
	w.cluster.ForgetTracking()
	fail("ERROR: cannot get cbm tracked lsn location, maybe enable_cbm_tracking is off", "set enable_cbm_tracking = on in postgresql.conf")
	// Tracking begins anew: the map does not reach back to the FULL.
	w.cluster.SetTracking(true)
	if _, _, err := w.cluster.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	fail("could not find valid CBM file that contains the merging start point", "only a FULL backup helps")
	w.backup("FULL", "--compress-algorithm", "zlib")
	if err := w.cluster.Mutate(1); err != nil {
		t.Fatal(err)
	}
	id, tree := w.backup("PTRACK")
	w.restore(id, tree)
	w.check()
}

// TestSameChecksum: a file that holds a CRC-32C of itself has the same CRC-32C
// whatever is in it. Changed within the second of the parent it must come back
// changed.
func TestSameChecksum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	name := filepath.Join(w.cluster.Dir(), "pg_twophase", "0000000000003243")
	old := time.Now().Add(-time.Hour)
	write := func(text string) {
		b := []byte(text)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	write("prepared transaction A")
	w.backup("FULL", "--compress-algorithm", "zlib")
	write("prepared transaction B")
	id, tree := w.backup("PTRACK")
	w.restore(id, tree)
}

// TestExternalHoldsTablespace: an external directory with a tablespace in it is
// refused (spec/cli.md §11), be the tablespace's location absolute or relative
// to PGDATA.
func TestExternalHoldsTablespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	for external, location := range map[string]string{
		filepath.Join(w.dir, "spaces"): filepath.Join(w.dir, "spaces/ts1"),
		w.cluster.Dir():                filepath.Join(w.cluster.Dir(), "pg_location/tsrel/ts2"),
	} {
		r := w.tool(w.backupArgs("FULL", "-E", external)...)
		want := "ERROR: External directory path (-E option) \"" + external + "\" contains tablespace \"" + location + "\"\n"
		if r.exit != 1 || !strings.Contains(r.err, want) {
			t.Errorf("-E %s: exit %d, want %s%s", external, r.exit, want, clip(r.err))
		}
	}
}
