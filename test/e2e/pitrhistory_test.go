package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/test/pgserver"
	"gsprobackup/test/pgtest"
)

// step is one transaction of a history: what it did, and where it is in the
// log. Steps are made one after the other, so the state after each is known
// row by row.
type moment struct {
	account, delta int
	xid            string
	at             time.Time // of its commit, to the microsecond, UTC
	before, after  uint64    // insert positions around the commit record
	point          string    // restore point made right after it
	aborted        string    // xid of a transaction rolled back before it
}

const pitrAccounts = 60

// pitrHistory is a cluster whose archived WAL holds steps 1, 2, …; state k is
// the one after step k.
type pitrHistory struct {
	t      testing.TB
	server *pgtest.Server
	cat    *catalog
	rnd    *rand.Rand
	seed   uint64
	prefix string // of restore point names

	moments []moment
	backups []backupInfo
}

// archiving are the settings of a server that archives into a catalog which is
// made later (the command comes with archiveTo) and keeps segments of 1 MB for
// slow receivers.
func archiving(major, keep int) map[string]string {
	settings := map[string]string{
		"archive_mode": "on", "archive_command": "false", "max_prepared_transactions": "5", "track_commit_timestamp": "on",
	}
	if major < 13 {
		settings["wal_keep_segments"] = strconv.Itoa(keep)
	} else {
		settings["wal_keep_size"] = strconv.Itoa(keep) + "MB"
	}
	return settings
}

// newPITRHistory starts a cluster with segments of 1 MB that archives with
// archive-push.
func newPITRHistory(t testing.TB, major int, seed uint64, push ...string) *pitrHistory {
	t.Helper()
	settings := archiving(major, 200)
	// What somebody has left who recovered by hand once.
	settings["recovery_target_time"], settings["recovery_target_inclusive"] = "2000-01-01 00:00:00+00", "off"
	s := pgtest.Start(t, pgtest.Config{Major: major, DataChecksums: true, WALSegSizeMB: 1, Settings: settings})
	h := &pitrHistory{
		t: t, server: s, cat: newCatalog(t, s), rnd: rand.New(rand.NewPCG(seed, uint64(major))), seed: seed, prefix: "rp",
	}
	archiveTo(t, s, h.cat, push...)
	s.SQL(context.Background(), fmt.Sprintf(`
CREATE TABLE journal (step int PRIMARY KEY, account int NOT NULL, delta int NOT NULL);
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, filler text NOT NULL);
INSERT INTO accounts SELECT i, 0, repeat('x', 80) FROM generate_series(1, %d) i;
CHECKPOINT`, pitrAccounts))
	return h
}

// archiveTo lets a server archive into a catalog.
func archiveTo(t testing.TB, s *pgtest.Server, c *catalog, push ...string) {
	t.Helper()
	words := append([]string{toolPath, "archive-push", "-B", c.dir, "--instance", c.instance,
		"--wal-file-path=%p", "--wal-file-name=%f"}, push...)
	ctx := context.Background()
	s.SQL(ctx, "ALTER SYSTEM SET archive_command = '"+strings.Join(words, " ")+"'")
	s.SQL(ctx, "SELECT pg_reload_conf()")
}

// write makes n steps.
func (h *pitrHistory) write(n int) {
	h.t.Helper()
	ctx := context.Background()
	conn, err := h.server.Connect(ctx, "postgres")
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close(ctx)
	for range n {
		h.step(ctx, conn)
	}
}

// step commits one transaction: plain, with a rolled-back savepoint, or
// prepared first and committed from another one.
func (h *pitrHistory) step(ctx context.Context, conn *pgconn.PgConn) {
	h.t.Helper()
	query := func(sql string) [][]string {
		h.t.Helper()
		rows, err := pgserver.Query(ctx, conn, sql)
		if err != nil {
			h.t.Fatal(err)
		}
		return rows
	}
	one := func(sql string) string { h.t.Helper(); return query(sql)[0][0] }
	const xid, position = "SELECT txid_current() & 4294967295", "SELECT pg_current_wal_insert_lsn()"
	k := len(h.moments) + 1
	m := moment{account: h.rnd.IntN(pitrAccounts) + 1, delta: h.rnd.IntN(2001) - 1000, point: h.prefix + strconv.Itoa(k)}
	if h.rnd.IntN(3) == 0 {
		m.aborted = one("BEGIN; UPDATE accounts SET balance = -1; " + xid)
		query("ROLLBACK")
	}
	query(fmt.Sprintf("BEGIN; UPDATE accounts SET balance = balance + %d WHERE id = %d; INSERT INTO journal VALUES (%d, %d, %d)",
		m.delta, m.account, k, m.account, m.delta))
	if h.rnd.IntN(4) == 0 {
		query("SAVEPOINT s; DELETE FROM journal; ROLLBACK TO s; SAVEPOINT s2; UPDATE accounts SET filler = filler WHERE id = 1; RELEASE s2")
	}
	m.xid = one(xid)
	commit := "COMMIT"
	if h.rnd.IntN(4) == 0 {
		query("PREPARE TRANSACTION 'step'")
		commit = "COMMIT PREPARED 'step'"
	}
	m.before = lsn(h.t, one(position))
	query(commit)
	m.after = lsn(h.t, one(position))
	query("SELECT pg_create_restore_point('" + m.point + "')")
	micros, err := strconv.ParseInt(one("SELECT (extract(epoch FROM date_trunc('second', t)))::bigint * 1000000 + extract(microseconds FROM t)::bigint % 1000000 FROM pg_xact_commit_timestamp('"+m.xid+"'::xid) t"), 10, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	m.at = time.UnixMicro(micros).UTC()
	h.moments = append(h.moments, m)
	switch h.rnd.IntN(12) {
	case 0:
		query("SELECT pg_switch_wal()")
	case 1:
		query("CHECKPOINT")
	}
}

// backup takes a backup, FULL or an increment, while steps go on.
func (h *pitrHistory) backup(args []string) {
	h.t.Helper()
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for {
			h.write(1)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	h.cat.ok(args...)
	close(stop)
	<-done
	h.backups = append(h.backups, h.cat.newest())
}

// seal ends the segment and waits until everything is archived.
func (h *pitrHistory) seal() {
	h.t.Helper()
	h.cat.waitArchived(h.server)
}

// waitArchived switches the segment and waits until the archive has the one
// before. (pg_stat_archiver does not know of the further files of a batch.) An
// archiver that missed its wake-up looks again after a minute.
func (c *catalog) waitArchived(s *pgtest.Server) {
	c.t.Helper()
	last := switchWAL(c.t, s)
	deadline := time.Now().Add(5 * time.Minute)
	for {
		names, err := filepath.Glob(filepath.Join(c.dir, "wal", c.instance, last+"*"))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, name := range names {
			if name = filepath.Base(name); name == last || name == last+".gz" {
				return
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("segment %s is not archived\nserver log:\n%s", last, s.LogTail(4000))
		}
		time.Sleep(20 * time.Millisecond) // polls a server, bounded by a deadline
	}
}

// switchWAL ends the segment in use, if it has anything, and names the last one
// that is finished. After a switch without a record behind it the position is
// the start of the next segment, which 17 and later also name for it.
func switchWAL(t testing.TB, s *pgtest.Server) string {
	t.Helper()
	ctx := context.Background()
	end := lsn(t, s.SQL(ctx, "SELECT pg_switch_wal()")[0][0]) - 1
	return s.SQL(ctx, fmt.Sprintf("SELECT pg_walfile_name('%X/%X')", end>>32, uint32(end)))[0][0]
}

// span is a range of states: where the log says no better, either end is right.
type span struct{ lo, hi int }

func exactly(k int) span { return span{k, k} }

// upTo is the state of a log that ends at a position. A commit record lies
// somewhere between the positions read before and after it.
func (h *pitrHistory) upTo(end uint64) (s span) {
	for i, m := range h.moments {
		if m.after <= end {
			s.lo = i + 1
		}
		if m.before < end {
			s.hi = i + 1
		}
	}
	return s
}

// inBackup is the state at the end of a backup.
func (h *pitrHistory) inBackup(b backupInfo) span { return h.upTo(lsn(h.t, b.StopLSN)) }

// check wants the server to be in a state, row by row.
func (h *pitrHistory) check(t testing.TB, s *pgtest.Server, want span) {
	t.Helper()
	ctx := context.Background()
	got := s.SQL(ctx, "SELECT step, account, delta FROM journal ORDER BY step")
	k := len(got)
	if k < want.lo || k > want.hi {
		t.Errorf("%d steps restored, want %+v", k, want)
		return
	}
	balances := make([]int, pitrAccounts)
	var journal []string
	for i, m := range h.moments[:k] {
		balances[m.account-1] += m.delta
		journal = append(journal, fmt.Sprint(i+1, m.account, m.delta))
	}
	for i, row := range got {
		if strings.Join(row, " ") != journal[i] {
			t.Fatalf("step %v, want %s", row, journal[i])
		}
	}
	for i, row := range s.SQL(ctx, "SELECT balance, filler FROM accounts ORDER BY id") {
		if row[0] != strconv.Itoa(balances[i]) || row[1] != strings.Repeat("x", 80) {
			t.Fatalf("account %d: %v, want %d", i+1, row, balances[i])
		}
	}
}
