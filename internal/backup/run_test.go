package backup

import (
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/fsx"
)

// A note or a pin that is set while the backup runs stays.
func TestNotedMeanwhile(t *testing.T) {
	c := catalog.Open(fsx.OS(), t.TempDir(), catalog.Options{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Init())
	inst, err := c.AddInstance(t.Context(), "n1", catalog.NewConfig())
	must(err)
	b, err := inst.NewBackupDir(time.Now(), catalog.ModeFull, 0)
	must(err)
	r := &run{deps: Deps{FS: fsx.OS()}, opts: Options{Instance: inst}, backup: b}
	b.Note = "of the command line"
	must(r.saveControl())
	other := *b
	until := time.Unix(1_900_000_000, 0)
	must(inst.UpdateControl(&other, func(b *catalog.Backup) { b.Note, b.ExpireTime = "of set-backup", until }))
	for range 2 {
		must(r.saveControl())
	}
	list, err := inst.Backups(t.Context())
	must(err)
	if list[0].Note != "of set-backup" || b.Note != list[0].Note {
		t.Errorf("note %q, in memory %q", list[0].Note, b.Note)
	}
	if !list[0].ExpireTime.Equal(until) || !b.ExpireTime.Equal(until) {
		t.Errorf("pinned until %v, in memory %v", list[0].ExpireTime, b.ExpireTime)
	}
}
