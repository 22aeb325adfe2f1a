package replay

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/cli"
	"gsprobackup/internal/wal"
	"gsprobackup/test/golden"
	"gsprobackup/test/opengaussd"
	"gsprobackup/test/opengaussd/ogdata"
)

// world is the machine a transcript plays on: a directory that stands for its
// root, a clock, and the stand-in server if a direction asks for it.
type world struct {
	t        *testing.T
	m        golden.Machine
	env      map[string]string
	cluster  *ogdata.Cluster
	server   *opengaussd.Server
	config   opengaussd.Config
	clock    atomic.Pointer[clock] // also the server's
	steps    int                   // of the cluster's life
	plain    bool                  // the cluster has no absolute tablespace and no row-compressed table
	bare     bool                  // the cluster has no tablespaces
	walStart wal.LSN
	nextXID  uint64
	// interrupt is the message at which the next command gets a signal.
	interrupt *regexp.Regexp
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, m: golden.Machine{Dir: t.TempDir()},
		env: map[string]string{"PGDATA": "/home/omm/data", "PGPORT": "15432", "PGHOST": "/home/omm/sock"},
	}
	w.setClock(time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC))
	w.must(mkdirs(w.m.Path("/home/omm")))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// clock is what the machine's clock showed when the real one showed since.
type clock struct{ showed, since time.Time }

func (w *world) setClock(to time.Time) { w.clock.Store(&clock{to, time.Now()}) }

// slow is how many times slower than the real clock the machine's is: on a busy
// computer a backup must not take longer than it took when it was recorded, or
// the targets of later commands lie elsewhere.
const slow = 10

func (w *world) now() time.Time {
	c := w.clock.Load()
	return c.showed.Add(time.Since(c.since) / slow)
}

var (
	newID    = regexp.MustCompile(`backup ID: (\w+),`)
	portWord = regexp.MustCompile(`^15(432|777)$`)
)

// expect sets the clock to the second in which the recorded backup began, so
// that ours has the same ID.
func (w *world) expect(s Step) {
	m := newID.FindStringSubmatch(s.Stderr)
	if m == nil {
		return
	}
	id, err := catalog.ParseID(m[1])
	w.must(err)
	w.setClock(time.Unix(int64(id), 0))
}

// run runs the tool. env has changes to the environment, nil for what is
// taken away.
func (w *world) run(words []string, env map[string]*string, fullStdout bool) Result {
	var out, errOut bytes.Buffer
	release := ""
	if strings.HasSuffix(words[0], "505") {
		release = "5.0"
	}
	e := cli.Env{
		LookupEnv: func(name string) (string, bool) {
			if v, ok := env[name]; ok {
				if v == nil {
					return "", false
				}
				return *v, true
			}
			if name == "GS_PROBACKUP_COMPAT" && release != "" {
				return release, true
			}
			v, ok := w.env[name]
			return v, ok
		},
		Now: w.now, Location: time.UTC,
		UserName: func() string { return "omm" }, CPUs: 4, PID: 4711, FS: fastFS{w.m.FS()},
		Program: "/opt/ogfull/bin/gs_probackup",
		Build:   cli.Build{Hash: "585be54d", Date: "2026-11-22 08:11:59"},
	}
	args := append([]string{"/opt/ogfull/bin/gs_probackup"}, words[1:]...)
	if w.server != nil {
		for i := range args {
			if portWord.MatchString(args[i]) {
				args[i] = strconv.Itoa(w.server.Port)
			}
		}
	}
	streams := cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errOut}
	if fullStdout {
		streams.Out = fullDevice{}
	}
	if w.interrupt != nil {
		i := w.interrupted(&errOut)
		e.Context, streams.Err = i.ctx, i
		defer i.check(w)
	}
	exit := cli.Run(args, streams, e)
	return Result{exit, w.recorded(out.String()), w.recorded(errOut.String())}
}

// recorded translates paths that the stand-in knows by their real name.
func (w *world) recorded(s string) string { return strings.ReplaceAll(s, w.m.Dir, "") }

// age makes the databases as old as they are by the machine's clock.
func (w *world) age() {
	for _, pattern := range []string{"base/*/PG_VERSION", "PG_VERSION", "pg_tblspc/*/*/*/PG_VERSION"} {
		names, err := filepath.Glob(w.m.Path("/home/omm/data/" + pattern))
		w.must(err)
		for _, name := range names {
			w.must(os.Chtimes(name, time.Time{}, w.now().Add(-24*time.Hour)))
		}
	}
}

// fullDevice is /dev/full.
type fullDevice struct{}

func (fullDevice) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// startServer makes a cluster in /home/omm/data, unless there is one, and
// serves it.
func (w *world) startServer() error {
	if w.cluster == nil {
		// The cluster's own links and answers carry real paths, which the
		// machine's file system would put below its root once more.
		if err := mkdirs(w.m.Path(filepath.Dir(w.m.Dir))); err != nil {
			return err
		}
		if err := symlink("/", w.m); err != nil {
			return err
		}
		opts := ogdata.Options{Dir: w.m.Path("/home/omm/data"), NoDoubleWrite: true, Now: w.now, NoRowCompressed: w.plain, NoTablespaces: w.bare, WALStart: w.walStart, NextXID: w.nextXID}
		if !w.plain && !w.bare {
			opts.Tablespaces = w.m.Path("/home/omm")
		}
		c, err := ogdata.New(opts)
		if err != nil {
			return err
		}
		w.age()
		// A file that nothing recorded has.
		if err := os.Remove(w.m.Path("/home/omm/data/.hidden")); err != nil {
			return err
		}
		w.cluster = c
		w.t.Cleanup(func() { w.must(c.Close()) })
	}
	w.config.Cluster, w.config.Now = w.cluster, w.now
	if w.config.Users == nil {
		w.config.Users = map[string]opengaussd.User{
			"omm":  {Method: opengaussd.HBATrust, Sysadmin: true, Replication: true},
			"rep":  {Password: "Repl@12345", Sysadmin: true, Replication: true},
			"md5u": {Password: "Md5u@12345", Stored: opengaussd.StoredMD5, Method: opengaussd.HBAMD5},
		}
	}
	s, err := opengaussd.Start(w.config)
	if err != nil {
		return err
	}
	w.server = s
	w.env["PGHOST"], w.env["PGPORT"], w.env["PGUSER"] = "127.0.0.1", strconv.Itoa(s.Port), "omm"
	w.t.Cleanup(func() { w.must(s.Close()) })
	return nil
}
