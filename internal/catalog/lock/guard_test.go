package lock

import (
	"context"
	"errors"
	"os"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

func TestGuard(t *testing.T) {
	dir := t.TempDir()
	var events []event.Event
	sink := event.Func(func(e event.Event) { events = append(events, e) })
	// Two commands, as far as flock is concerned.
	backup, other := New(fsx.OS(), sink), New(fsx.OS(), sink)
	ctx := context.Background()
	destroy := func(l *Locker) (*Lock, error) {
		return l.Acquire(ctx, dir, "TOW9UX", Intent{Destructive: true})
	}

	one, err := backup.Share(dir)
	if err != nil {
		t.Fatal(err)
	}
	two, err := other.Share(dir)
	if err != nil {
		t.Fatalf("a second incremental backup: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files left in the backup, %v", len(entries), err)
	}
	if k, err := other.Acquire(ctx, dir, "TOW9UX", Intent{}); err != nil {
		t.Errorf("a restore is kept away: %v", err)
	} else if err := k.Release(); err != nil {
		t.Error(err)
	}
	for _, s := range []*Shared{one, two} {
		events = nil
		if _, err := destroy(other); !errors.Is(err, ErrHeld) || len(events) != 1 || events[0] != (InUse{"TOW9UX"}) {
			t.Errorf("a deletion is not kept away: %v, events %v", err, events)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("%d files left in the backup, %v", len(entries), err)
		}
		if err := s.Release(); err != nil {
			t.Fatal(err)
		}
	}

	// A lock that was enough to read becomes one to destroy with.
	reader, err := other.Acquire(ctx, dir, "TOW9UX", Intent{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := destroy(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Share(dir); !errors.Is(err, ErrHeld) {
		t.Errorf("shared while it is being deleted: %v", err)
	}
	if err := k.Release(); err != nil {
		t.Fatal(err)
	}
	s, err := backup.Share(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Share(dir + "/gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}
