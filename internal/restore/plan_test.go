package restore_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/test/golden"
)

var errReadOnly = errors.New("nothing may be written")

// readOnly refuses every step that changes something.
func readOnly(t *testing.T, fsys fsx.FS) fsx.FS {
	f := faultfs.New(fsys)
	f.Before(func(op faultfs.Op) error {
		t.Errorf("a plan did: %v", op)
		return errReadOnly
	})
	return f
}

func (w *world) plan(opts restore.Options) (*restore.Plan, error) {
	fsys := readOnly(w.t, w.m.FS())
	opts.Instance = w.instanceOn(fsys)
	return restore.MakePlan(context.Background(), restore.Deps{FS: fsys, Host: remote.Local(fsys), Sink: w}, opts)
}

// A plan tells what a restore then does, and writes nothing.
func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Zlib)
	w.recordedMappings()
	p, err := w.plan(w.options("TOWA5I"))
	w.must(err)
	var ids []string
	for _, b := range p.Chain {
		ids = append(ids, b.ID.String())
	}
	if !slices.Equal(ids, w.c.Backups) || p.Mode != restore.IncrementalNone || len(p.Removed) > 0 || p.PGData != pgdata {
		t.Errorf("%+v", p)
	}
	kinds := []restore.PlaceKind{restore.PlaceData, restore.PlaceTablespace, restore.PlaceTablespace, restore.PlaceExternal}
	froms := []string{"", "/home/omm/data/pg_location/tsrel/ts2", "/home/omm/ts1", "/home/omm/ext1"}
	tos := []string{pgdata, pgdata + "/pg_location/tsrel/ts2", "/home/omm/ts1_r", "/home/omm/ext1_r"}
	for i, place := range p.Places {
		if place.Kind != kinds[i] || place.From != froms[i] || place.To != tos[i] || place.Present != 0 {
			t.Errorf("place %d: %+v", i, place)
		}
	}
	if len(p.Volumes) != 1 || p.Volumes[0].Avail <= 0 || p.Volumes[0].Needed != p.Places[0].Bytes+p.Places[3].Bytes || p.Places[3].Files == 0 {
		t.Errorf("volumes %+v, places %+v", p.Volumes, p.Places)
	}
	if w.exists(pgdata) {
		t.Error("the directory was made")
	}

	w.restored("TOWA57")
	w.put(pgdata + "/base/16384/junk")
	p, err = w.plan(w.again("TOWA5I", restore.IncrementalChecksum))
	w.must(err)
	if p.Mode != restore.IncrementalChecksum || p.Places[0].Present < 20 || !slices.Contains(p.Removed, pgdata+"/base/16384/junk") {
		t.Errorf("%+v", p)
	}
	before := w.tree()
	w.must(w.run(w.again("TOWA5I", restore.IncrementalChecksum)))
	for _, name := range p.Removed {
		if w.exists(name) {
			t.Errorf("%s is still there", name)
		}
	}
	gone := 0
	after := w.tree()
	for name := range before {
		if _, ok := after[name]; !ok {
			gone++
		}
	}
	if gone != len(p.Removed) {
		t.Errorf("%d names were removed, %d were planned", gone, len(p.Removed))
	}
}

// What a restore refuses, its plan refuses, and statuses stay as they are.
func TestPlanRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.setStatus("TOWAGE", "CORRUPT")
	opts := w.options("TOWAGJ")
	if _, err := w.plan(opts); err == nil || err.Error() != "Backup TOWAGE cannot be restored because it is not valid" {
		t.Errorf("corrupt parent: %v", err)
	}
	w.put(pgdata + "/x")
	if _, err := w.plan(opts); err == nil || err.Error() != `Restore destination is not empty: "/home/omm/restored"` {
		t.Errorf("not empty: %v", err)
	}
	if got := w.statuses(); got != "CORRUPT OK OK OK" {
		t.Errorf("statuses %s", got)
	}
}
