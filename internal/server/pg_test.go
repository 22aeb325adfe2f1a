package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/test/pgserver"
	"gsprobackup/test/pgtest"
)

// hba gives every role of setup its own authentication method over TCP.
var hba = []string{
	"local all all trust",
	"local replication all trust",
	"host all,replication trusty 127.0.0.1/32 trust",
	"host all,replication scram 127.0.0.1/32 scram-sha-256",
	"host all,replication md5u 127.0.0.1/32 md5",
	"host all,replication clear 127.0.0.1/32 password",
	"host all,replication limited,streamer,mute 127.0.0.1/32 trust",
	"host all,replication postgres 127.0.0.1/32 trust",
}

const pgPassword = `it's a \pass`

func startPG(t *testing.T, cfg pgtest.Config) *pgtest.Server {
	t.Helper()
	if cfg.HBA == nil {
		cfg.HBA = hba
	}
	return pgtest.Start(t, cfg)
}

func mustSQL(t *testing.T, s *pgtest.Server, sql ...string) {
	t.Helper()
	for _, q := range sql {
		if _, err := s.Server.SQL(context.Background(), "postgres", q); err != nil {
			t.Fatal(err)
		}
	}
}

// env is an environment with nothing but the given variables, so that the
// developer's PG* variables cannot change a test.
func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func tcpOptions(s *pgtest.Server, user string) Options {
	return Options{
		Host: "127.0.0.1", Port: strconv.Itoa(s.Port), User: user, Database: "postgres",
		NoPassword: true, Env: env(nil),
	}
}

func socketOptions(s *pgtest.Server) Options {
	o := tcpOptions(s, "postgres")
	o.Host = s.SocketDir
	return o
}

func mustConnect(t *testing.T, o Options) *Conn {
	t.Helper()
	c, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func mustReplicate(t *testing.T, c *Conn) *ReplConn {
	t.Helper()
	r, err := c.ConnectReplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func testPostgresPasswords(t *testing.T, s *pgtest.Server) {
	quoted := strings.ReplaceAll(pgPassword, "'", "''")
	mustSQL(t, s,
		"create role trusty login replication",
		"create role scram login replication password '"+quoted+"'",
		"create role clear login replication password '"+quoted+"'",
		"set password_encryption = md5; create role md5u login replication password '"+quoted+"'",
	)
	passfile := filepath.Join(t.TempDir(), "pass")
	line := fmt.Sprintf("127.0.0.1:%d:postgres:scram:%s\n", s.Port, strings.ReplaceAll(pgPassword, `\`, `\\`))
	if err := os.WriteFile(passfile, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}

	wrong := "could not connect to database postgres: FATAL:  password authentication failed for user \"scram\"\n"
	none := "could not connect to database postgres: fe_sendauth: no password supplied\n"
	cases := []struct {
		name     string
		user     string
		password string
		vars     map[string]string
		answer   string // to the prompt; "-" = -w
		asked    string // prompt seen
		want     string // error text
	}{
		{name: "trust", user: "trusty", answer: "-"},
		{name: "scram", user: "scram", password: pgPassword, answer: "-"},
		{name: "md5", user: "md5u", password: pgPassword, answer: "-"},
		{name: "clear text", user: "clear", password: pgPassword, answer: "-"},
		{name: "wrong", user: "scram", password: "wrong", answer: "unused", want: wrong},
		{name: "prompt", user: "scram", answer: pgPassword, asked: "Password for user scram: "},
		{name: "prompt, md5", user: "md5u", answer: pgPassword, asked: "Password for user md5u: "},
		{name: "prompt, user from PGUSER", vars: map[string]string{"PGUSER": "scram"}, answer: pgPassword, asked: "Password: "},
		{name: "wrong at the prompt, no second one", user: "scram", answer: "wrong", asked: "Password for user scram: ", want: wrong},
		{name: "nothing at the prompt", user: "scram", answer: "", asked: "Password for user scram: ", want: "no password supplied"},
		{name: "-w", user: "scram", answer: "-", want: none},
		{name: "PGPASSWORD", user: "scram", vars: map[string]string{"PGPASSWORD": pgPassword}, answer: "-"},
		{name: "-W before PGPASSWORD", user: "scram", password: pgPassword, vars: map[string]string{"PGPASSWORD": "wrong"}, answer: "-"},
		{name: "password file", user: "scram", vars: map[string]string{"PGPASSFILE": passfile}, answer: "-"},
		{name: "open password file", user: "scram", vars: map[string]string{"PGPASSFILE": open}, answer: "-", want: none},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			o := tcpOptions(s, tc.user)
			o.Password, o.Env = tc.password, env(tc.vars)
			var asked string
			if tc.answer != "-" {
				o.NoPassword = false
				o.Prompt = func(_ context.Context, text string) (string, error) {
					asked += text
					return tc.answer, nil
				}
			}
			c, err := Connect(t.Context(), o)
			if asked != tc.asked {
				t.Errorf("asked %q, want %q", asked, tc.asked)
			}
			if tc.want != "" {
				wantText(t, err, tc.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Flavor().Family() != pgdata.PostgreSQL {
				t.Errorf("family %v", c.Flavor().Family())
			}
			r, err := c.ConnectReplication(t.Context())
			if err != nil {
				t.Fatalf("replication with the same password: %v", err)
			}
			if _, err := r.IdentifySystem(t.Context()); err != nil {
				t.Error(err)
			}
			if err := errors.Join(r.Close(t.Context()), c.Close(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	var ue *usererr.Error
	if !errors.As(err, &ue) {
		t.Fatalf("error %v (%T) is no user error, want %q", err, err, want)
	}
	if ue.Text != want {
		t.Errorf("error %q, want %q", ue.Text, want)
	}
}

// TestPostgres runs a whole backup's SQL on every installed version, and the
// rest on one of them.
func TestPostgres(t *testing.T) {
	t.Parallel()
	installs, err := pgserver.Find()
	if err != nil {
		t.Fatal(err)
	}
	main, err := pgserver.FindMajor(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range installs {
		t.Run(strconv.Itoa(in.Major), func(t *testing.T) {
			t.Parallel()
			s := startPG(t, pgtest.Config{Major: in.Major, DataChecksums: true, Tablespaces: 1, Settings: map[string]string{
				"checkpoint_timeout": "90s", "min_wal_size": "32MB",
			}})
			t.Run("backup", func(t *testing.T) { testPostgresBackup(t, s, in.Major) })
			if in != main {
				return
			}
			t.Run("passwords", func(t *testing.T) { testPostgresPasswords(t, s) })
			t.Run("TLS", func(t *testing.T) { testPostgresTLS(t, s) })
			t.Run("privileges", func(t *testing.T) { testPostgresPrivileges(t, s) })
			t.Run("role settings", func(t *testing.T) { testPostgresRoleSettings(t, s) })
			t.Run("service", func(t *testing.T) { testPostgresService(t, s) })
			t.Run("encoding", func(t *testing.T) { testPostgresEncoding(t, s) })
			t.Run("cancel", func(t *testing.T) { testPostgresCancel(t, s) })
			t.Run("removed segment", func(t *testing.T) { testPostgresRemovedSegment(t, s) })
			t.Run("time lines", func(t *testing.T) { testPostgresTimelines(t, s) })
			t.Run("lost server", func(t *testing.T) { testPostgresLostServer(t, s) })
			t.Run("interrupted receive", func(t *testing.T) { testPostgresInterruptedReceive(t, s) })
		})
	}
}

func testPostgresBackup(t *testing.T, s *pgtest.Server, major int) {
	o := socketOptions(s)
	// what would end the statements of a backup is undone
	mustSQL(t, s, "create function public.version() returns text language sql as 'select ''x''::text'")
	o.Env = env(map[string]string{"PGOPTIONS": "-c statement_timeout=1s -c search_path=public,pg_catalog -c datestyle=German"})
	c := mustConnect(t, o)
	if v, err := one(c.Query(t.Context(), "show statement_timeout")); err != nil || v != "0" {
		t.Errorf("statement_timeout %q, %v", v, err)
	}
	checkFacts(t, s, c, major)
	checkBackup(t, s, c)
	checkStream(t, c)
}

func checkFacts(t *testing.T, s *pgtest.Server, c *Conn, major int) {
	t.Helper()
	ctx, f := t.Context(), c.Flavor()
	if f.Family() != pgdata.PostgreSQL || f.Major() != major || !strings.HasPrefix(f.Version(), "PostgreSQL ") {
		t.Errorf("flavor %v %d %q", f.Family(), f.Major(), f.Version())
	}
	check := func(name string, got any, err error, want any) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	block, err := f.BlockSize(ctx)
	check("block size", block, err, 8192)
	block, err = f.WALBlockSize(ctx)
	check("WAL block size", block, err, 8192)
	seg, err := f.WALSegmentSize(ctx)
	check("segment size", seg, err, 16<<20)
	sums, err := f.DataChecksums(ctx)
	check("checksums", sums, err, true)
	recovery, err := f.IsInRecovery(ctx)
	check("in recovery", recovery, err, false)
	timeout, err := f.CheckpointTimeout(ctx)
	check("checkpoint_timeout", timeout, err, 90*time.Second)
	dirs, err := f.TablespaceLocations(ctx)
	if err != nil || !slices.Equal(dirs, []string{s.Tablespaces[0].Dir}) {
		t.Errorf("tablespaces %v, %v; want %v", dirs, err, s.Tablespaces)
	}
	dbs, err := f.Databases(ctx)
	if err != nil || len(dbs) != 1 || dbs[0].Name != "postgres" || dbs[0].OID == 0 {
		t.Errorf("databases %v, %v", dbs, err)
	}
	control, err := os.ReadFile(filepath.Join(s.DataDir, "global", "pg_control"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := pgdata.ParseControl(control)
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.Identity(ctx)
	check("identity", id, err, Identity{SystemID: want.SystemID, Timeline: 1})
	r := mustReplicate(t, c)
	sys, err := r.IdentifySystem(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Check(id); err != nil {
		t.Error(err)
	}
	wantText(t, sys.Check(Identity{SystemID: 7, Timeline: 1}),
		fmt.Sprintf("System identifier mismatch. Connected PostgreSQL instance has system id: %d. Expected: 7.", id.SystemID))
	wantText(t, sys.Check(Identity{SystemID: id.SystemID, Timeline: 26}),
		"Timeline identifier mismatch. Connected PostgreSQL instance has timeline id: 1. Expected: 1A.")
}

func checkBackup(t *testing.T, s *pgtest.Server, c *Conn) {
	t.Helper()
	ctx, f := t.Context(), c.Flavor()
	if err := errors.Join(f.Prepare(ctx), f.CheckPrivileges(ctx, Needs{Stream: true, RestorePoint: true}), f.AbortBackup(ctx)); err != nil {
		t.Fatal(err)
	}
	start, err := f.StartBackup(ctx, StartOptions{Label: "a 'label'", Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.StartBackup(ctx, StartOptions{}); err == nil {
		t.Error("second start accepted")
	}
	if err := f.CreateRestorePoint(ctx, "pg_probackup, backup_id X"); err != nil {
		t.Error(err)
	}
	before := time.Now().Add(-time.Minute)
	stop, err := f.StopBackup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if stop.LSN <= start || stop.XID == 0 || stop.Exclusive || stop.Time.Before(before) || stop.Time.After(time.Now().Add(time.Minute)) {
		t.Errorf("start %v, stop %+v", start, stop)
	}
	if label := string(stop.Label); !strings.Contains(label, "START WAL LOCATION: "+start.String()+" ") || !strings.Contains(label, "LABEL: a 'label'\n") {
		t.Errorf("label %q", label)
	}
	if want := fmt.Sprintf("%d %s\n", s.Tablespaces[0].OID, s.Tablespaces[0].Dir); string(stop.TablespaceMap) != want {
		t.Errorf("tablespace map %q, want %q", stop.TablespaceMap, want)
	}
	if _, err := f.StopBackup(ctx); err == nil {
		t.Error("second stop accepted")
	}
	// abort leaves backup mode, and a new backup can start
	if _, err := f.StartBackup(ctx, StartOptions{Label: "x", Fast: true}); err != nil {
		t.Fatal(err)
	}
	if err := f.AbortBackup(ctx); err != nil {
		t.Error(err)
	}
	if _, err := f.StartBackup(ctx, StartOptions{Label: "y", Fast: true}); err != nil {
		t.Error(err)
	}
	if err := f.AbortBackup(ctx); err != nil {
		t.Error(err)
	}
}

// checkStream reads three segments of WAL and compares the last position with
// where the server says it is.
func checkStream(t *testing.T, c *Conn) {
	t.Helper()
	ctx, f := t.Context(), c.Flavor()
	r := mustReplicate(t, c)
	sys, err := r.IdentifySystem(ctx)
	if err != nil {
		t.Fatal(err)
	}
	command, ok := f.TempSlotCommand(`odd"name`)
	if !ok {
		t.Fatal("no temporary slots")
	}
	if _, err := r.CreateTempSlot(ctx, command); err == nil {
		t.Error("impossible slot name accepted")
	}
	command, _ = f.TempSlotCommand("tmp_slot")
	if lsn, err := r.CreateTempSlot(ctx, command); err != nil || lsn > sys.XLogPos {
		t.Errorf("temporary slot: %v, %v", lsn, err)
	}
	start := sys.XLogPos &^ (16<<20 - 1)
	stream, err := r.StartReplication(ctx, f.ReplicationStartCommand("tmp_slot", start, sys.Timeline))
	if err != nil {
		t.Fatal(err)
	}
	var end wal.LSN
	for range 3 {
		if err := c.Exec(ctx, "create table if not exists public.filler as select 1 x"); err != nil {
			t.Fatal(err)
		}
		if err := c.Exec(ctx, "insert into public.filler values (1)"); err != nil {
			t.Fatal(err)
		}
		if end, err = f.SwitchWAL(ctx); err != nil {
			t.Fatal(err)
		}
	}
	next := start
	for next < end {
		msg, err := stream.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if msg[0] != 'w' {
			continue
		}
		at := wal.LSN(be64(msg[1:]))
		if at != next {
			t.Fatalf("WAL at %v, want %v", at, next)
		}
		next += wal.LSN(len(msg) - 25)
	}
	reply := make([]byte, 34)
	reply[0], reply[33] = 'r', 1 // ask for a keepalive
	if err := stream.Send(ctx, reply); err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := stream.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if msg[0] == 'k' {
			break
		}
	}
}

func be64(b []byte) uint64 {
	var v uint64
	for _, x := range b[:8] {
		v = v<<8 | uint64(x)
	}
	return v
}

func testPostgresPrivileges(t *testing.T, s *pgtest.Server) {
	mustSQL(t, s, `create role limited login`)
	c := mustConnect(t, tcpOptions(s, "limited"))
	err := c.Flavor().CheckPrivileges(t.Context(), Needs{Stream: true, RestorePoint: true})
	wantText(t, err, `role "limited" cannot take a backup, it lacks: attribute REPLICATION, `+
		`EXECUTE on pg_catalog.pg_backup_start(text, boolean), EXECUTE on pg_catalog.pg_backup_stop(boolean), `+
		`EXECUTE on pg_catalog.pg_create_restore_point(text)`)
	var ue *usererr.Error
	if errors.As(err, &ue) {
		mustSQL(t, s, strings.TrimPrefix(ue.Hint, "as superuser: "))
	}
	if err := c.Flavor().CheckPrivileges(t.Context(), Needs{Stream: true, RestorePoint: true}); err != nil {
		t.Errorf("after following the hint: %v", err)
	}
	granted := mustConnect(t, tcpOptions(s, "limited"))
	if _, err := granted.Flavor().StartBackup(t.Context(), StartOptions{Label: "x", Fast: true}); err != nil {
		t.Error(err)
	}
	if err := granted.Flavor().AbortBackup(t.Context()); err != nil {
		t.Error(err)
	}
}
