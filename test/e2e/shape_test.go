package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/test/pgserver"
	"gsprobackup/test/pgtest"
)

// shaper is a client that makes, rewrites, cuts and drops tables, databases
// and tablespaces, one step after the other, all chosen by a seed. Each step
// is written to table shape_log, in the step's own transaction where there is
// one, and what all tables hold after it is kept here. So the last step in a
// restored cluster tells what it must hold.
type shaper struct {
	t      testing.TB
	server *pgtest.Server
	conn   *pgconn.PgConn // to database postgres
	seed   uint64
	rnd    *rand.Rand

	tables, databases []string
	spaces            []string
	fixedSpaces       bool
	made              int // names given out

	steps  []string            // what was done, for messages
	states []map[string]string // after each step; index 0 is before the first
}

// shapeDB marks the entries of a state that are databases.
const shapeDB = "database "

func newShaper(t testing.TB, s *pgtest.Server, seed uint64) *shaper {
	t.Helper()
	ctx := context.Background()
	conn, err := s.Connect(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) }) // the server may be gone
	w := &shaper{t: t, server: s, conn: conn, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), steps: []string{"begin"}}
	for _, ts := range s.Tablespaces {
		w.spaces = append(w.spaces, ts.Name)
	}
	if err := w.run(ctx, "CREATE SCHEMA shape; CREATE TABLE shape_log (step int PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	w.states = append(w.states, map[string]string{})
	return w
}

// reset makes room for another shaper on the same server. Tablespaces stay,
// empty.
func (w *shaper) reset(ctx context.Context) {
	w.t.Helper()
	for _, db := range w.databases {
		w.server.SQL(ctx, "DROP DATABASE "+db)
	}
	w.server.SQL(ctx, "DROP SCHEMA shape CASCADE")
	w.server.SQL(ctx, "DROP TABLE shape_log")
}

func (w *shaper) run(ctx context.Context, sql string) error {
	_, err := pgserver.Query(ctx, w.conn, sql)
	return err
}

// many does n steps.
func (w *shaper) many(ctx context.Context, n int) {
	w.t.Helper()
	for range n {
		if err := w.step(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
}

// during does steps until stop is closed, and says how it went. It makes no
// tablespaces: replay makes them again at their places on the source, and then
// two servers write there.
func (w *shaper) during(ctx context.Context, stop <-chan struct{}) <-chan error {
	done := make(chan error, 1)
	fixed := w.fixedSpaces
	w.fixedSpaces = true
	go func() {
		err := w.until(ctx, stop)
		w.fixedSpaces = fixed
		done <- err
	}()
	return done
}

// until does steps until stop is closed.
func (w *shaper) until(ctx context.Context, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := w.step(ctx); err != nil {
			return err
		}
	}
}

// shapeOp is one kind of step. It returns the statement, whether it may not
// run in a transaction, and how the state of databases changes.
type shapeOp struct {
	weight int
	do     func(w *shaper) (sql string, alone bool, state func(map[string]string))
}

var shapeOps = []shapeOp{
	{14, (*shaper).create},
	{6, (*shaper).drop},
	{8, onTable("TRUNCATE %[1]s; INSERT INTO %[1]s SELECT i, md5(i::text) FROM generate_series(1, %[2]d) i")},
	{10, onTable("INSERT INTO %[1]s SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, %[2]d * 4) i")},
	{12, onTable("UPDATE %[1]s SET v = v || 'x' WHERE id %% 17 = %[2]d %% 17")},
	{6, onTable("DELETE FROM %[1]s WHERE id > %[2]d")},
	{4, onTable("DELETE FROM %[1]s")},
	{4, onTable("ALTER TABLE %[1]s ADD COLUMN c%[2]d int DEFAULT %[2]d")},
	{4, onTable("CREATE INDEX ON %[1]s USING gist (point(id, length(v)))")},
	{3, onTable("REINDEX TABLE %[1]s")},
	{10, alone(onTable("VACUUM %[1]s"))}, // also cuts the file
	{5, alone(onTable("VACUUM FULL %[1]s"))},
	{4, alone(onTable("VACUUM FREEZE %[1]s"))},
	{4, (*shaper).move},
	{3, (*shaper).volatile},
	{4, (*shaper).createDatabase},
	{2, (*shaper).dropDatabase},
	{1, (*shaper).createSpace},
	{2, func(*shaper) (string, bool, func(map[string]string)) { return "CHECKPOINT", true, nil }},
}

func (w *shaper) step(ctx context.Context) error {
	total := 0
	for _, op := range shapeOps {
		total += op.weight
	}
	pick := w.rnd.IntN(total)
	i := 0
	for ; pick >= shapeOps[i].weight; i++ {
		pick -= shapeOps[i].weight
	}
	sql, alone, change := shapeOps[i].do(w)
	if sql == "" {
		return nil // nothing to do it with
	}
	note := fmt.Sprintf("INSERT INTO shape_log VALUES (%d)", len(w.states))
	var err error
	if alone {
		if err = w.run(ctx, sql); err == nil {
			err = w.run(ctx, note)
		}
	} else {
		err = w.run(ctx, "BEGIN; "+sql+"; "+note+"; COMMIT")
	}
	if err != nil {
		return fmt.Errorf("step %d: %w", len(w.states), err)
	}
	state, err := shapeTables(ctx, w.conn)
	if err != nil {
		return err
	}
	for key, sum := range w.states[len(w.states)-1] {
		if strings.HasPrefix(key, shapeDB) {
			state[key] = sum
		}
	}
	if change != nil {
		change(state)
	}
	w.steps, w.states = append(w.steps, sql), append(w.states, state)
	return nil
}

func (w *shaper) name(prefix string) string {
	w.made++
	return fmt.Sprintf("%s%d", prefix, w.made)
}

func (w *shaper) space() string {
	if len(w.spaces) == 0 || w.rnd.IntN(3) > 0 {
		return "pg_default"
	}
	return w.spaces[w.rnd.IntN(len(w.spaces))]
}

func (w *shaper) create() (string, bool, func(map[string]string)) {
	if len(w.tables) > 12 {
		return "", false, nil
	}
	name := "shape." + w.name("t")
	w.tables = append(w.tables, name)
	return fmt.Sprintf(`CREATE TABLE %[1]s (id int, v text) WITH (fillfactor = %[2]d) TABLESPACE %[3]s;
INSERT INTO %[1]s SELECT i, md5(i::text) FROM generate_series(1, %[4]d) i; CREATE INDEX ON %[1]s (id)`,
		name, 10+w.rnd.IntN(91), w.space(), w.rnd.IntN(3000)), false, nil
}

func (w *shaper) drop() (string, bool, func(map[string]string)) {
	if len(w.tables) < 4 {
		return "", false, nil
	}
	i := w.rnd.IntN(len(w.tables))
	name := w.tables[i]
	w.tables = slices.Delete(w.tables, i, i+1)
	return "DROP TABLE " + name, false, nil
}

// onTable fills in a random table and a random number.
func onTable(format string) func(*shaper) (string, bool, func(map[string]string)) {
	return func(w *shaper) (string, bool, func(map[string]string)) {
		if len(w.tables) == 0 {
			return "", false, nil
		}
		w.made++
		n := w.rnd.IntN(500)
		if strings.Contains(format, "ADD COLUMN") {
			n = w.made
		}
		sql := fmt.Sprintf(format, w.tables[w.rnd.IntN(len(w.tables))], n)
		sql, _, _ = strings.Cut(sql, "%!(EXTRA")
		return sql, false, nil
	}
}

func alone(op func(*shaper) (string, bool, func(map[string]string))) func(*shaper) (string, bool, func(map[string]string)) {
	return func(w *shaper) (string, bool, func(map[string]string)) {
		sql, _, change := op(w)
		return sql, true, change
	}
}

func (w *shaper) move() (string, bool, func(map[string]string)) {
	if len(w.tables) == 0 {
		return "", false, nil
	}
	return fmt.Sprintf("ALTER TABLE %s SET TABLESPACE %s", w.tables[w.rnd.IntN(len(w.tables))], w.space()), false, nil
}

// volatile makes an unlogged table; what becomes of it is nobody's business.
func (w *shaper) volatile() (string, bool, func(map[string]string)) {
	return fmt.Sprintf("CREATE UNLOGGED TABLE %[1]s (id int); INSERT INTO %[1]s SELECT generate_series(1, 2000)", "shape."+w.name("u")), false, nil
}

// createDatabase copies template1, or with WAL one of its own. Replay of a file
// copy reads the template as it is then, so PostgreSQL's manual rules out that
// it is changed or dropped during a base backup.
func (w *shaper) createDatabase() (string, bool, func(map[string]string)) {
	if len(w.databases) >= 3 {
		return "", false, nil
	}
	template, name, strategy := "template1", w.name("d"), ""
	if w.server.Major >= 15 {
		strategy = " STRATEGY file_copy"
		if w.rnd.IntN(2) == 0 {
			strategy = " STRATEGY wal_log"
			if len(w.databases) > 0 {
				template = w.databases[w.rnd.IntN(len(w.databases))]
			}
		}
	}
	w.databases = append(w.databases, name)
	sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s TABLESPACE %s%s", name, template, w.space(), strategy)
	return sql, true, func(state map[string]string) { state[shapeDB+name] = name }
}

func (w *shaper) dropDatabase() (string, bool, func(map[string]string)) {
	if len(w.databases) < 2 {
		return "", false, nil
	}
	name := w.databases[0]
	w.databases = w.databases[1:]
	return "DROP DATABASE " + name, true, func(state map[string]string) { delete(state, shapeDB+name) }
}

func (w *shaper) createSpace() (string, bool, func(map[string]string)) {
	if w.fixedSpaces || len(w.spaces) >= 4 {
		return "", false, nil
	}
	name := w.name(fmt.Sprintf("s%d_", w.seed))
	dir := filepath.Join(w.server.Root, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.t.Error(err)
		return "", false, nil
	}
	if err := w.server.Own(dir); err != nil {
		w.t.Error(err)
		return "", false, nil
	}
	w.spaces = append(w.spaces, name)
	return fmt.Sprintf("CREATE TABLESPACE %s LOCATION '%s'", name, dir), true, nil
}

// shapeTables has the number of rows and a hash of each permanent table.
func shapeTables(ctx context.Context, conn *pgconn.PgConn) (map[string]string, error) {
	tables, err := pgserver.Query(ctx, conn, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'shape' AND c.relkind = 'r' AND c.relpersistence = 'p'`)
	if err != nil {
		return nil, err
	}
	state := map[string]string{}
	for _, t := range tables {
		rows, err := pgserver.Query(ctx, conn, fmt.Sprintf(
			"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM shape.%s t", t[0]))
		if err != nil {
			return nil, err
		}
		state["shape."+t[0]] = rows[0][0] + " rows " + rows[0][1]
	}
	return state, nil
}

// check compares a restored cluster with the state after its last step. A
// database may also be as after the next step, which the log missed. It
// returns the number of the step.
func (w *shaper) check(ctx context.Context, t testing.TB, restored *pgtest.Server) int {
	t.Helper()
	rows := restored.SQL(ctx, "SELECT count(*), coalesce(max(step), 0) FROM shape_log")
	if rows[0][0] != rows[0][1] {
		t.Errorf("steps are missing: %s of %s", rows[0][0], rows[0][1])
	}
	var n int
	if _, err := fmt.Sscan(rows[0][1], &n); err != nil || n >= len(w.states) {
		t.Fatalf("last step %s of %d, %v", rows[0][1], len(w.states), err)
	}
	conn, err := restored.Connect(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	got, err := shapeTables(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, db := range restored.SQL(ctx, "SELECT datname FROM pg_database WHERE datname ~ '^d[0-9]' AND datconnlimit <> -2") {
		got[shapeDB+db[0]] = db[0]
		restored.SQLIn(ctx, db[0], "SELECT count(*) FROM pg_class, pg_attribute WHERE attrelid = pg_class.oid")
	}
	want, next := w.states[n], w.states[min(n+1, len(w.states)-1)]
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	for key := range keys {
		ok := got[key] == want[key] || strings.HasPrefix(key, shapeDB) && got[key] == next[key]
		if !ok {
			t.Errorf("%s after step %d: %q, want %q\nits steps: %s", key, n, got[key], want[key], w.history(key, n))
		}
	}
	return n
}

// history lists the steps that name something, for messages.
func (w *shaper) history(key string, upTo int) string {
	name := strings.TrimPrefix(key, shapeDB)
	var list []string
	for i, sql := range w.steps[:upTo+1] {
		if strings.Contains(sql+" ", name+" ") || strings.Contains(sql, name+";") {
			list = append(list, fmt.Sprintf("%d: %s", i, sql))
		}
	}
	return strings.Join(list, "\n")
}
