package cli

import (
	"testing"

	"gsprobackup/internal/backup"
	"gsprobackup/internal/catalog"
)

// The lines of an increment as they were recorded (golden 02_backups, the
// first PTRACK), and those of spec/server.md §3.2 that were not.
func TestParentReadsAsRecorded(t *testing.T) {
	_, stderr := render(t, "6.0", false,
		backup.LatestFull{ID: 1795335657},
		backup.NoParent{ID: id, Status: catalog.StatusError},
		backup.NoParent{ID: id, Fault: backup.BadAncestor, Other: 1795335657},
		backup.NoParent{ID: id, Fault: backup.MissingAncestor, Other: 1795335657},
		backup.NoParent{ID: id, Fault: backup.MissingAncestor},
		backup.ParentChosen{ID: 1795335657},
		backup.ChangeRange{Timeline: 1, ParentStart: 0x5000028, Start: 0x7000028},
		backup.PagemapStarted{From: 0x5000028},
		backup.PagemapEnd{Text: "00000000/07000028"},
		backup.PagemapDone{Elapsed: 4e8},
		backup.ParentMissing{Timeline: 1},
	)
	want := `LOG: Latest valid FULL backup: TOW9UX
WARNING: Backup TOWBV0 has status: ERROR. Cannot be a parent.
WARNING: Backup TOWBV0 has invalid parent: TOW9UX. Cannot be a parent
WARNING: Backup TOWBV0 has missing parent: TOW9UX. Cannot be a parent
WARNING: Backup TOWBV0 has missing parent: 0. Cannot be a parent
INFO: Parent backup: TOW9UX
LOG: Current tli: 1
LOG: Parent start_lsn: 0/5000028
LOG: start_lsn: 0/7000028
INFO: Extracting pagemap of changed blocks
INFO: change bitmap start lsn location is 0/5000028
INFO: change bitmap end lsn location is 00000000/07000028
INFO: Pagemap successfully extracted, time elapsed: 0 sec
WARNING: Valid backup on current timeline 1 is not found, trying to look up on previous timelines
WARNING: Cannot find valid backup on previous timelines, WAL archive is not available
`
	if stderr != want {
		t.Errorf("%s\nwant\n%s", stderr, want)
	}
}
