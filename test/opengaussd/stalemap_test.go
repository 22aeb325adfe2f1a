package opengaussd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/internal/server"
)

const clearStale = "SELECT pg_catalog.pg_stop_backup()"

// A start over a stale tablespace_map turns backup mode on without an owner.
// However the attempt ends, it is not left on.
func TestStaleMapCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	for _, tc := range []struct {
		name string
		arm  func()
		want string
	}{
		{"connection lost before the map is cleared", func() { w.srv.Inject(Fault{On: clearStale, Times: 1, Drop: true}) }, "ERROR: query failed"},
		{"connection lost after the map was cleared", func() { w.srv.Inject(Fault{On: clearStale, Times: 1, Lose: true}) }, "ERROR: query failed"},
		{"clearing refused once", func() {
			w.srv.Inject(Fault{On: clearStale, Times: 1, Err: &Error{State: "58030", Message: "disk is on fire"}})
		}, "disk is on fire"},
		{"answer to the start lost", func() { w.srv.Inject(Fault{On: "pg_start_backup", Times: 1, Lose: true}) }, "ERROR: query failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			if err := w.srv.LeaveStaleMap(); err != nil {
				t.Fatal(err)
			}
			tc.arm()
			r := w.tool(w.backupArgs("FULL")...)
			if r.exit != 1 || !strings.Contains(r.err, tc.want) {
				t.Errorf("exit %d\n%s", r.exit, clip(r.err))
			}
			if strings.Contains(r.err, "may still be in backup mode") {
				t.Errorf("a false alarm:\n%s", clip(r.err))
			}
			if w.srv.InBackup() {
				t.Errorf("the server is still in backup mode\n%s", clip(r.err))
			}
			w.srv.Heal()
			w.usable()
		})
	}
}

// When backup mode cannot be ended the tool says so, and how to end it.
func TestStaleMapStaysOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	if err := w.srv.LeaveStaleMap(); err != nil {
		t.Fatal(err)
	}
	w.srv.Inject(Fault{On: clearStale, Drop: true})
	w.fails([]string{"the server may still be in backup mode, which could not be ended: query failed"}, "SELECT pg_stop_backup()")
	w.srv.Heal()
	label, err := os.ReadFile(filepath.Join(w.cluster.Dir(), "backup_label"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.mustConnect().Exec(context.Background(), clearStale); err != nil {
		t.Fatalf("%v, label %s", err, label)
	}
	w.usable()
}

// Interrupted while it clears the map, the tool ends backup mode on the
// connection that it has.
func TestStaleMapInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	if err := w.srv.LeaveStaleMap(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.srv.Inject(Fault{On: clearStale, Times: 1, Do: func() error { cancel(); return nil }, Hold: make(chan struct{})})
	c := w.mustConnect()
	if _, err := c.Flavor().StartBackup(ctx, server.StartOptions{Label: "l", Fast: true}); !errors.Is(err, context.Canceled) {
		t.Fatalf("start: %v", err)
	}
	if !w.srv.InBackup() || !c.Flavor().InBackup() {
		t.Fatalf("in backup mode: %v, the session says %v", w.srv.InBackup(), c.Flavor().InBackup())
	}
	if err := c.Flavor().AbortBackup(context.Background()); err != nil {
		t.Error(err)
	}
	if c.Err() != nil {
		t.Errorf("the connection is gone: %v", c.Err())
	}
	w.usable()
}

// A backup that somebody else has started when our session was lost is theirs.
func TestStaleMapForeign(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	if err := w.srv.LeaveStaleMap(); err != nil {
		t.Fatal(err)
	}
	w.srv.Inject(Fault{On: clearStale, Times: 1, Lose: true, After: w.srv.StartForeignBackup})
	w.fails([]string{"ERROR: query failed"}, "take the backup again")
	if !w.srv.InBackup() {
		t.Error("somebody else's backup was stopped")
	}
}
