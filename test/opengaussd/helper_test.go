package opengaussd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/cli"
	"gsprobackup/internal/server"
	"gsprobackup/test/checker"
	"gsprobackup/test/opengaussd/ogdata"
)

// world is a cluster, its server and a catalog to back it up into.
type world struct {
	t       *testing.T
	dir     string
	cluster *ogdata.Cluster
	srv     *Server
	catalog string
}

// newWorld starts a server; cfg.Cluster is filled in.
func newWorld(t *testing.T, o ogdata.Options, cfg Config) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	o.Dir = filepath.Join(w.dir, "data")
	if o.Tablespaces == "" {
		o.Tablespaces = filepath.Join(w.dir, "spaces")
	}
	var err error
	if w.cluster, err = ogdata.New(o); err != nil {
		t.Fatal(err)
	}
	cfg.Cluster = w.cluster
	if w.srv, err = Start(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.srv.Close(); err != nil {
			t.Error(err)
		}
		if err := w.cluster.Close(); err != nil {
			t.Error(err)
		}
		if list := w.srv.Unknown(); len(list) > 0 {
			t.Errorf("statements without a rule: %q", list)
		}
	})
	w.catalog = filepath.Join(w.dir, "catalog")
	return w
}

// result is one run of the tool.
type result struct {
	exit     int
	out, err string
}

// tool runs gs_probackup in this process.
func (w *world) tool(args ...string) result {
	var out, err bytes.Buffer
	env := cli.OSEnv()
	env.LookupEnv = func(string) (string, bool) { return "", false }
	env.Location, env.Signals, env.OpenTerminal, env.MaskArgument = time.UTC, false, nil, nil
	exit := cli.Run(append([]string{"gs_probackup"}, args...), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err}, env)
	return result{exit, out.String(), err.String()}
}

// must runs the tool and wants success.
func (w *world) must(args ...string) result {
	w.t.Helper()
	r := w.tool(args...)
	if r.exit != 0 {
		w.t.Fatalf("%q: exit %d\n%s", args, r.exit, clip(r.err))
	}
	return r
}

func clip(s string) string {
	if len(s) > 4000 {
		return "…" + s[len(s)-4000:]
	}
	return s
}

// init makes the catalog and the instance.
func (w *world) init() {
	w.t.Helper()
	w.must("init", "-B", w.catalog)
	w.must("add-instance", "-B", w.catalog, "--instance", "n1", "-D", w.cluster.Dir())
}

func (w *world) backupArgs(mode string, more ...string) []string {
	args := []string{"backup", "-B", w.catalog, "--instance", "n1", "-b", mode, "--stream",
		"-h", "127.0.0.1", "-p", strconv.Itoa(w.srv.Port), "-U", GoldenUser, "-W", GoldenPassword, "-d", "testdb", "--no-sync"}
	return append(args, more...)
}

// backup takes a backup and returns its ID and the state it must restore.
func (w *world) backup(mode string, more ...string) (string, ogdata.Tree) {
	w.t.Helper()
	return w.takeBackup(func() { w.must(w.backupArgs(mode, more...)...) })
}

// takeBackup is backup with a command of its own.
func (w *world) takeBackup(run func()) (string, ogdata.Tree) {
	w.t.Helper()
	tree, err := w.cluster.Snapshot()
	if err != nil {
		w.t.Fatal(err)
	}
	run()
	ids := w.backups()
	after, err := w.cluster.Snapshot()
	if err != nil {
		w.t.Fatal(err)
	}
	// The checkpoint of the start is part of the backup, nothing else changed.
	for _, p := range []string{"global/pg_control", "global/pg_control.backup"} {
		tree[p] = after[p]
	}
	for p := range after {
		if strings.HasPrefix(p, "pg_cbm/") {
			tree[p] = after[p]
		}
	}
	if d := tree.Diff(after); d != nil {
		w.t.Fatalf("the server's files changed during the backup: %q", d)
	}
	return ids[len(ids)-1], tree
}

// backups lists the IDs, oldest first.
func (w *world) backups() []string {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.catalog, "backups", "n1"))
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// check has the independent reader look at the catalog.
func (w *world) check() {
	w.t.Helper()
	problems, stats, err := checker.Check(w.catalog, checker.Options{OnlyFinished: true})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range checker.Errors(problems) {
		w.t.Error(p)
	}
	if stats.Pages < 100 {
		w.t.Errorf("the checker saw %+v", stats)
	}
}

// restore restores a backup next to the original and compares the trees.
func (w *world) restore(id string, want ogdata.Tree, more ...string) {
	w.t.Helper()
	target := filepath.Join(w.dir, "restored-"+id)
	args := append([]string{"restore", "-B", w.catalog, "--instance", "n1", "-D", target, "-i", id, "--no-sync"}, more...)
	for _, ts := range w.cluster.Tablespaces() {
		if !strings.HasPrefix(ts.Target, w.cluster.Dir()) {
			args = append(args, "-T", ts.Target+"="+filepath.Join(w.dir, "spaces-"+id, filepath.Base(ts.Target)))
		}
	}
	w.must(args...)
	got, err := ogdata.ReadTree(target)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range want.Diff(got) {
		w.t.Error(id, d)
	}
	if err := os.RemoveAll(target); err != nil {
		w.t.Fatal(err)
	}
}

// options are for connecting as the product does.
func (w *world) options() server.Options {
	return server.Options{
		Host: "127.0.0.1", Port: strconv.Itoa(w.srv.Port), User: GoldenUser, Password: GoldenPassword, Database: "testdb",
		Env: func(string) (string, bool) { return "", false },
	}
}

func (w *world) connect(o server.Options) (*server.Conn, error) {
	return server.Connect(context.Background(), o)
}

func (w *world) mustConnect() *server.Conn {
	w.t.Helper()
	c, err := w.connect(w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { closeAll(w.t, c) })
	return c
}

func closeAll(t *testing.T, c interface{ Close(context.Context) error }) {
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
