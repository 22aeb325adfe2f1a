package opengaussd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/server"
	"gsprobackup/test/opengaussd/ogdata"
)

// TestLogins: the product's proofs are accepted in each cell of the table of
// server.md §1.4 that has a right answer, and never with a wrong password.
func TestLogins(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		user   User
		denied bool
	}{
		{"sha256", User{}, false},
		{"sha256, other iterations", User{Iterations: 20000}, false},
		{"md5 stored", User{Stored: StoredMD5}, false},
		{"combined", User{Stored: StoredCombined}, false},
		{"sm3 stored, sha256 line", User{Stored: StoredSM3}, true},
		{"md5 line, sha256 stored", User{Method: HBAMD5}, false},
		{"md5 line, md5 stored", User{Method: HBAMD5, Stored: StoredMD5}, false},
		{"md5 line, combined", User{Method: HBAMD5, Stored: StoredCombined}, false},
		{"sm3", User{Method: HBASM3, Stored: StoredSM3}, false},
		{"sm3 line, sha256 stored", User{Method: HBASM3}, true},
		{"trust", User{Method: HBATrust}, false},
		{"reject", User{Method: HBAReject}, true},
	}
	users := map[string]User{}
	for i, tc := range cases {
		tc.user.Password = "Gauss@123 ü"
		users["u"+strconv.Itoa(i)] = tc.user
	}
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{Users: users})
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			o := w.options()
			o.User, o.Password = "u"+strconv.Itoa(i), "Gauss@123 ü"
			c, err := w.connect(o)
			if (err != nil) != tc.denied {
				t.Fatalf("login: %v, denied %v", err, tc.denied)
			}
			if err == nil {
				closeAll(t, c)
			}
			if tc.user.Method == HBATrust {
				return
			}
			o.Password += "x"
			if c, err := w.connect(o); err == nil {
				closeAll(t, c)
				t.Error("a wrong password was accepted")
			}
		})
	}
}

func pgError(t *testing.T, err error) *pgconn.PgError {
	t.Helper()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		t.Fatalf("error %v is none of the server's", err)
	}
	return pg
}

// TestLoginFailures: the texts of the golden captures.
func TestLoginFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{FailedLoginAttempts: 2})
	wrong := w.options()
	wrong.Password = "wrong"
	nobody := w.options()
	nobody.User = "nobody"
	noDB := w.options()
	noDB.Database = "nosuchdb"
	for _, tc := range []struct {
		o    server.Options
		want string
	}{
		{noDB, `FATAL:  database "nosuchdb" does not exist`},
		{nobody, "FATAL:  Invalid username/password,login denied."},
		{wrong, "FATAL:  Invalid username/password,login denied."},
		{wrong, "FATAL:  Invalid username/password,login denied."},
		{w.options(), "FATAL:  The account has been locked."},
	} {
		if _, err := w.connect(tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.o.User, err, tc.want)
		}
	}
}

// TestExclusiveBackup: files in the data directory, one at a time, bound to
// the session, stale tablespace_map (server.md §2.2).
func TestExclusiveBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{})
	ctx := context.Background()
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(w.cluster.Dir(), name))
		return err == nil
	}
	one := w.mustConnect()
	lsn, err := one.Flavor().StartBackup(ctx, server.StartOptions{Label: "l", Fast: true})
	if err != nil || lsn != w.cluster.Redo() || lsn&0xFFFFFF != 0x28 {
		t.Fatalf("start at %s, %v", lsn, err)
	}
	if !exists("backup_label") || !exists("tablespace_map") {
		t.Error("no label or map in the data directory")
	}
	two := w.mustConnect()
	_, err = two.Flavor().StartBackup(ctx, server.StartOptions{Label: "l", Fast: true})
	if e := pgError(t, err); e.Message != "a backup is already in progress" || e.Hint != "Run pg_stop_backup() and try again." || e.Code != "55000" {
		t.Errorf("second start: %+v", e)
	}
	if err := one.Flavor().CreateRestorePoint(ctx, "p"); err != nil {
		t.Error(err)
	}
	res, err := one.Flavor().StopBackup(ctx)
	if err != nil || res.LSN&0xFFFFFF != 0x1E8 || !res.Exclusive {
		t.Fatalf("stop: %+v, %v", res, err)
	}
	if exists("backup_label") || exists("tablespace_map") {
		t.Error("label or map left behind")
	}
	err = two.Exec(ctx, "SELECT pg_catalog.pg_stop_backup()")
	if e := pgError(t, err); e.Message != "a backup is not in progress" {
		t.Errorf("stop without start: %+v", e)
	}

	// A session that ends takes its backup along, but not the map.
	if _, err := two.Flavor().StartBackup(ctx, server.StartOptions{Label: "l", Fast: true}); err != nil {
		t.Fatal(err)
	}
	if err := two.Close(ctx); err != nil {
		t.Fatal(err)
	}
	three := w.mustConnect()
	for exists("backup_label") { // until the server has noticed
		if err := three.Exec(ctx, "select version()"); err != nil {
			t.Fatal(err)
		}
	}
	if !exists("tablespace_map") {
		t.Fatal("the lost session took its tablespace_map along")
	}
	_, err = one.Query(ctx, "SELECT pg_catalog.pg_start_backup($1, $2)", "l", "true")
	if e := pgError(t, err); !strings.Contains(e.Hint, `remove file "tablespace_map"`) {
		t.Errorf("start over a stale map: %+v", e)
	}
	if !w.srv.InBackup() || !exists("backup_label") {
		t.Error("backup mode is off after the failed start")
	}
	if err := three.Exec(ctx, "SELECT pg_catalog.pg_stop_backup()"); err != nil {
		t.Error(err)
	}
	if w.srv.InBackup() || exists("tablespace_map") || exists("backup_label") {
		t.Error("one stop did not clear everything")
	}
	// The product does that by itself.
	if err := w.srv.LeaveStaleMap(); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Flavor().StartBackup(ctx, server.StartOptions{Label: "l", Fast: true}); err != nil {
		t.Error(err)
	}
	if err := one.Flavor().AbortBackup(ctx); err != nil {
		t.Error(err)
	}
}

// TestStandbyBackup: the other form, on a server in recovery.
func TestStandbyBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{Standby: true})
	ctx := context.Background()
	c := w.mustConnect()
	if in, err := c.Flavor().IsInRecovery(ctx); err != nil || !in {
		t.Fatalf("in recovery %v, %v", in, err)
	}
	if _, err := c.Flavor().StartBackup(ctx, server.StartOptions{Label: "l"}); err == nil {
		t.Error("an exclusive backup of a standby was started")
	}
	lsn, err := c.Flavor().StartBackup(ctx, server.StartOptions{Label: "l", InRecovery: true})
	if err != nil || lsn != w.cluster.Redo() {
		t.Fatalf("start at %s, %v", lsn, err)
	}
	if err := w.cluster.Mutate(1); err != nil {
		t.Fatal(err)
	}
	res, err := c.Flavor().StopBackup(ctx)
	if err != nil || res.Exclusive || res.LSN != w.cluster.WAL().End() {
		t.Fatalf("stop: %+v, %v", res, err)
	}
	if !strings.Contains(string(res.Label), "BACKUP METHOD: streamed\nBACKUP FROM: standby\n") || len(res.TablespaceMap) == 0 {
		t.Errorf("label %q, map %q", res.Label, res.TablespaceMap)
	}
	if _, err := os.Stat(filepath.Join(w.cluster.Dir(), "backup_label")); err == nil {
		t.Error("a backup_label in the data directory")
	}
}

// TestPrivileges: who may do what (server.md §2.2).
func TestPrivileges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{Users: map[string]User{
		"plain": {Method: HBATrust}, "repl": {Method: HBATrust, Replication: true},
	}})
	ctx := context.Background()
	o := w.options()
	o.User = "plain"
	plain, err := w.connect(o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, plain)
	_, err = plain.Flavor().StartBackup(ctx, server.StartOptions{Label: "l"})
	if e := pgError(t, err); e.Code != "42501" || e.Where != "referenced column: pg_start_backup" {
		t.Errorf("start by a plain role: %+v", e)
	}
	if _, _, err := plain.Flavor().(server.OpenGauss).CBMTrackedLocation(ctx); err != nil {
		t.Error(err)
	}
	o.User = "repl"
	repl, err := w.connect(o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, repl)
	if _, err := repl.Flavor().StartBackup(ctx, server.StartOptions{Label: "l"}); err != nil {
		t.Error(err)
	}
	err = repl.Flavor().CreateRestorePoint(ctx, "p")
	if e := pgError(t, err); e.Code != "42501" || !strings.HasPrefix(e.Message, "Must be system admin") {
		t.Errorf("restore point by a replication role: %+v", e)
	}
}

// TestCancel: a cancel request ends a statement, the session goes on.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{})
	c := w.mustConnect()
	ctx, cancel := context.WithCancel(context.Background())
	w.srv.Inject(Fault{On: "checkpoint_timeout", Times: 1, Hold: make(chan struct{}), Do: func() error {
		cancel()
		return nil
	}})
	if _, err := c.Flavor().CheckpointTimeout(ctx); err == nil {
		t.Fatal("the held statement ended")
	}
	if _, err := c.Flavor().CheckpointTimeout(context.Background()); err != nil {
		t.Errorf("after the cancel: %v", err)
	}
}

// TestChangedBlocks reads the map through the product and compares it with
// what the cluster knows; faults of tracking are seen.
func TestChangedBlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{})
	ctx := context.Background()
	g := w.mustConnect().Flavor().(server.OpenGauss)
	from, _ := w.cluster.Tracked()
	if err := w.cluster.Mutate(1); err != nil {
		t.Fatal(err)
	}
	w.srv.SlowCBM(2)
	if _, _, err := w.cluster.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	polls := 1
	to, text, err := g.CBMTrackedLocation(ctx)
	for ; err == nil && to < w.cluster.Redo(); polls++ {
		to, text, err = g.CBMTrackedLocation(ctx)
	}
	if err != nil || polls != 3 {
		t.Fatalf("%d polls, %v", polls, err)
	}
	seen := map[string]uint64{}
	if err := g.CBMChangedBlocks(ctx, from, text, func(ch ptrack.CBMRow) error {
		seen[ch.Path] = ch.Count
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := w.cluster.ChangedBlocks(from, to)
	if err != nil || len(rows) != len(seen) || len(rows) < 15 {
		t.Fatalf("%d rows through the server, %d are known, %v", len(seen), len(rows), err)
	}
	for _, r := range rows {
		if seen[r.Path] != uint64(len(r.Blocks)) {
			t.Errorf("%s: %d blocks, want %d", r.Path, seen[r.Path], len(r.Blocks))
		}
	}
	for _, tc := range []struct{ from, to, want string }{
		{"0/1", text, "could not find valid CBM file that contains the merging start point 00000000/00000001"},
		{text, "9/0", "end xlog location 9/0 should be smaller than or equal to already tracked xlog location " + to.String()},
		{text, from.String(), "start xlog location " + to.String() + " should be smaller than or equal to end xlog location " + from.String()},
		{"garbage", text, `invalid input syntax for transaction log location: "garbage"`},
	} {
		_, err := w.mustConnect().Query(ctx, "SELECT path,changed_block_number,changed_block_list FROM pg_cbm_get_changed_block($1, $2)", tc.from, tc.to)
		if e := pgError(t, err); e.Message != tc.want {
			t.Errorf("%s to %s: %s", tc.from, tc.to, e.Message)
		}
	}
	w.cluster.ForgetTracking()
	if _, _, err := g.CBMTrackedLocation(ctx); err == nil {
		t.Error("a location although tracking never ran")
	}
}
