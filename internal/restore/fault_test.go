package restore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/test/golden"
)

// A full disk, a file that cannot be read, and what else fails in the middle:
// the error names the file, no server starts on what is there, and the same
// command completes it when the cause is gone.
func TestFaultsInTheMiddle(t *testing.T) {
	isWrite := func(op faultfs.Op) bool { return op.Kind == faultfs.Write }
	for _, tt := range []struct {
		name  string
		mode  restore.Incremental
		fault faultfs.Fault
		first int // operations that match and go well, at least
	}{
		{"disk full", restore.IncrementalNone, faultfs.Fault{Match: isWrite, Sticky: true, Err: unix.ENOSPC}, 2},
		{"disk full, incremental", restore.IncrementalChecksum, faultfs.Fault{Match: isWrite, Sticky: true, Err: unix.ENOSPC}, 2},
		{"unreadable source", restore.IncrementalNone, faultfs.Fault{Match: func(op faultfs.Op) bool {
			return op.Kind == faultfs.Read && strings.Contains(op.Path, "/database/base/")
		}, Err: unix.EIO}, 0},
		{"unreadable target", restore.IncrementalChecksum, faultfs.Fault{Match: func(op faultfs.Op) bool {
			return op.Kind == faultfs.Read && strings.Contains(op.Path, pgdata+"/base/")
		}, Err: unix.EIO}, 0},
		{"fsync fails", restore.IncrementalNone, faultfs.Fault{Match: func(op faultfs.Op) bool {
			return op.Kind == faultfs.Sync && strings.Contains(op.Path, pgdata+"/base/")
		}, Err: unix.EIO}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, golden.Mixed)
			w.restored("TOWAGR")
			want := w.tree()
			if tt.mode == restore.IncrementalNone {
				w.must(os.RemoveAll(w.m.Path(pgdata)))
			} else {
				w.must(w.run(w.again("TOWAGE", restore.IncrementalChecksum)))
			}
			faults := faultfs.New(w.m.FS())
			tt.fault.Nth = 1 + tt.first + rand.New(rand.NewPCG(3, 4)).IntN(3)
			faults.Inject(tt.fault)
			opts := w.again("TOWAGR", tt.mode)
			opts.NoSync = false
			err := restore.Run(context.Background(), restore.Deps{FS: faults, Host: remote.Local(faults)}, opts)
			if !errors.Is(err, tt.fault.Err) || !strings.Contains(err.Error(), "/base/") && !strings.Contains(err.Error(), pgdata+"/") {
				t.Fatalf("got %v", err)
			}
			if w.exists(pgdata + "/global/pg_control") {
				t.Error("the torso can be started")
			}
			w.must(w.run(opts))
			w.sameTree(w.tree(), want)
		})
	}
}
