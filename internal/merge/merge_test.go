package merge_test

import (
	"context"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/merge"
	"gsprobackup/test/golden"
)

// Every increment of the recorded chains becomes a FULL with its content.
func TestGoldenChains(t *testing.T) {
	for _, c := range golden.Small {
		for i, last := range c.Backups {
			if i == 0 {
				continue
			}
			t.Run(c.Name+"/"+last, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, c.Name)
				want := w.chain(last)
				w.must(w.merge(last))
				t.Log(w.statuses())
				w.sound(last, want)
			})
		}
	}
}

// What set-backup writes while the files are merged, or the result is checked,
// is not lost.
func TestPinnedMeanwhile(t *testing.T) {
	t.Parallel()
	until := time.Unix(1_900_000_000, 0)
	w := newWorld(t, golden.Ptrack)
	last := w.c.Backups[len(w.c.Backups)-1]
	pin := event.Func(func(e event.Event) {
		if _, ok := e.(merge.FilesFinished); ok {
			list, err := w.instance().Backups(context.Background())
			w.must(err)
			w.must(w.instance().UpdateControl(list.ByID(id(t, last)), func(b *catalog.Backup) { b.ExpireTime, b.Note = until, "keep" }))
		}
	})
	deps := merge.Deps{FS: w.fs, Instance: w.instance(), Sink: pin, Now: time.Now}
	w.must(merge.Run(context.Background(), deps, merge.Options{ID: id(t, last), Threads: 2}))
	list, err := w.instance().Backups(context.Background())
	w.must(err)
	if b := list.ByID(id(t, last)); b.Mode != catalog.ModeFull || !b.ExpireTime.Equal(until) || b.Note != "keep" {
		t.Errorf("%+v", b)
	}
}
