package merge_test

import (
	"context"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/merge"
	"gsprobackup/test/golden"
)

// A FULL that is not of the list it comes with is not touched: it would be
// deleted as a member of its own chain.
func TestFinishOfAnotherList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Ptrack)
	inst := w.instance()
	list := func() catalog.List {
		list, err := inst.Backups(context.Background())
		w.must(err)
		return list
	}
	dest := id(t, w.c.Backups[len(w.c.Backups)-1])
	full := list().ByID(id(t, w.c.Backups[0]))
	w.must(inst.UpdateControl(full, func(b *catalog.Backup) { b.Status, b.MergeDestID = catalog.StatusMerged, dest }))
	before := w.statuses()
	deps := merge.Deps{FS: w.fs, Instance: inst, Sink: w, Now: time.Now}
	if err := (merge.Chains{Deps: deps}).Finish(context.Background(), list(), full); err == nil {
		t.Error("no error")
	}
	if got := w.statuses(); got != before {
		t.Errorf("left %s", got)
	}
}
