package validate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
	"gsprobackup/test/golden"
)

// world is a small catalog of the C tool and what a validation of it said.
type world struct {
	t       *testing.T
	m       golden.Machine
	c       golden.Catalog
	threads int
	// before, if set, runs when an event is emitted.
	before func(event.Event)

	mu   sync.Mutex
	said []string
}

func newWorld(t *testing.T, name string) *world {
	t.Helper()
	m, c := golden.Start(t, name)
	return &world{t: t, m: m, c: c, threads: 1}
}

// path is the real place of a file in a backup's directory.
func (w *world) path(id, rel string) string { return w.m.Path(w.c.BackupDir(id) + "/" + rel) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// edit changes the bytes of a stored file.
func (w *world) edit(id, rel string, change func([]byte) []byte) {
	w.t.Helper()
	raw, err := os.ReadFile(w.path(id, rel))
	w.must(err)
	raw = change(raw)
	w.must(os.WriteFile(w.path(id, rel), raw, 0o600))
}

// flip turns one bit.
func (w *world) flip(id, rel string, at int) {
	w.t.Helper()
	w.edit(id, rel, func(b []byte) []byte { b[at] ^= 0x10; return b })
}

// replace changes text that must be there.
func (w *world) replace(id, rel, old, new string) {
	w.t.Helper()
	w.edit(id, rel, func(b []byte) []byte {
		if !strings.Contains(string(b), old) {
			w.t.Fatalf("%s has no %q", rel, old)
		}
		return []byte(strings.Replace(string(b), old, new, 1))
	})
}

// hold locks a backup for a process that lives and is ours, as another run
// would be.
func (w *world) hold(id string) {
	w.t.Helper()
	cmd := exec.Command("cat") // until its input ends
	in, err := cmd.StdinPipe()
	w.must(err)
	w.must(cmd.Start())
	w.t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			w.t.Error(err)
		}
	})
	w.must(os.WriteFile(w.path(id, "backup.pid"), fmt.Appendf(nil, "%d\n", cmd.Process.Pid), 0o600))
}

func (w *world) instance() *catalog.Instance {
	w.t.Helper()
	inst, err := catalog.Open(w.m.FS(), w.c.Dir, catalog.Options{Sink: w}).Instance(w.c.Instance)
	w.must(err)
	return inst
}

// validate runs over the instance and returns C's lines for what happened.
func (w *world) validate() ([]string, validate.InstanceResult) {
	w.t.Helper()
	deps := validate.Deps{FS: w.m.FS(), Instance: w.instance(), Sink: w}
	w.said = nil
	res, err := validate.Instance(context.Background(), deps, validate.Options{Threads: w.threads})
	var ue *usererr.Error
	switch {
	case errors.As(err, &ue):
		w.said = append(w.said, "ERROR: "+ue.Text)
	case err != nil:
		w.t.Fatal(err)
	}
	return w.said, res
}

// statuses are those on disk, in the order of the catalog's backups.
func (w *world) statuses() string {
	w.t.Helper()
	list, err := w.instance().Backups(context.Background())
	w.must(err)
	var out []string
	for _, b := range slices.Backward(list) {
		out = append(out, b.Status.String())
	}
	return strings.Join(out, " ")
}

// Emit notes the line of an event (spec/cli.md §10.7, §10.12).
func (w *world) Emit(e event.Event) {
	if w.before != nil {
		w.before(e)
	}
	line := w.line(e)
	w.mu.Lock()
	defer w.mu.Unlock()
	if line != "" {
		w.said = append(w.said, strings.Split(line, "\n")...)
	}
}

func (w *world) line(e event.Event) string {
	switch e := e.(type) {
	case validate.FileChecked:
		return ""
	case validate.InstanceStarted:
		return "INFO: Validate backups of the instance '" + e.Instance + "'"
	case validate.Started:
		if e.Revalidate {
			return "INFO: Revalidating backup " + e.ID.String()
		}
		return "INFO: Validating backup " + e.ID.String()
	case validate.FilesStarted:
		return "INFO: Begin validate file"
	case validate.FilesFinished:
		return "INFO: Finish validate file. "
	case validate.FilesValid:
		return fmt.Sprintf("INFO: Backup %s data files are valid", e.ID)
	case validate.FilesCorrupted:
		return fmt.Sprintf("WARNING: Backup %s data files are corrupted", e.ID)
	case validate.OpeningSegment:
		return fmt.Sprintf("LOG: Thread [%d]: Opening WAL segment %q", e.Thread, e.Path)
	case validate.WALValid:
		return fmt.Sprintf("INFO: Backup %s WAL segments are valid", e.ID)
	case validate.WALCorrupted:
		return fmt.Sprintf("WARNING: Backup %s WAL segments are corrupted", e.ID)
	case validate.WALSegmentAbsent:
		return fmt.Sprintf("WARNING: WAL segment %q is absent", e.Path)
	case validate.WALInsufficient:
		return fmt.Sprintf("WARNING: There are not enough WAL records to consistenly restore backup %s from START LSN: %s to STOP LSN: %s", e.ID, e.Start, e.Stop) //nolint:misspell // the C tool's spelling
	case validate.OrphanBadParent:
		if e.Marked {
			return fmt.Sprintf("WARNING: Backup %s is orphaned because his parent %s has status: %s", e.ID, e.Parent, e.ParentStatus)
		}
		return fmt.Sprintf("WARNING: Backup %s has parent %s with status: %s", e.ID, e.Parent, e.ParentStatus)
	case validate.OrphanMissingParent:
		if e.Marked {
			return fmt.Sprintf("WARNING: Backup %s is orphaned because his parent %s is missing", e.ID, e.Parent)
		}
		return fmt.Sprintf("WARNING: Backup %s has missing parent %s", e.ID, e.Parent)
	case validate.RunningMarkedError:
		return fmt.Sprintf("WARNING: Backup %s has status %s, change it to ERROR and skip validation", e.ID, e.Status)
	case validate.Skipped:
		return fmt.Sprintf("WARNING: Backup %s has status %s. Skip validation.", e.ID, e.Status)
	case validate.OtherStorage:
		return fmt.Sprintf("WARNING: Backup %s is not suit for instance %s, because they have different storage type. Change it to CORRUPT and skip validation.", e.ID, e.Instance)
	case validate.LockedElsewhere:
		return fmt.Sprintf("WARNING: Cannot lock backup %s directory, skip validation", e.ID)
	case validate.DeletedMeanwhile:
		return fmt.Sprintf("WARNING: Backup %s was deleted meanwhile, skip validation", e.ID)
	case lock.ProcessAlive:
		return fmt.Sprintf("WARNING: Process %d is using backup %s and still is running", e.PID, e.Backup)
	case catalog.ControlUnreadable:
		return "WARNING: " + e.Text
	case catalog.UnknownOption:
		return fmt.Sprintf("WARNING: Invalid option %q in file %q", e.Key, e.File)
	case catalog.InvalidStatus:
		return fmt.Sprintf("WARNING: Invalid STATUS %q", e.Text)
	}
	return damageLine(e)
}

func damageLine(e event.Event) string {
	switch e := e.(type) {
	case validate.FileMissing:
		return fmt.Sprintf("WARNING: Backup file %q is not found", e.Path)
	case validate.FileSize:
		return fmt.Sprintf("WARNING: Invalid size of backup file %q : %d. Expected %d", e.Path, e.Found, e.Expected)
	case validate.FileCRC:
		colon := " :"
		if e.Paged {
			colon = ":"
		}
		return fmt.Sprintf("WARNING: Invalid CRC of backup file %q%s %X. Expected %X", e.Path, colon, e.Found, e.Expected)
	case validate.FileMetadata:
		return fmt.Sprintf("WARNING: Backup file %q has invalid size. Possible metadata corruption.", e.Path)
	case validate.PageChecksum:
		return fmt.Sprintf("WARNING: File: %s blknum %d have wrong checksum: %d", e.File, e.Block, e.Found)
	case validate.PageInsane:
		return fmt.Sprintf("WARNING: Page header is looking insane: %s, block %d", e.File, e.Block)
	case validate.HeadersUnreadable:
		return fmt.Sprintf("WARNING: Cannot open header file1 %q: %s\nWARNING: Cannot get page headers for file %q", e.MapPath, usererr.SystemText(e.Err), e.Path)
	case validate.HeadersDamaged:
		return fmt.Sprintf("WARNING: An error occured during metadata decompression for file %q: data error\nWARNING: Cannot get page headers for file %q", e.File, e.Path) //nolint:misspell // the C tool's spelling
	case validate.ListCRC:
		return fmt.Sprintf("WARNING: Invalid CRC of backup control file '%s': %d. Expected: %d", e.Path, e.Found, e.Expected)
	case validate.ListUnreadable:
		return fmt.Sprintf("WARNING: Backup %s file list is corrupted", e.ID)
	case validate.ControlDamaged:
		return fmt.Sprintf("WARNING: control file: %s", e.Reason)
	}
	return fmt.Sprintf("%T%+v", e, e)
}
