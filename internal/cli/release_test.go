package cli

import (
	"strings"
	"testing"

	"gsprobackup/internal/backup"
	"gsprobackup/internal/compat"
	"gsprobackup/internal/event"
	"gsprobackup/internal/merge"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/validate"
)

// TestLinesByRelease: lines that only some releases print (spec/cli.md §12).
func TestLinesByRelease(t *testing.T) {
	for _, tt := range []struct {
		line, releases string
		event          event.Event
	}{
		{"INFO: Cannot parse path \"base\"\n", "1.1 3.0", backup.DataDirectory{Estimated: 1}},
		{"INFO: PGDATA size: 1B\n", "1.1 3.0 5.0", backup.DataDirectory{Estimated: 1}},
		{"INFO: PGDATA estimated size: 1B\n", "6.0", backup.DataDirectory{Estimated: 1}},
		{"WARNING: This openGauss instance was initialized without", "1.1", backup.ChecksumState{Enabled: true}},
		{"LOG: This openGauss instance was initialized with data", "3.0 5.0 6.0", backup.ChecksumState{Enabled: true}},
		{"INFO: change bitmap start lsn location is 0/5\n", "3.0 5.0 6.0", backup.PagemapStarted{From: 5}},
		{"INFO: change bitmap end lsn location is x\n", "3.0 5.0 6.0", backup.PagemapEnd{Text: "x"}},
		{"INFO: Start transferring data files\n", "1.1 3.0 5.0", backup.CopyStarted{Files: 1}},
		{"INFO: Start backing up files\n", "6.0", backup.CopyStarted{Files: 1}},
		{"INFO: Finish backuping file\n", "6.0", backup.CopyFinished{}},
		{"INFO: Finish Syncing backup files.\n", "6.0", backup.SyncFinished{}},
		{"INFO: Begin validate file\n", "6.0", validate.FilesStarted{Total: 1}},
		{"INFO: Finish validate file. \n", "6.0", validate.FilesFinished{}},
		{"LOG: Start thread 1\n", "1.1 3.0 5.0", restore.FilesStarted{Bytes: 1}},
		{"INFO: Start restoring backup files. PGDATA size: 1B\n", "1.1 3.0 5.0", restore.FilesStarted{Bytes: 1}},
		{"INFO: Start restoring backup files. DATA size: 1B\n", "6.0", restore.FilesStarted{Bytes: 1}},
		{"INFO: Begin restore file\n", "6.0", restore.FilesStarted{Bytes: 1}},
		{"INFO: Finish restore file\n", "6.0", restore.FilesFinished{}},
		{"INFO: Syncing restored files to disk\n", "1.1 3.0 5.0", restore.SyncStarted{Files: 1}},
		{"INFO: Start Syncing restored files to disk\n", "6.0", restore.SyncStarted{Files: 1}},
		{"INFO: Finish Syncing restored files.\n", "6.0", restore.SyncFinished{}},
		{"LOG: Restore directories and symlinks...\n", "1.1 3.0", restore.MakingDirectories{PGData: "/d"}},
		{"LOG: Restore directories and symlinks... in /d\n", "5.0 6.0", restore.MakingDirectories{PGData: "/d"}},
		{"LOG: Restore directories and symlinks... in /b/dssdata\n", "6.0", merge.DirectoriesMade{Dir: "/b/database"}},
	} {
		for _, release := range compat.Names() {
			_, stderr := render(t, release, false, tt.event)
			want := strings.Contains(tt.releases, release)
			if got := strings.Contains("\n"+stderr, "\n"+tt.line); got != want {
				t.Errorf("%s: %q printed: %t, want %t", release, tt.line, got, want)
			}
		}
	}
}
