package pgserver

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// DSN is the connection string over the unix socket.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=%s sslmode=disable connect_timeout=10", s.SocketDir, s.Port, quoteDSN(database))
}

// Connect opens a connection as the superuser postgres.
func (s *Server) Connect(ctx context.Context, database string) (*pgconn.PgConn, error) {
	conn, err := pgconn.Connect(ctx, s.DSN(database))
	if err != nil {
		return nil, fmt.Errorf("connect to test server: %w", err)
	}
	return conn, nil
}

// SQL runs a statement in a connection of its own and gives the rows as text;
// NULL is "". Without arguments sql may hold several statements; the rows are
// those of the last one.
func (s *Server) SQL(ctx context.Context, database, sql string, args ...string) ([][]string, error) {
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	return Query(ctx, conn, sql, args...)
}

// Query is SQL on an open connection.
func Query(ctx context.Context, conn *pgconn.PgConn, sql string, args ...string) ([][]string, error) {
	var results []*pgconn.Result
	if len(args) == 0 {
		rs, err := conn.Exec(ctx, sql).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("run %q: %w", sql, err)
		}
		results = rs
	} else {
		params := make([][]byte, len(args))
		for i, a := range args {
			params[i] = []byte(a)
		}
		r := conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
		if r.Err != nil {
			return nil, fmt.Errorf("run %q: %w", sql, r.Err)
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, nil
	}
	var rows [][]string
	for _, row := range results[len(results)-1].Rows {
		text := make([]string, len(row))
		for i, col := range row {
			text[i] = string(col)
		}
		rows = append(rows, text)
	}
	return rows, nil
}

// Checksums gives, for every permanent user table of every database, the
// number of rows and an order-independent hash of their text: the sum of the
// first 64 bits of each row's md5. Keys are "database.schema.table". Unlogged
// tables are left out: a restore empties them rightly.
func (s *Server) Checksums(ctx context.Context) (map[string]string, error) {
	dbs, err := s.SQL(ctx, "postgres", "SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1")
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, db := range dbs {
		if err := s.databaseChecksums(ctx, db[0], sums); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

const userTables = `SELECT n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1, 2`

// One snapshot for all tables, so that the sums belong together under load.
func (s *Server) databaseChecksums(ctx context.Context, db string, sums map[string]string) error {
	conn, err := s.Connect(ctx, db)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := Query(ctx, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"); err != nil {
		return err
	}
	tables, err := Query(ctx, conn, userTables)
	if err != nil {
		return err
	}
	for _, t := range tables {
		rows, err := Query(ctx, conn, fmt.Sprintf(
			"SELECT count(*), coalesce(sum(('x' || left(md5(t::text), 16))::bit(64)::bigint::numeric), 0) FROM %s t", t[2]))
		if err != nil {
			return err
		}
		sums[db+"."+t[0]+"."+t[1]] = rows[0][0] + " rows " + rows[0][1]
	}
	return nil
}

func quoteDSN(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}
