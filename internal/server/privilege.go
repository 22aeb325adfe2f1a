package server

import (
	"context"
	"fmt"
	"strings"

	"gsprobackup/internal/usererr"
)

// sqlRoles: functions are called as the current role, which role settings such
// as "role" may have chosen. A walsender looks at the role of the login.
const sqlRoles = `SELECT r.rolname, r.rolsuper, l.rolname, l.rolsuper OR l.rolreplication
 FROM pg_catalog.pg_roles r, pg_catalog.pg_roles l WHERE r.rolname = current_user AND l.rolname = session_user`

// CheckPrivileges looks whether the role may do everything the backup will
// do. The C tool's cousin for PostgreSQL finds out at the end of a backup that
// took hours.
func (p *postgres) CheckPrivileges(ctx context.Context, n Needs) error {
	rows, err := p.c.Query(ctx, sqlRoles)
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != 4 {
		return fmt.Errorf("read own role: %d rows, want one of 4 columns", len(rows))
	}
	role, login := string(rows[0][0]), string(rows[0][2])
	super, replication := isTrue(rows[0][1]), isTrue(rows[0][3])
	var missing, grants []string
	if n.Stream && !replication {
		what := "attribute REPLICATION"
		if login != role {
			what += fmt.Sprintf(" of role \"%s\", which has logged in", login)
		}
		missing = append(missing, what)
		grants = append(grants, fmt.Sprintf("ALTER ROLE %s REPLICATION;", quoteIdent(login)))
	}
	needed := p.needed(n)
	if super {
		needed = nil
	}
	for _, f := range needed {
		ok, err := one(p.c.Query(ctx, "SELECT pg_catalog.has_function_privilege($1, 'EXECUTE')", f))
		if err != nil {
			return err
		}
		if ok != "t" {
			missing = append(missing, "EXECUTE on "+f)
			grants = append(grants, fmt.Sprintf("GRANT EXECUTE ON FUNCTION %s TO %s;", f, quoteIdent(role)))
		}
	}
	if missing == nil {
		return nil
	}
	return usererr.New("role \"%s\" cannot take a backup, it lacks: %s", role, strings.Join(missing, ", ")).
		WithHint("as superuser: %s", strings.Join(grants, " "))
}

// needed are the functions whose EXECUTE PostgreSQL gives to nobody. Those of
// Identity and the txid functions are open to everybody at first, but the
// administrator may have closed them.
func (p *postgres) needed(n Needs) []string {
	f := p.functions()
	list := []string{
		fmt.Sprintf("pg_catalog.%s(%s)", f.start, f.startSig),
		fmt.Sprintf("pg_catalog.%s(%s)", f.stop, f.stopSig),
		"pg_catalog.pg_control_system()",
		"pg_catalog.pg_control_checkpoint()",
		"pg_catalog.pg_control_recovery()",
	}
	if n.RestorePoint {
		list = append(list, "pg_catalog.pg_create_restore_point(text)")
	}
	return list
}
