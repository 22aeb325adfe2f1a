package opengaussd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogdata"
	"gsprobackup/test/opengaussd/ogwal"
)

// small is a cluster that is backed up quickly.
var small = ogdata.Options{NoDoubleWrite: true, NoRowCompressed: true}

// status reads a backup's status.
func (w *world) status(id string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.catalog, "backups", "n1", id, "backup.control"))
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "status = "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// usable: the server lets the next backup start.
func (w *world) usable() {
	w.t.Helper()
	ctx := context.Background()
	c, err := w.connect(w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	defer closeAll(w.t, c)
	if _, err := c.Flavor().StartBackup(ctx, server.StartOptions{Label: "l", Fast: true}); err != nil {
		w.t.Errorf("the next backup does not start: %v", err)
	}
	if err := c.Flavor().AbortBackup(ctx); err != nil {
		w.t.Error(err)
	}
}

// fails runs a backup that must end with exit 1, the texts, the next step, and
// status ERROR.
func (w *world) fails(texts []string, hint string, more ...string) {
	w.t.Helper()
	before := len(w.backups())
	args := w.backupArgs("FULL", "--hints")
	for i := 0; i+1 < len(more); i += 2 {
		if at := slices.Index(args, more[i]); at >= 0 {
			args[at+1] = more[i+1] // an option may be given once only
		} else {
			args = append(args, more[i:i+2]...)
		}
	}
	r := w.tool(args...)
	if r.exit != 1 {
		w.t.Fatalf("exit %d\n%s", r.exit, clip(r.err))
	}
	for _, text := range texts {
		if !strings.Contains(r.err, text) {
			w.t.Errorf("no %q in\n%s", text, clip(r.err))
		}
	}
	if !strings.Contains(r.err, "\nHINT: ") || !strings.Contains(r.err, hint) {
		w.t.Errorf("no hint %q in\n%s", hint, clip(r.err))
	}
	ids := w.backups()
	if len(ids) != before+1 {
		w.t.Fatalf("%d backups after the failed one, %d before", len(ids), before)
	}
	if st := w.status(ids[len(ids)-1]); st != "ERROR" {
		w.t.Errorf("status %q", st)
	}
}

// TestFaults: each fault on demand gives its error and leaves server and
// catalog usable.
func TestFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{Slots: []string{"good"}, Users: map[string]User{
		GoldenUser: {Password: GoldenPassword, Sysadmin: true, Replication: true},
		"repl":     {Password: GoldenPassword, Replication: true}, "plain": {Password: GoldenPassword},
	}})
	w.init()
	dead := make(chan struct{}) // never closed
	const again = "take the backup again"
	cases := []struct {
		name  string
		arm   func()
		args  []string
		texts []string
		hint  string
	}{
		{"SQL connection lost at start", func() { w.srv.Inject(Fault{On: "pg_start_backup", Drop: true}) }, nil, []string{"ERROR: query failed"}, again},
		{"SQL connection lost while copying", func() {
			w.srv.Inject(Fault{On: "datname", Times: 1, Do: func() error { w.srv.HangUp(); return nil }})
		}, nil, []string{"ERROR:"}, again},
		{"SQL connection lost at the restore point", func() { w.srv.Inject(Fault{On: "restore_point", Drop: true}) }, nil, []string{"ERROR: query failed"}, again},
		{"SQL connection lost at stop", func() { w.srv.Inject(Fault{On: "stop_backup() as lsn", Drop: true}) }, nil, []string{"ERROR: query failed"}, again},
		{"stop hangs", func() { w.srv.Inject(Fault{On: "stop_backup() as lsn", Times: 1, Hold: dead}) }, []string{"--archive-timeout", "1"},
			[]string{"ERROR: pg_stop_backup doesn't answer in 1 seconds, cancel it"}, "archive_command"},
		{"stream lost", func() { w.srv.InjectStream(StreamFault{At: w.nextStart() + 0x100, Drop: true}) }, nil, []string{"ERROR: WAL streaming failed"}, again},
		{"stream ends with an error", func() {
			w.srv.InjectStream(StreamFault{At: w.nextStart() + 0x150, Err: &Error{Severity: "FATAL", State: "57P01", Message: "terminating walsender process"}})
		}, nil, []string{"ERROR: WAL streaming failed", "terminating walsender process"}, again},
		{"stream refused", func() {
			w.srv.Inject(Fault{On: "IDENTIFY_SYSTEM", Err: &Error{Severity: "FATAL", State: "53300", Message: "too many walsenders"}})
		}, nil, []string{"ERROR: Cannot continue backup because stream connect has failed.", "too many walsenders"}, "raise max_wal_senders"},
		{"segment removed", func() {
			w.srv.Inject(Fault{On: "START_REPLICATION", Times: 1, Do: func() error { return w.cluster.WAL().RemoveBefore(w.cluster.WAL().End() + 0x1000000) }})
		}, nil, []string{"has already been removed"}, "raise wal_keep_segments, or stream with a replication slot"},
		{"unknown slot", func() {}, []string{"-S", "nosuch"}, []string{`replication slot "nosuch" does not exist`},
			"SELECT * FROM pg_create_physical_replication_slot('nosuch', false)"},
		{"no privilege at all", func() {}, []string{"-U", "plain"}, []string{"must be system admin or replication role to run a backup"}, `ALTER USER "plain" SYSADMIN`},
		{"no privilege for the restore point", func() {}, []string{"-U", "repl"},
			[]string{"Must be system admin or operator admin in operation mode to create a restore point."}, `ALTER USER "repl" SYSADMIN`},
		{"wrong password", func() {}, []string{"-W", "wrong"},
			[]string{"ERROR: could not connect to database testdb: FATAL:  Invalid username/password,login denied."}, "check -U and -W"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			tc.arm()
			w.fails(tc.texts, tc.hint, tc.args...)
			w.srv.Heal()
			w.usable()
		})
	}
	w.t = t
	if w.srv.misses["rep"] > 1 {
		t.Errorf("a wrong password was sent %d times", w.srv.misses["rep"])
	}

	// What must not stop a backup.
	if err := w.srv.LeaveStaleMap(); err != nil {
		t.Fatal(err)
	}
	id, tree := w.backup("FULL", "-S", "good", "--compress-algorithm", "zlib")
	w.restore(id, tree)
	flushed := false
	for _, r := range w.srv.Replies() {
		flushed = flushed || r.Flush > 0
	}
	if !flushed {
		t.Error("with a slot no flush position was reported")
	}

	// Somebody else's backup is theirs.
	if err := w.srv.StartForeignBackup(); err != nil {
		t.Fatal(err)
	}
	w.fails([]string{"ERROR: query failed: ERROR:  a backup is already in progress\nHINT:  Run pg_stop_backup() and try again.\nCONTEXT:  referenced column: pg_start_backup\n"}, "")
	if !w.srv.InBackup() {
		t.Error("somebody else's backup was stopped")
	}
	w.srv.Lock(GoldenUser)
	w.fails([]string{"FATAL:  The account has been locked."}, `ALTER USER "rep" ACCOUNT UNLOCK`)
	w.check()
}

// nextStart is where the next backup's WAL begins.
func (w *world) nextStart() wal.LSN {
	end := w.cluster.WAL().End()
	return (end + ogwal.SegSize - 1) &^ (ogwal.SegSize - 1)
}

// TestPorts: replication on the other port, with and without password.
func TestPorts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		cfg  Config
	}{
		{"release 1.1", Config{NoHAPort: true}},
		{"password on the HA port", Config{HAPassword: true}},
		{"no thread pool", Config{NoThreadPool: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, small, tc.cfg)
			w.init()
			w.must(w.backupArgs("FULL", "--compress-algorithm", "zlib")...)
		})
	}
}

// TestNoReplicationPort: the HA port is closed and the normal one refuses. The
// text is about the first, as C's; the hint names both.
func TestNoReplicationPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{NoHAPort: true, RefuseMain: true})
	w.init()
	w.fails([]string{"ERROR: could not connect to database testdb: could not connect to server:"}, "no replication connection on port")
	w.usable()
	_, err := w.mustConnect().ConnectReplication(context.Background())
	var ue *usererr.Error
	if !errors.As(err, &ue) || !strings.Contains(ue.Hint, "replication should connect HA port in thread_pool") {
		t.Errorf("error %v, %+v", err, ue)
	}
}

// TestShutdown: a fast shutdown of the server in the middle of a backup.
func TestShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	down := make(chan error, 1)
	w.srv.Inject(Fault{On: "datname", Times: 1, Do: func() error {
		go func() { down <- w.srv.Shutdown() }()
		return nil
	}})
	w.fails([]string{"ERROR:"}, "")
	if err := <-down; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(w.cluster.Dir(), "backup_label")); err == nil {
		t.Error("backup_label left in the data directory")
	}
}

// TestStandby: a backup from a server in recovery, whose WAL goes on while it
// runs and ends nowhere in particular.
func TestStandby(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{Standby: true})
	w.init()
	w.srv.Inject(Fault{On: "datname", Times: 1, Do: func() error {
		_, err := w.cluster.RestorePoint("while copying")
		return err
	}})
	w.must(w.backupArgs("FULL", "--compress-algorithm", "zlib", "--archive-timeout=20")...)
	w.check()
	w.must("validate", "-B", w.catalog, "--instance", "n1")
}
