//go:build golden

package golden_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/validate"
	"gsprobackup/test/checker"
	"gsprobackup/test/golden"
)

// recordings are the archives with whole catalogs.
var recordings = []struct {
	archive  string
	catalogs []golden.Catalog // Backups: those that can be restored
	// failed are backups that never came to anything, as C's validate says.
	failed map[string]validate.OrphanMissingParent
}{
	{
		archive: "02_backups/catalog.tar.zst",
		catalogs: []golden.Catalog{
			{Dir: "/home/omm/backups", Instance: "n1", Backups: []string{"TOW9UX", "TOW9V2", "TOW9V6", "TOW9VA", "TOW9VF", "TOW9VJ"}},
		},
		// 02_backups/cmds.txt [029]: WARNING: Backup TOW9UV has missing parent 0
		failed: map[string]validate.OrphanMissingParent{"TOW9UV": {}},
	},
	{
		archive: "02b_backups_compressed/catalog_zlib_chain.tar.zst",
		catalogs: []golden.Catalog{
			{Dir: "/home/omm/backups_z", Instance: "n1", Backups: []string{"TOWA57", "TOWA5D", "TOWA5I"}},
		},
	},
	{
		archive: "02c_chain_no_rowcompress_merge/catalogs_before_and_after_merge.tar.zst",
		catalogs: []golden.Catalog{
			{Dir: "/home/omm/bc_before", Instance: "n1", Backups: []string{"TOWAGE", "TOWAGJ", "TOWAGN", "TOWAGR"}},
			{Dir: "/home/omm/bc", Instance: "n1", Backups: []string{"TOWAGR"}},
		},
	},
	{
		archive: "18_row_compressed_raw/catalog.tar.zst",
		catalogs: []golden.Catalog{
			{Dir: "/home/omm/cat", Instance: "v", Backups: []string{"TOWDFI", "TOWDQR", "TOWDRS"}},
		},
	},
}

// recordingsDir has the recordings; it lies next to the checkout.
const recordingsDir = "../../../shared/golden"

// Each whole catalog of the C tool is found good by validate, and each backup
// comes back as an independent reading of the format says. One archive at a
// time is unpacked: 3 GB, and 1.3 GB for a restored tree.
func TestWholeCatalogs(t *testing.T) {
	for _, r := range recordings {
		t.Run(filepath.Dir(r.archive), func(t *testing.T) {
			packed, err := os.Open(filepath.Join(recordingsDir, r.archive))
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			m := golden.Machine{Dir: t.TempDir()}
			if err := golden.Unpack(m.Path("/home/omm"), packed, nil); err != nil {
				t.Fatal(err)
			}
			for _, c := range r.catalogs {
				list := instanceOf(t, m, c)
				validateAll(t, m, list, r.failed)
				for _, id := range c.Backups {
					restoreOne(t, m, list, id)
				}
			}
		})
	}
}

// instance is an instance with its backups.
type instance struct {
	*catalog.Instance
	list catalog.List
}

func instanceOf(t *testing.T, m golden.Machine, c golden.Catalog) instance {
	t.Helper()
	inst, err := catalog.Open(m.FS(), c.Dir, catalog.Options{}).Instance(c.Instance)
	if err != nil {
		t.Fatal(err)
	}
	list, err := inst.Backups(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		// C crashed on TOWDFI and left its lock, whose process ID may be
		// anybody's here.
		if err := os.Remove(m.Path(b.Dir + "/backup.pid")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return instance{inst, list}
}

func (i instance) get(t *testing.T, id string) *catalog.Backup {
	t.Helper()
	for _, b := range i.list {
		if b.ID.String() == id {
			return b
		}
	}
	t.Fatalf("no backup %s", id)
	return nil
}

// validateAll expects what C said: nothing but good news, and the backups that
// failed from the start.
func validateAll(t *testing.T, m golden.Machine, inst instance, failed map[string]validate.OrphanMissingParent) {
	t.Helper()
	valid := map[catalog.ID]int{}
	var bad []string
	sink := event.Func(func(e event.Event) {
		switch e := e.(type) {
		case validate.InstanceStarted, validate.Started, validate.FilesStarted, validate.FileChecked, validate.FilesFinished, validate.OpeningSegment:
		case validate.FilesValid:
			valid[e.ID]++
		case validate.WALValid:
			valid[e.ID]++
		case validate.OrphanMissingParent:
			want, ok := failed[e.ID.String()]
			if want.ID = e.ID; !ok || want != e {
				bad = append(bad, fmt.Sprintf("%T%+v", e, e))
			}
		default:
			bad = append(bad, fmt.Sprintf("%T%+v", e, e))
		}
	})
	deps := validate.Deps{FS: m.FS(), Instance: inst.Instance, Sink: serial(sink)}
	res, err := validate.Instance(context.Background(), deps, validate.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bad {
		t.Error(b)
	}
	if res.Locked || res.Corrupt != (len(failed) > 0) {
		t.Errorf("validation ended with %+v", res)
	}
	for _, b := range inst.list {
		if _, ok := failed[b.ID.String()]; !ok && valid[b.ID] != 2 {
			t.Errorf("backup %s: files or WAL were not found valid", b.ID)
		}
	}
}

// restoreOne restores a backup, to the recorded place where there was one, and
// compares all of it.
func restoreOne(t *testing.T, m golden.Machine, inst instance, id string) {
	t.Helper()
	b := inst.get(t, id)
	target := checker.Target{Dir: "/home/omm/data", Root: m.Dir}
	opts := restore.Options{Instance: inst.Instance, BackupID: b.ID, Threads: 2, NoSync: true, NoValidate: true}
	if b.ExternalDirs != "" { // C demands external directories for -T
		target = checker.Target{
			Dir: "/home/omm/restored", Root: m.Dir,
			Tablespaces: map[string]string{
				"/home/omm/ts1": "/home/omm/ts1_r", "/home/omm/data/pg_location/tsrel/ts2": "/home/omm/restored/pg_location/tsrel/ts2",
			},
			Externals: map[string]string{"/home/omm/ext1": "/home/omm/ext1_r"},
		}
	}
	opts.PGData = target.Dir
	for from, to := range target.Tablespaces {
		opts.Tablespaces = append(opts.Tablespaces, restore.Mapping{Old: from, New: to})
	}
	for from, to := range target.Externals {
		opts.Externals = append(opts.Externals, restore.Mapping{Old: from, New: to})
	}
	deps := restore.Deps{FS: m.FS(), Host: remote.Local(m.FS())}
	if err := restore.Run(context.Background(), deps, opts); err != nil {
		t.Fatalf("restore %s: %v", id, err)
	}
	chain, err := inst.list.ChainTo(b)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, member := range chain {
		dirs = append(dirs, m.Path(member.Dir))
	}
	diffs, stats, err := checker.CompareTree(dirs, target)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range golden.Unexpected(diffs) {
		t.Errorf("%s: %v", id, d)
	}
	if stats.Files < 1000 || stats.Dirs < 20 || stats.Bytes < 1<<29 {
		t.Errorf("%s: compared only %+v", id, stats)
	}
	t.Logf("%s: chain of %d: %+v", id, len(dirs), stats)
	if id == "TOWA57" {
		compareListing(t, m, filepath.Join(recordingsDir, "03_restore/cmds.txt"), "[004]")
	}
	for _, dir := range []string{target.Dir, "/home/omm/ts1", "/home/omm/ts1_r", "/home/omm/ext1_r"} {
		if err := os.RemoveAll(m.Path(dir)); err != nil {
			t.Fatal(err)
		}
	}
}
