// Package pgserver runs throw-away PostgreSQL servers for tests, the demo and
// the benchmark.
//
// It owns finding installations, the user to run as, initdb, the server
// process, plain SQL, a write load whose journal tells afterwards what the
// data must be at any point, and checksums of all tables. It knows nothing of
// the tool under test. Everything returns errors; package pgtest is the thin
// wrapper that fails a test instead.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Server is one running (or stopped) server and everything on disk it owns.
type Server struct {
	Install
	Account
	Root        string // temporary directory holding all below; removed by Close
	DataDir     string
	SocketDir   string
	LogFile     string
	Port        int // unix socket in SocketDir and 127.0.0.1
	Tablespaces []Tablespace
	// Trace, if set, is told each command before it runs.
	Trace func(command []string)

	mu      sync.Mutex
	proc    *os.Process
	exited  chan struct{}
	exitErr error
	ownRoot bool
}

// Tablespace is a user tablespace that Start made.
type Tablespace struct {
	Name string
	OID  uint32
	Dir  string
}

// StopMode says how the server ends.
type StopMode int

// The modes of pg_ctl stop, and Kill (SIGKILL to the postmaster).
const (
	Fast StopMode = iota
	Smart
	Immediate
	Kill
)

var stopSignals = map[StopMode]syscall.Signal{
	Fast: syscall.SIGINT, Smart: syscall.SIGTERM, Immediate: syscall.SIGQUIT, Kill: syscall.SIGKILL,
}

const (
	startTimeout = 5 * time.Minute
	stopTimeout  = 5 * time.Minute
	pollInterval = 10 * time.Millisecond
)

// Start makes a new cluster and starts it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s, err := New(cfg.Major)
	if err != nil {
		return nil, err
	}
	s.DataDir, s.Trace = filepath.Join(s.Root, "data"), cfg.Trace
	err = s.initCluster(ctx, cfg)
	if err == nil {
		err = s.Launch(ctx)
	}
	if err == nil {
		err = s.makeTablespaces(ctx, cfg.Tablespaces)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// StartDir starts a server of the given major version on an existing data
// directory, such as a restored one. The directory stays when the server is
// closed. extra are "name=value" settings for the command line.
func StartDir(ctx context.Context, major int, dataDir string, extra ...string) (*Server, error) {
	s, err := New(major)
	if err != nil {
		return nil, err
	}
	s.DataDir = dataDir
	if err := s.Launch(ctx, extra...); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// New prepares a server without starting it: set DataDir, then Launch.
func New(major int) (*Server, error) {
	in, err := FindMajor(major)
	if err != nil {
		return nil, err
	}
	acc, err := RunAs()
	if err != nil {
		return nil, err
	}
	root, err := acc.TempDir("pgt-")
	if err != nil {
		return nil, err
	}
	return &Server{
		Install: in, Account: acc, Root: root, ownRoot: true,
		SocketDir: root, LogFile: filepath.Join(root, "server.log"),
	}, nil
}

// Launch starts the server process and waits until it accepts connections. A
// stopped server may be launched again; it then gets a new port.
func (s *Server) Launch(ctx context.Context, extra ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	for range 5 { // another process may take the free port before the server does
		port, err := freePort()
		if err != nil {
			return err
		}
		s.Port = port
		if err := s.spawn(extra); err != nil {
			return err
		}
		if last = s.waitReady(ctx); last == nil {
			return nil
		}
		if !bytes.Contains(s.LogTail(1000), []byte("could not create any TCP/IP sockets")) {
			break
		}
	}
	return fmt.Errorf("start PostgreSQL %s on %s: %w\nserver log:\n%s", s.Version, s.DataDir, last, s.LogTail(3000))
}

// spawn starts the postmaster as a direct child. It dies with us (Pdeathsig),
// also when a test is killed. The signal is bound to the thread that forked, so
// that thread is kept until the server has ended.
func (s *Server) spawn(extra []string) error {
	logFile, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open server log: %w", err)
	}
	defer logFile.Close()
	args := []string{
		"-D", s.DataDir, "-p", strconv.Itoa(s.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + s.SocketDir,
	}
	for _, e := range extra {
		args = append(args, "-c", e)
	}
	cmd := s.AsUser(exec.Command(filepath.Join(s.BinDir, "postgres"), args...))
	s.trace(cmd.Args)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT

	started, exited := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		err := cmd.Start()
		started <- err
		if err == nil {
			werr := cmd.Wait()
			s.mu.Lock()
			s.proc, s.exitErr = nil, werr
			s.mu.Unlock()
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exited = exited
	select {
	case <-exited: // gone already
	default:
		s.proc = cmd.Process
	}
	return nil
}

func (s *Server) waitReady(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		conn, err := s.Connect(ctx, "postgres")
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			s.mu.Lock()
			defer s.mu.Unlock()
			return fmt.Errorf("server ended: %w", cmpErr(s.exitErr, errors.New("exit status 0")))
		case <-ctx.Done():
			return errors.Join(err, s.Stop(Immediate))
		case <-tick.C:
		}
	}
}

// WaitPrimary waits until recovery has ended and the server takes writes.
func (s *Server) WaitPrimary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		rows, err := s.SQL(ctx, "postgres", "SELECT pg_is_in_recovery()")
		if err == nil && len(rows) == 1 && rows[0][0] == "f" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of recovery: %w\nserver log:\n%s", cmpErr(err, ctx.Err()), s.LogTail(3000))
		case <-tick.C:
		}
	}
}

// Running tells whether the postmaster lives.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc != nil
}

// Stop ends the server and waits for the postmaster; no error when it is not
// running.
func (s *Server) Stop(mode StopMode) error {
	s.mu.Lock()
	proc, exited := s.proc, s.exited
	s.mu.Unlock()
	if proc == nil {
		return nil
	}
	if err := proc.Signal(stopSignals[mode]); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal server: %w", err)
	}
	select {
	case <-exited:
		return nil
	case <-time.After(stopTimeout):
	}
	if err := proc.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill server: %w", err)
	}
	<-exited
	return fmt.Errorf("stop server: did not end within %v, killed", stopTimeout)
}

// Close stops the server at once and removes all it owns.
func (s *Server) Close() error {
	err := s.Stop(Immediate)
	if s.ownRoot {
		err = errors.Join(err, os.RemoveAll(s.Root))
	}
	return err
}

// Destroy stops the server and deletes the cluster and its tablespaces, as a
// disaster would, but keeps Root for what comes next.
func (s *Server) Destroy() error {
	err := errors.Join(s.Stop(Immediate), os.RemoveAll(s.DataDir))
	for _, ts := range s.Tablespaces {
		err = errors.Join(err, os.RemoveAll(ts.Dir))
	}
	return err
}

// LogTail gives the last n bytes of the server log.
func (s *Server) LogTail(n int) []byte {
	data, err := os.ReadFile(s.LogFile)
	if err != nil {
		return []byte(err.Error())
	}
	return data[max(0, len(data)-n):]
}

func (s *Server) trace(command []string) {
	if s.Trace != nil {
		s.Trace(command)
	}
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
