package retention

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// A merge that was cut off is finished before anything is decided, also when
// its increments are gone already. When a member is bad, when a backup that is
// kept needs one, or while somebody else is at work on it, it stays as it is.
func TestFinishMerges(t *testing.T) {
	merging := func(status catalog.Status) func(*testing.T, *catalog.Instance) {
		return func(t *testing.T, inst *catalog.Instance) {
			change(t, inst, idF1, func(b *catalog.Backup) { b.Status, b.MergeDestID = status, idB })
		}
	}
	beside := func(pin time.Time) func(*testing.T, *catalog.Instance) {
		return func(t *testing.T, inst *catalog.Instance) {
			change(t, inst, idF1, func(b *catalog.Backup) { b.Status, b.MergeDestID = catalog.StatusMerging, idA })
			change(t, inst, idB, func(b *catalog.Backup) { b.ParentID, b.ExpireTime = idF1, pin })
		}
	}
	without := func(t *testing.T, inst *catalog.Instance, ids ...catalog.ID) {
		merging(catalog.StatusMerged)(t, inst)
		for _, id := range ids {
			if err := os.RemoveAll(filepath.Join(inst.Dir(), id.String())); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(*testing.T, *catalog.Instance)
		answer  error
		want    string
	}{
		{"not begun", func(*testing.T, *catalog.Instance) {}, nil, "merge F2 to k, delete b, delete a, delete F1"},
		{"MERGING", merging(catalog.StatusMerging), nil, "finish F1, merge F2 to k, "},
		{"MERGED", merging(catalog.StatusMerged), nil, "finish F1, merge F2 to k, "},
		{"an increment is gone", func(t *testing.T, inst *catalog.Instance) { without(t, inst, idA) }, nil, "finish F1, merge F2 to k, "},
		{"all are gone", func(t *testing.T, inst *catalog.Instance) { without(t, inst, idA, idB) }, nil, "finish F1, merge F2 to k, "},
		{"a member is bad", func(t *testing.T, inst *catalog.Instance) {
			merging(catalog.StatusMerging)(t, inst)
			change(t, inst, idA, func(b *catalog.Backup) { b.Status = catalog.StatusCorrupt })
		}, nil, "merge F2 to k, "},
		{"an expired backup beside it", beside(time.Time{}), nil, "finish F1, merge F2 to k, "},
		{"a pinned backup beside it", beside(today.AddDate(1, 0, 0)), nil, "merge F2 to k, "},
		{"a failed backup beside it", func(t *testing.T, inst *catalog.Instance) {
			beside(today.AddDate(1, 0, 0))(t, inst)
			change(t, inst, idB, func(b *catalog.Backup) { b.Status = catalog.StatusError })
		}, nil, "finish F1, merge F2 to k, "},
		{"two", func(t *testing.T, inst *catalog.Instance) {
			merging(catalog.StatusMerged)(t, inst)
			change(t, inst, idF2, func(b *catalog.Backup) { b.Status, b.MergeDestID = catalog.StatusMerged, idK })
		}, nil, "finish F2, finish F1, "},
		{"in use", merging(catalog.StatusMerging), fmt.Errorf("merge: %w", lock.ErrHeld), "finish F1, merge F2 to k, "},
		{"without room", merging(catalog.StatusMerging), syscall.ENOSPC, "finish F1, merge F2 to k, "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "b")
			if err := build(fsx.OS(), root); err != nil {
				t.Fatal(err)
			}
			inst, err := instance(fsx.OS(), root, event.Discard)
			if err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, inst)
			var log []string
			_, err = purge(fsx.OS(), root, events(t, &log, nil), mergerFunc(func(chain catalog.List) error {
				if len(chain) > 1 {
					return nil
				}
				log = append(log, map[catalog.ID]string{idF1: "finish F1", idF2: "finish F2"}[chain[0].ID])
				return tt.answer
			}))
			want := tt.answer
			if errors.Is(want, lock.ErrHeld) {
				want = nil
			}
			if !errors.Is(err, want) {
				t.Error(err)
			}
			if got := strings.Join(log, ", "); !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Where nothing is to be deleted, no backup beside an unfinished merge is.
func TestFinishWithoutDeleting(t *testing.T) {
	for purge, want := range map[bool]int{true: 1, false: 0} {
		root := filepath.Join(t.TempDir(), "b")
		if err := build(fsx.OS(), root); err != nil {
			t.Fatal(err)
		}
		inst, err := instance(fsx.OS(), root, event.Discard)
		if err != nil {
			t.Fatal(err)
		}
		change(t, inst, idF1, func(b *catalog.Backup) { b.Status, b.MergeDestID = catalog.StatusMerging, idA })
		change(t, inst, idB, func(b *catalog.Backup) { b.ParentID = idF1 })
		finished := 0
		merger := mergerFunc(func(chain catalog.List) error {
			if len(chain) == 1 {
				finished++
			}
			return nil
		})
		_, err = Run(ctx, Deps{FS: fsx.OS(), Instance: inst, Sink: event.Discard, Now: func() time.Time { return today }, Merger: merger},
			Options{Policy: Policy{Redundancy: 1, Delete: purge, Merge: true}})
		if err != nil || finished != want {
			t.Errorf("delete %v: %v, finished %d", purge, err, finished)
		}
	}
}
