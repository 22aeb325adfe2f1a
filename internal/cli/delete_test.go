package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deleteWorld has the catalog 02b (F ← p ← q, four FULLs) under /home/omm/b.
func deleteWorld(t *testing.T) *world {
	w := newWorld(t)
	w.stage("unpack", "02b_backups_compressed", "/home/omm/b")
	w.stage("replace", "/home/omm/b/backups/n1/pg_probackup.conf", "log-level-file = VERBOSE", "log-level-file = OFF")
	return w
}

func (w *world) backups() string {
	w.t.Helper()
	names, err := filepath.Glob(w.real(home + "/b/backups/n1/TOW*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return strings.Join(names, " ")
}

// A merge that fails ends the run before anything is deleted. These backups
// have no files.
func TestMergeExpiredComesFirst(t *testing.T) {
	w := deleteWorld(t)
	for _, id := range []string{"TOWA57", "TOWA5D"} { // their child stays within the window
		for _, key := range []string{"recovery-time", "end-time"} {
			w.stage("replace", "/home/omm/b/backups/n1/"+id+"/backup.control", key+" = '2026-11-22", key+" = '2026-11-01")
		}
	}
	before := w.backups()
	r := w.run(strings.Fields("delete -B /home/omm/b --instance n1 --delete-expired --merge-expired --retention-window=7"), nil)
	if r.exit != 1 || !strings.HasSuffix(r.stderr, `INFO: Consider backup TOWA5I for merge
INFO: Merge incremental chain between full backup TOWA57 and backup TOWA5I
INFO: Merging backup TOWA5I with parent chain
INFO: Validate parent chain for backup TOWA5I
INFO: Validating backup TOWA57
ERROR: cannot open "/home/omm/b/backups/n1/TOWA57/backup_content.control": No such file or directory
`) {
		t.Errorf("exit %d\n%s", r.exit, r.stderr)
	}
	if got := w.backups(); got != before {
		t.Errorf("left: %s", got)
	}
	// Without merging they are retained.
	r = w.run(strings.Fields("delete -B /home/omm/b --instance n1 --delete-expired --retention-window=7"), nil)
	want := `LOG: Consider backup TOWA5D for purge
LOG: Check if backup TOWA5D is parent of backup TOWA5I
LOG: Retain backup TOWA5D because his descendant TOWA5I is guarded by retention
LOG: Consider backup TOWA57 for purge
LOG: Check if backup TOWA57 is parent of backup TOWA5I
LOG: Retain backup TOWA57 because his descendant TOWA5I is guarded by retention
INFO: There are no backups to merge by retention policy
INFO: There are no backups to delete by retention policy
INFO: There is no WAL to purge by retention policy
`
	if r.exit != 0 || !strings.HasSuffix(r.stderr, want) || w.backups() != before {
		t.Errorf("exit %d\n%s", r.exit, r.stderr)
	}
}

// --explain says what a dry run would do; the C tool's does not.
func TestExplain(t *testing.T) {
	w := deleteWorld(t)
	before := w.backups()
	r := w.run(strings.Fields("delete -B /home/omm/b --instance n1 --delete-expired --retention-redundancy=4 --dry-run --explain"), nil)
	for _, line := range []string{
		"INFO: Backup TOWA5M: keep, because its FULL backup TOWA5M is within redundancy\n",
		"INFO: Backup TOWA5I: delete, because it is expired\n",
	} {
		if !strings.Contains(r.stderr, line) {
			t.Errorf("no %s in\n%s", line, r.stderr)
		}
	}
	if r.exit != 0 || w.backups() != before {
		t.Errorf("exit %d, left %s", r.exit, w.backups())
	}
}

// Release 1.1 counts hours, later ones days.
func TestWindowByRelease(t *testing.T) {
	for profile, expired := range map[string]bool{"1.1": false, "3.0": true, "6.0": true} {
		t.Run(profile, func(t *testing.T) {
			w := deleteWorld(t)
			w.now = w.now.AddDate(0, 0, 1).Add(-2 * time.Hour) // next morning, not yet a day later
			r := w.run(strings.Fields("delete -B /home/omm/b --instance n1 --delete-expired --retention-window=1 --dry-run"),
				map[string]string{"GS_PROBACKUP_COMPAT": profile})
			if strings.Contains(r.stderr, "Expired") != expired {
				t.Error(r.stderr)
			}
		})
	}
}

// Neither delete -i nor retention takes any directory for a backup.
func TestDeleteLeavesDirectories(t *testing.T) {
	w := deleteWorld(t)
	if err := os.MkdirAll(w.real(home+"/b/backups/n1/TOW000/my files"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := w.run(strings.Fields("delete -B /home/omm/b --instance n1 -i TOW000"), nil)
	if r.exit != 1 || !strings.Contains(r.stderr, "ERROR: Directory \"/home/omm/b/backups/n1/TOW000\" is not a backup\n") {
		t.Errorf("exit %d\n%s", r.exit, r.stderr)
	}
	w.now = w.now.AddDate(0, 0, 9)
	r = w.run(strings.Fields("delete -B /home/omm/b --instance n1 --delete-expired --retention-window=1"), nil)
	if r.exit != 0 || !strings.Contains(r.stderr, "WARNING: Skip purging backup TOW000, because it contains files that no backup has\n") || w.backups() != "TOW000" {
		t.Errorf("exit %d, left %s\n%s", r.exit, w.backups(), r.stderr)
	}
}

// TestDelInstanceDryRun: nothing is deleted, and everything that would be is
// named (spec/cli.md §13 row 7).
func TestDelInstanceDryRun(t *testing.T) {
	w := baseWorld(t)
	r := w.run(strings.Fields("del-instance -B /home/omm/b --instance n1 --dry-run"), nil)
	want := `INFO: Backup TOW9VJ with status OK can be deleted
INFO: Backup TOW9VF with status OK can be deleted
INFO: Backup TOW9VA with status OK can be deleted
INFO: Backup TOW9V6 with status OK can be deleted
INFO: Backup TOW9V2 with status OK can be deleted
INFO: Backup TOW9UX with status OK can be deleted
INFO: Backup TOW9UV with status ERROR can be deleted
INFO: Resident data size to free by delete of 7 backups: 2900MB
INFO: Instance 'n1' can be deleted
`
	if r.exit != 0 || r.stderr != want {
		t.Errorf("exit %d\n%s", r.exit, r.stderr)
	}
	if shown := w.run(strings.Fields("show -B /home/omm/b --instance n1"), nil); strings.Count(shown.stdout, " OK ") != 6 {
		t.Errorf("afterwards:\n%s", shown.stdout)
	}
}

// A parent that is missing is named where the C tool meets it, by merge behind
// its first line, and by retention when it counts FULL backups.
func TestMissingParentIsNamed(t *testing.T) {
	w := deleteWorld(t)
	if err := os.RemoveAll(w.real(home + "/b/backups/n1/TOWA57")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.real(home+"/b/backups/n1/stray"), 0o700); err != nil {
		t.Fatal(err)
	}
	stray := "WARNING: Control file \"/home/omm/b/backups/n1/stray/backup.control\" doesn't exist\n"
	r := w.run(strings.Fields("merge -B /home/omm/b --instance n1 -i TOWA5I"), nil)
	want := "INFO: Merge started\n" + stray + "WARNING: Backup TOWA57 is missing\nERROR: Failed to find parent full backup for TOWA5I\n"
	if r.exit != 1 || r.stderr != want {
		t.Errorf("exit %d\n%s\nwant\n%s", r.exit, r.stderr, want)
	}
	for policy, told := range map[string]bool{"--retention-redundancy=2": true, "--retention-window=2": false} {
		r = w.run(strings.Fields("delete -B /home/omm/b --instance n1 --delete-expired --dry-run "+policy), nil)
		lines := "INFO: Evaluate backups by retention\n"
		if told {
			lines += "WARNING: Failed to find parent FULL backup for STRAY\n" + strings.Repeat("WARNING: Backup TOWA57 is missing\n", 2)
		}
		if lines += "INFO: Backup "; r.exit != 0 || !strings.Contains(r.stderr, lines) {
			t.Errorf("%s: exit %d\n%s\nwant\n%s", policy, r.exit, r.stderr, lines)
		}
	}
}

// Somebody's file in the instance's directory stays, in the C tool's words.
func TestDelInstanceLeavesFiles(t *testing.T) {
	w := newWorld(t)
	for _, dir := range []string{"wal/a", "backups/a"} {
		w.stage("mkdir", filepath.Join(home, "b", dir))
	}
	for _, name := range []string{"pg_probackup.conf", "mine"} {
		if err := os.WriteFile(w.real(home+"/b/backups/a/"+name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := w.run(strings.Fields("del-instance -B /home/omm/b --instance a"), nil)
	if r.exit != 1 || r.stderr != "ERROR: Can't remove \"/home/omm/b/backups/a\": Directory not empty\n" {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
	if _, err := os.Stat(w.real(home + "/b/backups/a/mine")); err != nil {
		t.Error(err)
	}
}
