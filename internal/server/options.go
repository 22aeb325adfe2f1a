package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/internal/event"
)

const (
	// connectTimeout is fixed by the program (spec/server.md §1.1).
	connectTimeout = 120 * time.Second
	// defaultRWTimeout is --rw-timeout when it is 0 (spec/cli.md §3.1).
	defaultRWTimeout = 120 * time.Second
	defaultPort      = 5432
	applicationName  = "gs_probackup"
)

// Options says how to reach the server. Empty fields have libpq's defaults:
// PGSERVICE, PGHOST, PGPORT, PGUSER, PGDATABASE, PGSSLMODE, PGOPTIONS and
// PGAPPNAME are honoured as libpq does (spec/cli.md §1.4).
type Options struct {
	Host     string // -h: name, address or socket directory
	Port     string // -p; only an explicit port moves replication to port+1
	User     string // -U
	Database string // -d
	Password string // -W; "" is not given

	// NoPassword is -w: never ask for a password.
	NoPassword bool
	// Prompt asks a person for a password, at most once per Connect, and
	// only when the server wants one. nil is like NoPassword. The prompt text
	// is the C tool's (spec/cli.md §9).
	Prompt func(ctx context.Context, prompt string) (string, error)

	// RWTimeout is --rw-timeout: how long the network may stay silent, with
	// data or probes unanswered, before the connection counts as dead. 0
	// means 120 s. It does not limit how long a statement may run.
	RWTimeout time.Duration

	// Env looks up an environment variable; nil means os.LookupEnv. The
	// files that PGSSLCERT and its like name are read by pgx from the process
	// environment.
	Env func(name string) (string, bool)

	// Events receives QuerySent, Notice, CancelSent; nil drops them.
	Events event.Sink
}

// settings are Options with all defaults filled in.
type settings struct {
	Options
	hosts        []string // one, or the default socket directories to try
	port         int
	explicitPort bool
	user         string
	database     string
	service      map[string]string // of PGSERVICE
}

func (o Options) resolve() (*settings, error) {
	s := &settings{Options: o}
	if s.Env == nil {
		s.Env = os.LookupEnv
	}
	if s.Events == nil {
		s.Events = event.Discard
	}
	if s.RWTimeout <= 0 {
		s.RWTimeout = defaultRWTimeout
	}
	if err := s.readService(); err != nil {
		return nil, connectError(o.Database, err.Error()+"\n", err)
	}
	s.user = s.first(o.User, "user", "PGUSER")
	if s.user == "" {
		u, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("find user name: %w", err)
		}
		s.user = u.Username
	}
	s.database = s.first(o.Database, "dbname", "PGDATABASE")
	if s.database == "" {
		s.database = s.user
	}
	if host := s.first(o.Host, "host", "PGHOST"); host != "" {
		s.hosts = []string{host}
	} else {
		s.hosts = socketDirs()
	}
	s.explicitPort = o.Port != ""
	s.port = defaultPort
	if p := s.first(o.Port, "port", "PGPORT"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 65535 {
			return nil, connectError(s.database, fmt.Sprintf("invalid port number: \"%s\"\n", p), err)
		}
		s.port = n
	}
	return s, nil
}

// first is value, or when it is empty what the service says, or the
// environment variable.
func (s *settings) first(value, key, env string) string {
	if value != "" {
		return value
	}
	if v := s.service[key]; v != "" {
		return v
	}
	v, _ := s.Env(env)
	return v
}

// socketDirs are the directories that may hold the server's unix socket: the
// default of Debian's PostgreSQL, then that of openGauss and of PostgreSQL
// built from source. Without the first, /tmp is named in the error as C does.
func socketDirs() []string {
	var dirs []string
	if _, err := os.Stat("/var/run/postgresql"); err == nil {
		dirs = append(dirs, "/var/run/postgresql")
	}
	return append(dirs, "/tmp")
}

// host picks the first socket directory that has a socket for the port, so
// that a server in the second directory is found and errors name one path.
func (s *settings) host(port int) string {
	for _, h := range s.hosts {
		if _, err := os.Stat(socketPath(h, port)); len(s.hosts) > 1 && err == nil {
			return h
		}
	}
	return s.hosts[len(s.hosts)-1]
}

func socketPath(dir string, port int) string {
	return filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(port))
}

// target is one place to connect to.
type target struct {
	port        int
	replication bool
}

// pgConfig builds pgx' configuration for a target and a password. Everything
// libpq would take from the environment and this package decides on itself is
// set explicitly, so that pgx does not look it up a second time.
func (s *settings) pgConfig(t target, password string) (*pgconn.Config, error) {
	params := [][2]string{
		{"host", s.host(t.port)},
		{"port", strconv.Itoa(t.port)},
		{"user", s.user},
		{"dbname", s.database},
		{"connect_timeout", strconv.Itoa(int(connectTimeout / time.Second))},
		{"target_session_attrs", "any"},
		{"passfile", os.DevNull},
	}
	if t.replication {
		// The pseudo database matches hba lines and is what openGauss wants;
		// PostgreSQL ignores it (spec/server.md §1.1).
		params[3][1] = "replication"
		params = append(params, [2]string{"replication", "true"})
	}
	params = append(params, [2]string{"application_name", cmp.Or(s.first("", "application_name", "PGAPPNAME"), applicationName)})
	for env, name := range map[string]string{"PGSSLMODE": "sslmode", "PGOPTIONS": "options"} {
		if v := s.first("", name, env); v != "" {
			params = append(params, [2]string{name, v})
		}
	}
	var dsn strings.Builder
	for _, p := range params {
		fmt.Fprintf(&dsn, "%s='%s' ", p[0], strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(p[1]))
	}
	cfg, err := pgconn.ParseConfig(dsn.String())
	if err != nil {
		// pgx quotes the connection string; the reason alone says enough.
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return nil, connectError(s.database, err.Error()+"\n", err)
	}
	cfg.Password = password
	return cfg, nil
}
