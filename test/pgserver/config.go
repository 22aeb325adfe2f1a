package pgserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Config describes a new cluster. The zero value is a small cluster of the
// version nearest to 15, without page checksums.
type Config struct {
	Major         int // 0: any, nearest to 15
	DataChecksums bool
	WALSegSizeMB  int               // 0: the default, 16
	Settings      map[string]string // for postgresql.conf, over the defaults below
	HBA           []string          // the whole pg_hba.conf; empty: trust everybody
	Tablespaces   int               // number of tablespaces ts1, ts2… to make
	Trace         func([]string)    // is told each command before it runs
}

// defaultSettings keep the server small and fast. A server crash loses nothing
// here: fsync protects against a crash of the machine only.
var defaultSettings = map[string]string{
	"fsync":                            "off",
	"shared_buffers":                   "16MB",
	"max_connections":                  "30",
	"max_wal_senders":                  "10",
	"max_wal_size":                     "256MB",
	"min_wal_size":                     "32MB",
	"autovacuum":                       "off", // no surprise writes between two checksums
	"log_timezone":                     "UTC",
	"timezone":                         "UTC",
	"log_line_prefix":                  "'%m [%p] '",
	"logging_collector":                "off",
	"dynamic_shared_memory_type":       "posix",
	"max_parallel_maintenance_workers": "0",
}

func (s *Server) initCluster(ctx context.Context, cfg Config) error {
	initdb, err := s.Program("initdb")
	if err != nil {
		return err
	}
	args := []string{"-D", s.DataDir, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"}
	switch {
	case cfg.DataChecksums:
		args = append(args, "--data-checksums")
	case s.Major >= 18: // on by default from here
		args = append(args, "--no-data-checksums")
	}
	settings := map[string]string{}
	for k, v := range defaultSettings {
		settings[k] = v
	}
	if mb := cfg.WALSegSizeMB; mb != 0 {
		args = append(args, "--wal-segsize="+strconv.Itoa(mb))
		settings["min_wal_size"] = strconv.Itoa(max(32, 2*mb)) + "MB"
		settings["max_wal_size"] = strconv.Itoa(max(256, 4*mb)) + "MB"
	}
	for k, v := range cfg.Settings {
		settings[k] = v
	}
	s.trace(append([]string{initdb}, args...))
	if out, err := s.AsUser(exec.CommandContext(ctx, initdb, args...)).CombinedOutput(); err != nil {
		return fmt.Errorf("run initdb of PostgreSQL %s: %w\n%s", s.Version, err, out)
	}
	var conf strings.Builder
	keys := make([]string, 0, len(settings))
	for k := range settings {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	conf.WriteString("\n# settings of package pgserver\n")
	for _, k := range keys {
		fmt.Fprintf(&conf, "%s = %s\n", k, settingValue(settings[k]))
	}
	if err := appendFile(filepath.Join(s.DataDir, "postgresql.conf"), conf.String()); err != nil {
		return err
	}
	if len(cfg.HBA) > 0 {
		text := strings.Join(cfg.HBA, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(s.DataDir, "pg_hba.conf"), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write pg_hba.conf: %w", err)
		}
	}
	return nil
}

// settingValue quotes a value unless the caller did.
func settingValue(v string) string {
	if strings.HasPrefix(v, "'") {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", "''") + "'"
}

func (s *Server) makeTablespaces(ctx context.Context, n int) error {
	for i := 1; i <= n; i++ {
		ts := Tablespace{Name: "ts" + strconv.Itoa(i), Dir: filepath.Join(s.Root, "ts"+strconv.Itoa(i))}
		if err := os.Mkdir(ts.Dir, 0o700); err != nil {
			return fmt.Errorf("make tablespace directory: %w", err)
		}
		if err := s.Own(ts.Dir); err != nil {
			return fmt.Errorf("give tablespace directory to %s: %w", s.Name, err)
		}
		create := fmt.Sprintf("CREATE TABLESPACE %s LOCATION '%s'", ts.Name, ts.Dir)
		s.trace([]string{"SQL:", create})
		if _, err := s.SQL(ctx, "postgres", create); err != nil {
			return err
		}
		rows, err := s.SQL(ctx, "postgres", "SELECT oid FROM pg_tablespace WHERE spcname = $1", ts.Name)
		if err != nil {
			return err
		}
		oid, err := strconv.ParseUint(rows[0][0], 10, 32)
		if err != nil {
			return fmt.Errorf("read tablespace oid: %w", err)
		}
		ts.OID = uint32(oid)
		s.Tablespaces = append(s.Tablespaces, ts)
	}
	return nil
}

func appendFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("open configuration: %w", err)
	}
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return fmt.Errorf("write configuration: %w", err)
	}
	return f.Close()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
