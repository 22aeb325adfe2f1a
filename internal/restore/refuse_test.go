package restore_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/test/golden"
)

// Reasons to write nothing; the texts are those of golden 03_restore, 03a and
// spec/cli.md §4.6, §11.
func TestRefusals(t *testing.T) {
	noted := time.Date(2026, 11, 22, 8, 21, 12, 0, time.UTC)
	yes := true
	for _, tt := range []struct {
		name    string
		catalog string
		id      string
		prepare func(*world)
		change  func(*restore.Options)
		want    string
	}{
		{
			name: "destination not empty", catalog: golden.Zlib, id: "TOWA57",
			prepare: func(w *world) { w.put(pgdata + "/x") }, want: `Restore destination is not empty: "/home/omm/restored"`,
		},
		{name: "unknown backup", catalog: golden.Zlib, id: "ZZZZZZ", want: "Requested backup ZZZZZZ is not found."},
		{
			name: "name of no backup", catalog: golden.Zlib,
			change: func(o *restore.Options) { o.Target.Name = "backup X" }, want: "Backup satisfying target options is not found.",
		},
		{
			name: "time before all", catalog: golden.Zlib,
			change: func(o *restore.Options) { o.Target.TimeText, o.Target.Time = "2026-11-22 08:21:12+00", noted },
			want:   "Backup satisfying target options is not found.",
		},
		{
			name: "xid before all", catalog: golden.Zlib,
			change: func(o *restore.Options) { o.Target.XIDText, o.Target.XID = "12538", 12538 }, want: "Backup satisfying target options is not found.",
		},
		{
			name: "lsn before all", catalog: golden.Zlib,
			change: func(o *restore.Options) { o.Target.LSNText, o.Target.LSN = "0/B000100", 0xB000100 },
			want:   "Backup satisfying target options is not found.",
		},
		{
			name: "lsn before the requested backup", catalog: golden.Zlib, id: "TOWA5I",
			change: func(o *restore.Options) { o.Target.LSNText, o.Target.LSN = "0/14000100", 0x14000100 },
			want:   "Requested backup TOWA5I does not satisfy restore options",
		},
		{
			name: "other timeline", catalog: golden.Zlib, id: "TOWA5I",
			change: func(o *restore.Options) { o.Target.Timeline = wal.Timeline(2) }, want: "target backup TOWA5I does not satisfy target timeline",
		},
		{
			name: "two targets", catalog: golden.Zlib,
			change: func(o *restore.Options) { o.Target.XIDText, o.Target.LSNText = "1", "0/1" },
			want:   "At most one of '--recovery-target', '--recovery-target-name', '--recovery-target-time', '--recovery-target-xid' or '--recovery-target-lsn' options can be specified",
		},
		{
			name: "inclusive without target", catalog: golden.Zlib,
			change: func(o *restore.Options) { o.Target.Inclusive = &yes },
			want:   "The '--recovery-target-inclusive' option can be applied only when either of '--recovery-target-time', '--recovery-target-xid' or '--recovery-target-lsn' options is specified",
		},
		{
			name: "-T of no tablespace", catalog: golden.Zlib, id: "TOWA57",
			prepare: func(w *world) { w.target.Tablespaces["/home/omm/nots"] = "/home/omm/x" },
			want:    `--tablespace-mapping option's old directory doesn't have an entry in tablespace_map file: "/home/omm/nots"`,
		},
		{
			name: "mapping of no external directory", catalog: golden.Zlib, id: "TOWA57",
			prepare: func(w *world) { w.target.Externals["/nope"] = "/home/omm/x" },
			want:    `--external-mapping option's old directory doesn't have an entry in list of external directories of current backup: "/nope"`,
		},
		{
			name: "tablespace not empty", catalog: golden.Zlib, id: "TOWA57",
			prepare: func(w *world) { w.put("/home/omm/ts1_r/x") }, want: `restore tablespace destination is not empty: "/home/omm/ts1_r"`,
		},
		{
			name: "external directory not empty", catalog: golden.Zlib, id: "TOWA57",
			prepare: func(w *world) { w.put("/home/omm/ext1_r/x") }, want: `External directory is not empty: "/home/omm/ext1_r"`,
		},
		{
			name: "status ERROR", catalog: golden.Mixed, id: "TOWAGE",
			prepare: func(w *world) { w.setStatus("TOWAGE", "ERROR") }, want: "Backup TOWAGE has status: ERROR",
		},
		{
			name: "status CORRUPT and no validation", catalog: golden.Mixed, id: "TOWAGE",
			prepare: func(w *world) { w.setStatus("TOWAGE", "CORRUPT") },
			change:  func(o *restore.Options) { o.NoValidate = true }, want: "Backup TOWAGE has status: CORRUPT",
		},
		{
			name: "parent missing", catalog: golden.Mixed, id: "TOWAGR",
			prepare: func(w *world) { w.must(os.RemoveAll(w.path("TOWAGJ", ""))) }, want: "Restore of backup TOWAGR failed.",
		},
		{
			name: "in use", catalog: golden.Mixed, id: "TOWAGR",
			prepare: func(w *world) { w.hold("TOWAGJ") },
			want:    "Cannot lock backup TOWAGJ directory",
		},
		{
			name: "block size", catalog: golden.Mixed, id: "TOWAGE",
			prepare: func(w *world) { w.setControl("TOWAGE", "block-size", "16384") },
			change:  func(o *restore.Options) { o.NoValidate = true }, want: "BLCKSZ(16384) is not compatible(8192 expected)",
		},
		{
			name: "damaged", catalog: golden.Mixed, id: "TOWAGE",
			prepare: func(w *world) { w.flip("TOWAGE", "database/base/16384/14606", 5000) }, want: "Backup TOWAGE is corrupt.",
		},
		{
			name: "damaged parent", catalog: golden.Mixed, id: "TOWAGR",
			prepare: func(w *world) { w.flip("TOWAGE", "database/base/16384/14606", 5000) }, want: "Backup TOWAGR is orphan.",
		},
		{
			name: "damaged WAL", catalog: golden.Mixed, id: "TOWAGR",
			prepare: func(w *world) { w.flip("TOWAGR", "database/pg_xlog/000000010000000000000023", 100) }, want: "Backup TOWAGR is corrupt.",
		},
		{
			name: "list gone", catalog: golden.Mixed, id: "TOWAGE",
			prepare: func(w *world) { w.must(os.Truncate(w.path("TOWAGE", "backup_content.control"), 100)) },
			change:  func(o *restore.Options) { o.NoValidate = true }, want: "Failed to get file list for backup TOWAGE",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.catalog)
			if tt.catalog == golden.Zlib {
				w.recordedMappings()
			}
			if tt.prepare != nil {
				tt.prepare(w)
			}
			opts := w.options(tt.id)
			if tt.change != nil {
				tt.change(&opts)
			}
			err := w.run(opts)
			var ue *usererr.Error
			if !errors.As(err, &ue) || ue.Text != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if w.exists(pgdata + "/PG_VERSION") {
				t.Error("something was restored")
			}
			for _, id := range w.c.Backups {
				if tt.name != "in use" && tt.name != "parent missing" && w.exists(w.c.BackupDir(id)+"/backup.pid") {
					t.Errorf("backup %s is still locked", id)
				}
			}
		})
	}
}

// Damage that came after the validation stops a restore, and what was written
// cannot be started: it has no pg_control.
func TestDamageWhileRestoring(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"database/base/16384/14606", "database/base/16384/14606"},
		{"database/PG_VERSION", "Invalid CRC of backup file"},
		{"page_header_map", "Failed to get page headers for file"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, golden.Mixed)
			w.flip("TOWAGE", tt.file, 1) // of a block number, of the text, of a zlib header
			opts := w.options("TOWAGR")
			opts.NoValidate = true
			if err := w.run(opts); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			if w.exists(pgdata + "/global/pg_control") {
				t.Error("the torso can be started")
			}
		})
	}
}

// An ORPHAN gets its chance, and what was damaged only in name comes back.
func TestRevalidation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.setStatus("TOWAGE", "CORRUPT")
	w.setStatus("TOWAGJ", "ORPHAN")
	w.must(w.run(w.options("TOWAGJ")))
	w.compare("TOWAGJ")
	if got := w.statuses(); got != "OK OK ORPHAN ORPHAN" {
		t.Errorf("statuses %s", got)
	}
}

func TestForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.setStatus("TOWAGJ", "CORRUPT")
	opts := w.options("TOWAGJ")
	opts.Force = true
	w.must(w.run(opts))
	w.compare("TOWAGJ")
	if !said[restore.ForcedInvalid](w) || w.statuses() != "OK CORRUPT ORPHAN ORPHAN" {
		t.Errorf("statuses %s, events %v", w.statuses(), w.events)
	}
}

// Without -i, backups that are not good are passed over.
func TestBadBackupsArePassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.setStatus("TOWAGR", "ERROR")
	w.must(w.run(w.options("")))
	w.compare("TOWAGN")
	if !said[restore.SkippedStatus](w) {
		t.Error("nothing was said of the backup that was passed over")
	}
}

func said[E event.Event](w *world) bool {
	for _, e := range w.events {
		if _, ok := e.(E); ok {
			return true
		}
	}
	return false
}

// What was damaged since the last validation does not pass for good unless it
// is wanted as it is.
func TestDamagedPlainFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.flip("TOWAGE", "database/PG_VERSION", 0)
	opts := w.options("TOWAGE")
	opts.NoValidate = true
	if err := w.run(opts); err == nil || !strings.Contains(err.Error(), "Invalid CRC of backup file") {
		t.Errorf("restored: %v", err)
	}
	opts.Force = true
	w.must(w.run(opts))
}
