package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/test/checker"
	"gsprobackup/test/pgtest"
)

// hangGuard ends a tool that would never end; no test depends on its length.
const hangGuard = 10 * time.Minute

// catalog is a backup catalog with one instance, used through the tool.
type catalog struct {
	t        testing.TB
	dir      string // -B
	instance string
	server   *pgtest.Server // where backups are taken from
	dataDir  string         // its data directory
}

const instanceName = "main"

// newCatalog runs init and add-instance for a server.
func newCatalog(t testing.TB, server *pgtest.Server) *catalog {
	t.Helper()
	c := &catalog{
		t: t, dir: filepath.Join(pgtest.TempDir(t), "catalog"), instance: instanceName,
		server: server, dataDir: server.DataDir,
	}
	c.ok("init", "-B", c.dir)
	c.ok("add-instance", "-B", c.dir, "--instance", c.instance, "-D", server.DataDir)
	return c
}

// result is a finished run of the tool.
type result struct {
	args           []string
	stdout, stderr string
	code           int // -1 when a signal killed it
}

func (r result) String() string {
	return fmt.Sprintf("gs_probackup %s\nexit %d\nstdout:\n%s\nstderr:\n%s", strings.Join(r.args, " "), r.code, shorten(r.stdout), shorten(r.stderr))
}

// shorten keeps failure messages readable.
func shorten(s string) string {
	const keep = 6000
	if len(s) > keep {
		return "…" + s[len(s)-keep:]
	}
	return s
}

// tool prepares a run of the tool as the server's user. At the end of ctx it
// is told to die with a dump of its goroutines.
func tool(ctx context.Context, args ...string) *exec.Cmd {
	cmd := account.AsUser(exec.CommandContext(ctx, toolPath, args...))
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGABRT) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs the tool and accepts any exit status.
func run(t testing.TB, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	return finish(t, ctx, tool(ctx, args...), nil)
}

// finish runs a prepared command; begun is called once it has started.
func finish(t testing.TB, ctx context.Context, cmd *exec.Cmd, begun func()) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	err := cmd.Start()
	if err == nil {
		if begun != nil {
			begun()
		}
		err = cmd.Wait()
	}
	res := result{args: cmd.Args[1:], stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run tool: %v", err)
	}
	res.code = cmd.ProcessState.ExitCode()
	if ctx.Err() != nil {
		t.Fatalf("tool did not end within %v\n%v", hangGuard, res)
	}
	return res
}

// ok runs the tool and wants exit status 0.
func (c *catalog) ok(args ...string) result {
	c.t.Helper()
	res := run(c.t, args...)
	if res.code != 0 {
		c.t.Fatal(res)
	}
	return res
}

// fails runs the tool and wants exit status 1 and all texts on stderr.
func (c *catalog) fails(texts []string, args ...string) result {
	c.t.Helper()
	res := run(c.t, args...)
	if res.code != 1 {
		c.t.Fatalf("exit status %d, want 1\n%v", res.code, res)
	}
	for _, text := range texts {
		if !strings.Contains(res.stderr, text) {
			c.t.Errorf("%q is not on stderr\n%v", text, res)
		}
	}
	return res
}

// on adds catalog and instance to a command.
func (c *catalog) on(command string, extra ...string) []string {
	return append([]string{command, "-B", c.dir, "--instance", c.instance}, extra...)
}

// backupArgs is a FULL backup of the catalog's server.
func (c *catalog) backupArgs(extra ...string) []string {
	args := c.on("backup", "-b", "full", "-D", c.dataDir,
		"-h", c.server.SocketDir, "-p", strconv.Itoa(c.server.Port), "-U", "postgres", "-d", "postgres", "-w",
		"--log-level-console", "log")
	return append(args, extra...)
}

// backup takes a FULL backup and tells what the catalog says of it.
func (c *catalog) backup(extra ...string) backupInfo {
	c.t.Helper()
	c.ok(c.backupArgs(extra...)...)
	return c.newest()
}

// backupInfo is a backup in the output of show --format=json.
type backupInfo struct {
	ID           string `json:"id"`
	Parent       string `json:"parent-backup-id"`
	Mode         string `json:"backup-mode"`
	WAL          string `json:"wal"`
	Algorithm    string `json:"compress-alg"`
	Level        int    `json:"compress-level"`
	FromReplica  string `json:"from-replica"`
	Checksums    int    `json:"checksum-version"`
	Server       string `json:"server-version"`
	StartLSN     string `json:"start-lsn"`
	StopLSN      string `json:"stop-lsn"`
	StartTime    string `json:"start-time"`
	EndTime      string `json:"end-time"`
	RecoveryTime string `json:"recovery-time"`
	ExpireTime   string `json:"expire-time"`
	RecoveryName string `json:"recovery-name"`
	Externals    string `json:"external-dirs"`
	Status       string `json:"status"`
	Note         string `json:"note"`
	DataBytes    int64  `json:"data-bytes"`
	WALBytes     int64  `json:"wal-bytes"`
	PGDataBytes  int64  `json:"pgdata-bytes"`
}

// list is what show says, newest first.
func (c *catalog) list() []backupInfo {
	c.t.Helper()
	res := c.ok(c.on("show", "--format", "json")...)
	var doc struct {
		Info []struct {
			Instance string       `json:"instance"`
			Backups  []backupInfo `json:"backups"`
		} `json:"backup_info"`
	}
	if err := json.Unmarshal([]byte(res.stdout), &doc); err != nil {
		c.t.Fatalf("read show: %v\n%v", err, res)
	}
	if len(doc.Info) != 1 || doc.Info[0].Instance != c.instance {
		c.t.Fatalf("show does not list instance %s alone\n%v", c.instance, res)
	}
	return doc.Info[0].Backups
}

func (c *catalog) newest() backupInfo {
	c.t.Helper()
	all := c.list()
	if len(all) == 0 {
		c.t.Fatal("show lists no backup")
	}
	return all[0]
}

// get is what show says of one backup.
func (c *catalog) get(id string) backupInfo {
	c.t.Helper()
	for _, b := range c.list() {
		if b.ID == id {
			return b
		}
	}
	c.t.Fatalf("show does not list backup %s", id)
	return backupInfo{}
}

// backupDir is where a backup is stored.
func (c *catalog) backupDir(id string) string {
	return filepath.Join(c.dir, "backups", c.instance, id)
}

// restore restores a backup to a new place.
func (c *catalog) restore(id, target string, extra ...string) result {
	c.t.Helper()
	return c.ok(c.on("restore", append([]string{"-i", id, "-D", target}, extra...)...)...)
}

// remap moves every tablespace of the server below dir.
func (c *catalog) remap(dir string) []string {
	var args []string
	for _, ts := range c.server.Tablespaces {
		args = append(args, "-T", ts.Dir+"="+filepath.Join(dir, ts.Name))
	}
	return args
}

// checkFormat has the strict checker look at the whole catalog.
func (c *catalog) checkFormat(opts checker.Options) {
	c.t.Helper()
	problems, _, err := checker.Check(c.dir, opts)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range checker.Errors(problems) {
		c.t.Errorf("format: %v", p)
	}
}

// lsn reads an LSN of show.
func lsn(t testing.TB, text string) uint64 {
	t.Helper()
	var hi, lo uint32
	if _, err := fmt.Sscanf(text, "%X/%X", &hi, &lo); err != nil {
		t.Fatalf("read LSN %q: %v", text, err)
	}
	return uint64(hi)<<32 | uint64(lo)
}
