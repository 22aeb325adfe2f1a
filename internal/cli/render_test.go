package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/backup"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/compat"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/server"
	"gsprobackup/internal/validate"
	"gsprobackup/internal/wal/walstream"
)

const id = catalog.ID(1795338252) // TOWBV0

// render lets a console of a release print events.
func render(t *testing.T, profile string, perFile bool, events ...event.Event) (stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	p, err := compat.Lookup(profile)
	if err != nil {
		t.Fatal(err)
	}
	env := OSEnv()
	env.Location = time.UTC
	env.Now = func() time.Time { return time.Date(2026, 11, 22, 9, 4, 13, 0, time.UTC) }
	s := newSession([]string{"x"}, Streams{Out: &out, Err: &errOut}, env)
	s.profile = p
	s.console = newConsole(s)
	s.console.perFile, s.console.threads = perFile, 1
	for _, e := range events {
		s.console.Emit(e)
	}
	return out.String(), errOut.String()
}

// A whole backup reads as it was recorded (golden 17_standby_and_misc, step 8).
func TestBackupReadsAsRecorded(t *testing.T) {
	segment := "/home/omm/b7/backups/n1/TOWBV0/database/pg_xlog/0000000100000000000000ED"
	stdout, stderr := render(t, "6.0", false,
		backup.Started{ID: id, Instance: "n1", Mode: catalog.ModeFull, Stream: true, Algorithm: compress.None, CompressLevel: 1},
		backup.DestinationReady{ID: id},
		backup.ChecksumState{Enabled: true},
		backup.CopyPrepared{},
		backup.StreamIdentified{LSN: 0xED000000, Timeline: 1},
		walstream.StreamStarted{LSN: 0xED000000, Timeline: 1},
		walstream.KeepaliveReceived{},
		backup.DataDirectory{BackupDir: "/home/omm/b7/backups/n1/TOWBV0", Estimated: 1688 << 20, Space: fsx.Space{
			BlockSize: 4096, Blocks: 66053021, BlocksFree: 54794893, BlocksAvail: 12617188, Files: 16777216, FilesFree: 16175746}},
		backup.CopyStarted{Files: 2},
		backup.HeaderMapCreated{Path: "/home/omm/b7/backups/n1/TOWBV0/page_header_map"},
		backup.FileCopied{Path: "a", Done: 1, Total: 2},
		backup.FileCopied{Path: "b", Done: 2, Total: 2},
		backup.CopyFinished{},
		backup.Transferred{Elapsed: 3 * time.Second},
		backup.StopWaiting{},
		backup.StopDone{},
		backup.StopLSN{LSN: 0xED0001E8},
		backup.LookingForLSN{LSN: 0xED0001E8, Segment: "0000000100000000000000ED"},
		backup.SegmentFound{Path: segment},
		backup.OpeningSegment{Path: segment},
		backup.LSNFound{LSN: 0xED0001E8},
		backup.StreamFinished{LSN: 0xEE000000, Timeline: 1},
		backup.RecoveryTimeSearch{Segment: segment},
		backup.SyncStarted{Files: 2},
		backup.SyncFinished{Files: 2, Elapsed: time.Second},
		validate.Started{ID: id},
		validate.FilesStarted{Total: 3},
		validate.FileChecked{Path: "a", Done: 1, Total: 3},
		validate.FileChecked{Path: "b", Done: 3, Total: 3},
		validate.FilesFinished{},
		validate.FilesValid{ID: id},
		backup.Completed{ID: id, Resident: 1704 << 20},
	)
	want := `INFO: Backup start, gs_probackup version: 2.4.2, instance: n1, backup ID: TOWBV0, backup mode: FULL, wal mode: STREAM, remote: false, compress-algorithm: none, compress-level: 1
LOG: Backup destination is initialized
LOG: This openGauss instance was initialized with data block checksums. Data block corruption will be detected
LOG: Database backup start
LOG: started streaming WAL at 0/ED000000 (timeline 1)
<100>[2026-11-22 09:04:13]: check identify system success
<100>[2026-11-22 09:04:13]: send START_REPLICATION 0/ED000000 success
<100>[2026-11-22 09:04:13]: keepalive message is received
INFO: The instance_config.pgdata is: /home/omm/b7/backups/n1/TOWBV0
INFO: bsize:4096, blocks:66053021, bfree:54794893, bavail:12617188, bfiles:16777216, bffree:16175746,
INFO: PGDATA estimated size: 1688MB
INFO: The remaining disk space is: 48GB; The required space for backup is: 1688MB;
INFO: Start backing up files
LOG: Creating page header map "/home/omm/b7/backups/n1/TOWBV0/page_header_map"
INFO: Finish backuping file
INFO: Data files are transferred, time elapsed: 3s
INFO: wait for pg_stop_backup()
INFO: pg_stop backup() successfully executed
LOG: stop_lsn: 0/ED0001E8
LOG: Looking for LSN 0/ED0001E8 in segment: 0000000100000000000000ED
LOG: Found WAL segment: ` + segment + `
LOG: Thread [0]: Opening WAL segment "` + segment + `"
LOG: Found LSN: 0/ED0001E8
LOG: finished streaming WAL at 0/EE000000 (timeline 1)
LOG: Getting the Recovery Time from WAL
LOG: Thread [0]: Opening WAL segment "` + segment + `"
INFO: Syncing backup files to disk
INFO: Finish Syncing backup files.
INFO: Backup files are synced, time elapsed: 1s
INFO: Validating backup TOWBV0
INFO: Begin validate file
INFO: Finish validate file. 
INFO: Backup TOWBV0 data files are valid
INFO: Backup TOWBV0 resident size: 1704MB
INFO: Backup TOWBV0 completed
`
	diffLines(t, "stderr", strings.ReplaceAll(stderr, strings.Repeat(" ", 100)+"\r", "<100>"), want)
	full := "Progress: [" + strings.Repeat("=", 50) + "] 100% "
	wantOut := "Progress: [" + strings.Repeat("=", 25) + strings.Repeat(" ", 25) + "] 50% (1/2, done_files/total_files). backup file \r" +
		full + "(2/2, done_files/total_files). backup file \n" +
		full + "(2/2, sync_files/total_files). Sync backup file \r" +
		full + "(2/2, done_files/total_files). Sync backup file \n" +
		"Progress: [" + strings.Repeat("=", 16) + strings.Repeat(" ", 34) + "] 33% (1/3, done_files/total_files). validate file \r" +
		full + "(3/3, done_files/total_files). validate file \n"
	if stdout != wantOut {
		t.Errorf("stdout %q\nwant %q", stdout, wantOut)
	}
}

// The same events in the words of older releases.
func TestOlderReleasesReadDifferently(t *testing.T) {
	events := []event.Event{
		backup.DataDirectory{Estimated: 10 << 20},
		backup.CopyStarted{Files: 1},
		backup.FileCopied{Path: "a", Done: 1, Total: 1},
		backup.CopyFinished{},
		validate.FilesStarted{Total: 1}, validate.FileChecked{Path: "b", Done: 1, Total: 1}, validate.FilesFinished{},
		restore.FilesStarted{Files: 1, Bytes: 1 << 20},
		walstream.KeepaliveReceived{},
		walstream.SegmentPartialLeft{Path: "/w/000000010000000000000076.partial"},
	}
	stdout, stderr := render(t, "5.0", true, events...)
	want := `INFO: PGDATA size: 10MB
INFO: Start transferring data files
INFO: Progress: (1/1). Process file "a"
INFO: Progress: (1/1). Validate file "b"
INFO: Start restoring backup files. PGDATA size: 1024kB
LOG: Start thread 1
<100>[2026-11-22 09:04:13]: keepalive message is received
[2026-11-22 09:04:13]:(null): not renaming "/w/000000010000000000000076", segment is not complete.
`
	diffLines(t, "5.0", strings.ReplaceAll(stderr, strings.Repeat(" ", 100)+"\r", "<100>"), want)
	if stdout != "" {
		t.Errorf("5.0 has no bars: %q", stdout)
	}
	_, stderr = render(t, "1.1", false, events[len(events)-2:]...)
	want = "<100> keepalive message is received\n(null): not renaming 000000010000000000000076, segment is not complete.\n"
	diffLines(t, "1.1", strings.ReplaceAll(stderr, strings.Repeat(" ", 100)+"\r", "<100>"), want)
}

func TestMessages(t *testing.T) {
	fault := errors.New("fault")
	for _, tt := range []struct {
		event event.Event
		want  string
	}{
		{catalog.UnknownOption{Key: "k", File: "f"}, `WARNING: Invalid option "k" in file "f"`},
		{catalog.Deleting{Backup: catalog.Backup{ID: id}}, "INFO: Delete: TOWBV0 1970-01-01 00:00:00+00"},
		{lock.ProcessAlive{PID: 7, Backup: "TOWBV0"}, "WARNING: Process 7 is using backup TOWBV0 and still is running"},
		{lock.ProcessGone{PID: 7, Backup: "TOWBV0"}, "WARNING: Process 7 which used backup TOWBV0 no longer exists"},
		{server.Notice{Text: "NOTICE:  n\n"}, "NOTICE:  n"},
		{backup.Pinned{ID: id, Until: time.Unix(0, 0)}, "INFO: Backup TOWBV0 is pinned until '1970-01-01 00:00:00+00'"},
		{backup.NoteAdded{ID: id, Note: "n"}, "INFO: Adding note to backup TOWBV0: 'n'"},
		{backup.NoteRemoved{ID: id}, "INFO: Removing note from backup TOWBV0"},
		{backup.SyncSkipped{}, "WARNING: Backup files are not synced to disk"},
		{backup.StopAfterFailure{}, "WARNING: backup in progress, stop backup"},
		{backup.MarkedError{ID: id}, "WARNING: Backup TOWBV0 is running, setting its status to ERROR"},
		{backup.TransferFailed{}, "ERROR: Data files transferring failed, time elapsed: 0"},
		{backup.ReplicationSlots{}, "LOG: logical replication slots for subscriptions not found"},
		{validate.Started{ID: id, Revalidate: true}, "INFO: Revalidating backup TOWBV0"},
		{validate.FileMissing{Path: "p"}, `WARNING: Backup file "p" is not found`},
		{validate.FileSize{Path: "p", Found: 1, Expected: 2}, `WARNING: Invalid size of backup file "p" : 1. Expected 2`},
		{validate.FileCRC{Path: "p", Found: 0xab, Expected: 0xcd}, `WARNING: Invalid CRC of backup file "p" : AB. Expected CD`},
		{validate.FileCRC{Path: "p", Found: 0xab, Expected: 0xcd, Paged: true}, `WARNING: Invalid CRC of backup file "p": AB. Expected CD`},
		{validate.PageChecksum{Path: "/b/p", File: "p", Block: 3, Found: 4}, "WARNING: File: p blknum 3 have wrong checksum: 4"},
		{validate.HeadersDamaged{Path: "/b/p", File: "p", Err: fault}, "WARNING: An error occured during metadata decompression for file \"p\": data error\nWARNING: Cannot get page headers for file \"/b/p\""},
		{validate.HeadersUnreadable{Path: "p", MapPath: "m", Err: fault}, "WARNING: Cannot open header file1 \"m\": fault\nWARNING: Cannot get page headers for file \"p\""},
		{validate.OrphanBadParent{ID: id, Parent: id, ParentStatus: catalog.StatusCorrupt, Marked: true}, "WARNING: Backup TOWBV0 is orphaned because his parent TOWBV0 has status: CORRUPT"},
		{validate.OrphanMissingParent{ID: id}, "WARNING: Backup TOWBV0 has missing parent 0"},
		{validate.Skipped{ID: id, Status: catalog.StatusMerging}, "WARNING: Backup TOWBV0 has status MERGING. Skip validation."},
		{validate.WALInsufficient{ID: id, Start: 0x28, Stop: 0x1E8}, "WARNING: There are not enough WAL records to consistenly restore backup TOWBV0 from START LSN: 0/28 to STOP LSN: 0/1E8"}, //nolint:misspell // the C tool's spelling
		{restore.Began{}, "LOG: Restore begin."},
		{restore.Began{Validate: true}, "LOG: Validate begin."},
		{restore.MakingDirectories{PGData: "/d"}, "LOG: Restore directories and symlinks... in /d"},
		{restore.SyncSkipped{}, "WARNING: Restored files are not synced to disk"},
		{restore.Completed{ID: id}, "INFO: Restore of backup TOWBV0 completed."},
		{restore.FilesFinished{Written: 50 << 20, Bytes: 100 << 20, Elapsed: time.Second},
			"INFO: Finish restore file\nINFO: Backup files are restored. Transfered bytes: 50MB, time elapsed: 1s\nINFO: Restore incremental ratio (less is better): 50% (50MB/100MB)"}, //nolint:misspell // the C tool's spelling
		{struct{ X int }{1}, ""}, // unknown events are for VERBOSE only
	} {
		_, stderr := render(t, "6.0", false, tt.event)
		if got := strings.TrimSuffix(stderr, "\n"); got != tt.want {
			t.Errorf("%T:\n got %s\nwant %s", tt.event, got, tt.want)
		}
	}
}

// With bars, the lines of --progress go to the log file only.
func TestProgressLines(t *testing.T) {
	w := baseWorld(t)
	var console bytes.Buffer
	env := OSEnv()
	s := newSession([]string{"x"}, Streams{Out: &console, Err: &console}, env)
	if err := s.useProfile("6.0"); err != nil {
		t.Fatal(err)
	}
	_, err := s.prepare(t.Context(), commandRules{name: "show", takesID: true}, strings.Fields(w.real("-B /home/omm/b --instance=n1 --progress --log-level-file=info")))
	if err != nil {
		t.Fatal(err)
	}
	s.console.Emit(restore.FileRestored{Path: "base/1", Done: 1, Total: 2})
	s.close()
	if log := w.read(home + "/b/log/pg_probackup.log"); !strings.HasSuffix(log, `INFO: Progress: (1/2). Restore file "base/1"`+"\n") || console.Len() != 0 {
		t.Errorf("log %q, console %q", log, console.String())
	}
}
