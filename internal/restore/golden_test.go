package restore_test

import (
	"context"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/test/checker"
	"gsprobackup/test/golden"
)

func openInstance(t *testing.T, m golden.Machine, c golden.Catalog, sink event.Sink) *catalog.Instance {
	t.Helper()
	inst, err := catalog.Open(m.FS(), c.Dir, catalog.Options{Sink: sink}).Instance(c.Instance)
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

func parseID(t *testing.T, text string) catalog.ID {
	t.Helper()
	id, err := catalog.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// restoreOptions are for the data directory and mappings of target.
func restoreOptions(inst *catalog.Instance, id catalog.ID, target checker.Target) restore.Options {
	opts := restore.Options{Instance: inst, BackupID: id, PGData: target.Dir, Threads: 2, NoSync: true, SkipExternal: target.SkipExternals}
	for from, to := range target.Tablespaces {
		opts.Tablespaces = append(opts.Tablespaces, restore.Mapping{Old: from, New: to})
	}
	for from, to := range target.Externals {
		opts.Externals = append(opts.Externals, restore.Mapping{Old: from, New: to})
	}
	return opts
}

// Every backup of every small catalog comes back as an independent reading of
// the format says, file by file.
func TestGoldenTrees(t *testing.T) {
	for _, c := range golden.Small {
		for i, id := range c.Backups {
			t.Run(c.Name+"/"+id, func(t *testing.T) {
				t.Parallel()
				m, _ := golden.Start(t, c.Name)
				target := checker.Target{Dir: "/home/omm/restored", Root: m.Dir}
				if i%2 == 0 && c.Name != golden.Raw && c.Name != golden.Mixed {
					target.Tablespaces = map[string]string{"/home/omm/ts1": "/home/omm/ts1_r"}
					target.Externals = map[string]string{"/home/omm/ext1": "/home/omm/ext1_r"}
				}
				opts := restoreOptions(openInstance(t, m, c, nil), parseID(t, id), target)
				opts.NoValidate = !c.HasWAL()
				deps := restore.Deps{FS: m.FS(), Host: remote.Local(m.FS())}
				if err := restore.Run(context.Background(), deps, opts); err != nil {
					t.Fatal(err)
				}
				var chain []string
				for _, member := range c.Backups[:i+1] {
					chain = append(chain, m.Path(c.BackupDir(member)))
				}
				diffs, stats, err := checker.CompareTree(chain, target)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range golden.Unexpected(diffs) {
					t.Error(d)
				}
				if stats.Files < 15 || stats.Dirs < 20 {
					t.Errorf("compared only %+v", stats)
				}
			})
		}
	}
}
