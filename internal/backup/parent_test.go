package backup

import (
	"fmt"
	"strings"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/wal"
)

// history makes a list of backups, newest first, from lines like
//
//	5 PTRACK OK 4      backup 5, its parent is 4
//	1 FULL OK 0 tli=2
func history(t *testing.T, text string) catalog.List {
	t.Helper()
	var list catalog.List
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		b := &catalog.Backup{Timeline: 1}
		var mode, status string
		line, tli, _ := strings.Cut(strings.TrimSpace(line), " tli=")
		if _, err := fmt.Sscan(line, &b.ID, &mode, &status, &b.ParentID); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if tli != "" {
			if _, err := fmt.Sscan(tli, &b.Timeline); err != nil {
				t.Fatal(err)
			}
		}
		var ok bool
		if b.Mode, _ = catalog.ParseMode(mode); b.Mode == catalog.ModeInvalid {
			t.Fatalf("mode %q", mode)
		}
		if b.Status, ok = catalog.ParseStatus(status); !ok {
			t.Fatalf("status %q", status)
		}
		list = append(list, b)
	}
	return list
}

func TestChooseParent(t *testing.T) {
	const self = 99
	tests := []struct {
		name   string
		list   string
		want   catalog.ID // 0: none
		events []event.Event
	}{
		{"nothing", "99 PTRACK RUNNING 0", 0, nil},
		{"one FULL", "99 PTRACK RUNNING 0\n1 FULL OK 0", 1, []event.Event{LatestFull{1}}},
		{"DONE will do", "1 FULL DONE 0", 1, []event.Event{LatestFull{1}}},
		{"newest of a chain", "3 PTRACK OK 2\n2 PTRACK DONE 1\n1 FULL OK 0", 3, []event.Event{LatestFull{1}}},
		{"increment started later", "101 PTRACK OK 1\n99 PTRACK RUNNING 0\n1 FULL OK 0", 1, []event.Event{LatestFull{1}}},
		{"FULL started later", "101 FULL OK 0\n99 PTRACK RUNNING 0\n2 PTRACK OK 1\n1 FULL OK 0", 2, []event.Event{LatestFull{1}}},
		{"newest of two branches", "3 PTRACK OK 1\n2 PTRACK OK 1\n1 FULL OK 0", 3, []event.Event{LatestFull{1}}},
		{"no good FULL", "2 PTRACK OK 1\n1 FULL CORRUPT 0", 0, nil},
		{"FULL of another time line", "1 FULL OK 0 tli=2", 0, nil},
		{"older FULL of this time line", "2 FULL OK 0 tli=2\n1 FULL OK 0", 1, []event.Event{LatestFull{1}}},
		{"increment on another time line", "2 PTRACK OK 1 tli=2\n1 FULL OK 0", 1, []event.Event{LatestFull{1}}},
		{
			"failed attempts", "99 PTRACK RUNNING 0\n4 PTRACK ERROR 1\n3 PTRACK ORPHAN 2\n2 PTRACK CORRUPT 1\n1 FULL OK 0", 1,
			[]event.Event{LatestFull{1}, NoParent{ID: 4, Status: catalog.StatusError}, NoParent{ID: 3, Status: catalog.StatusOrphan}, NoParent{ID: 2, Status: catalog.StatusCorrupt}},
		},
		{
			"another running backup", "5 FULL RUNNING 0\n1 FULL OK 0", 1,
			[]event.Event{LatestFull{1}, NoParent{ID: 5, Status: catalog.StatusRunning}},
		},
		{
			"bad ancestor, the oldest is named", "5 PTRACK OK 4\n4 PTRACK ERROR 3\n3 PTRACK CORRUPT 2\n2 PTRACK OK 1\n1 FULL OK 0", 2,
			[]event.Event{
				LatestFull{1}, NoParent{ID: 5, Fault: BadAncestor, Other: 3},
				NoParent{ID: 4, Status: catalog.StatusError}, NoParent{ID: 3, Status: catalog.StatusCorrupt},
			},
		},
		{
			"missing ancestor", "5 PTRACK OK 4\n3 PTRACK OK 0\n1 FULL OK 0", 1,
			[]event.Event{LatestFull{1}, NoParent{ID: 5, Fault: MissingAncestor, Other: 4}, NoParent{ID: 3, Fault: MissingAncestor}},
		},
		{
			"increments of an older FULL do not count", "4 PTRACK OK 1\n3 FULL OK 0\n1 FULL OK 0", 3,
			[]event.Event{LatestFull{3}},
		},
		{"merged chain", "3 FULL MERGING 0\n2 FULL MERGED 0\n1 FULL OK 0", 1, []event.Event{
			LatestFull{1}, NoParent{ID: 3, Status: catalog.StatusMerging}, NoParent{ID: 2, Status: catalog.StatusMerged},
		}},
	}
	for _, tt := range tests {
		var events []event.Event
		got := chooseParent(history(t, tt.list), wal.Timeline(1), self, func(e event.Event) { events = append(events, e) })
		id := catalog.ID(0)
		if got != nil {
			id = got.ID
		}
		if id != tt.want || fmt.Sprintf("%+v", events) != fmt.Sprintf("%+v", tt.events) {
			t.Errorf("%s: %d, want %d\nevents %+v\nwant   %+v", tt.name, id, tt.want, events, tt.events)
		}
	}
}
