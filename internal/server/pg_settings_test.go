package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/test/pgtest"
)

// testPostgresRoleSettings: the login role streams, the role it has chosen
// calls the functions.
func testPostgresRoleSettings(t *testing.T, s *pgtest.Server) {
	mustSQL(t, s, `create role caller`, `create role streamer login replication in role caller`, `alter role streamer set role = caller`,
		`grant execute on function pg_backup_start, pg_backup_stop, pg_create_restore_point to caller`,
		`create role chief superuser`, `create role mute login in role chief`, `alter role mute set role = chief`)
	needs := Needs{Stream: true, RestorePoint: true}
	if err := mustConnect(t, tcpOptions(s, "streamer")).Flavor().CheckPrivileges(t.Context(), needs); err != nil {
		t.Errorf("streamer: %v", err)
	}
	wantText(t, mustConnect(t, tcpOptions(s, "mute")).Flavor().CheckPrivileges(t.Context(), needs),
		`role "chief" cannot take a backup, it lacks: attribute REPLICATION of role "mute", which has logged in`)
}

// testPostgresEncoding: paths and names come as the bytes they are, from a
// database of another encoding, too.
func testPostgresEncoding(t *testing.T, s *pgtest.Server) {
	dir := filepath.Join(s.Root, "tsü")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Own(dir); err != nil {
		t.Fatal(err)
	}
	mustSQL(t, s, "create tablespace umlaut location '"+dir+"'", "create database dbü", "create database latin encoding 'LATIN1' template template0")
	t.Cleanup(func() { mustSQL(t, s, "drop tablespace umlaut", "drop database dbü", "drop database latin") })
	o := socketOptions(s)
	o.Database = "latin"
	ctx, f := t.Context(), mustConnect(t, o).Flavor()
	dbs, err := f.Databases(ctx)
	if err != nil || !slices.ContainsFunc(dbs, func(d Database) bool { return d.Name == "dbü" }) {
		t.Errorf("databases %v, %v", dbs, err)
	}
	if _, err := f.StartBackup(ctx, StartOptions{Label: "x", Fast: true}); err != nil {
		t.Fatal(err)
	}
	stop, err := f.StopBackup(ctx)
	if err != nil || !strings.Contains(string(stop.TablespaceMap), " "+dir+"\n") {
		t.Errorf("stop %+v, %v", stop, err)
	}
}

// testPostgresService: what PGSERVICE names stands behind options and before
// other variables.
func testPostgresService(t *testing.T, s *pgtest.Server) {
	file := filepath.Join(t.TempDir(), "services")
	text := fmt.Sprintf("[other]\nport=1\n[main]\nhost=%s\nport=%d\nuser=postgres\n", s.SocketDir, s.Port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"PGSERVICE": "main", "PGSERVICEFILE": file, "PGHOST": "nowhere", "PGPORT": "1", "PGUSER": "nobody"}
	c := mustConnect(t, Options{Database: "postgres", NoPassword: true, Env: env(vars)})
	mustReplicate(t, c)
	vars["PGSERVICE"] = "none"
	_, err := Connect(t.Context(), Options{Database: "postgres", Env: env(vars)})
	wantText(t, err, "could not connect to database postgres: definition of service \"none\" not found\n")
}
