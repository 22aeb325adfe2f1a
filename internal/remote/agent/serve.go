package agent

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// ServeOptions say what an agent does for whoever started it.
type ServeOptions struct {
	// Program is the version of this program.
	Program string
	// Dirs are the only directories it may be asked to serve; nil leaves
	// the choice to the client. Tablespaces of a data directory go with it.
	Dirs []string
	// ReadOnly refuses everything that writes.
	ReadOnly bool
	// Heartbeat is how often to give a sign of life; 0 means the usual.
	Heartbeat time.Duration
}

// greetingTime is how long either side waits for the other's greeting. Closing
// the channel may take 5 seconds more.
const greetingTime = 24 * time.Second

// leaveTime is how long an agent waits for work in progress, which may hang in
// the disk, after its session has ended.
const leaveTime = 2 * time.Second

// maxObjects bounds the readers and writers of an agent: each has buffers.
const maxObjects = 256

// server is one session at the agent.
type server struct {
	*session
	opts     ServeOptions
	files    *fsx.Confined
	host     remote.Host
	handlers sync.WaitGroup
	objects  atomic.Int32
	bulk     sync.Mutex // one whole file in memory at a time
}

// Serve answers the client at the other end of r and w until it ends its side,
// is not heard of any more, or does not keep to the protocol. Work in progress
// is then given up. An orderly end is no error.
//
// A read that hangs may be left behind: the caller is to end the process.
func Serve(ctx context.Context, r io.Reader, w io.Writer, opts ServeOptions) (err error) {
	if opts.Heartbeat == 0 {
		opts.Heartbeat = heartbeatEvery
	}
	client, err := withTime(greetingTime, func() (peer, error) {
		return greetClient(r, w, self(opts.Program, opts.Heartbeat))
	})
	if err != nil {
		return err
	}
	files := fsx.NewConfined(fsx.ConfineOptions{ReadOnly: opts.ReadOnly, TrustLinks: opts.trust})
	defer func() { err = errors.Join(err, files.Close()) }()
	for _, dir := range opts.Dirs {
		if err := files.Add(dir); err != nil {
			return usererr.Wrap(err, "Directory to serve is not an absolute path: \"%s\"", dir)
		}
	}
	s := &server{session: newSession(ctx, w, client), opts: opts, files: files, host: remote.Local(files)}
	s.accept = func(st *stream) error {
		s.handlers.Go(func() { s.converse(st) })
		return nil
	}
	go s.beat(opts.Heartbeat)
	go func() { s.end(s.readAll(r)) }()
	<-s.ctx.Done()
	s.leave()
	switch cause := context.Cause(s.ctx); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(cause, errDone):
		return nil
	default:
		return endOfData(cause)
	}
}

// errDone is the orderly end of a session.
var errDone = errors.New("end of data")

func (s *server) readAll(r io.Reader) error {
	if err := s.read(r); err != nil {
		return err
	}
	return errDone
}

// leave waits for the handlers, but not for what hangs.
func (s *server) leave() {
	s.mu.Lock()
	s.accept = func(*stream) error { return errDone }
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.handlers.Wait()
		close(done)
	}()
	t := time.NewTimer(leaveTime)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// withTime runs what cannot be cancelled, but not for longer than limit.
func withTime[T any](limit time.Duration, call func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := call()
		done <- result{v, err}
	}()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-t.C:
		var none T
		return none, usererr.Wrap(errLate, "Communication error: no greeting within %d seconds", int(limit/time.Second))
	}
}

// Names in a data directory whose links lead to other parts of it.
const (
	tablespaceDir = "pg_tblspc"
	walDir        = "pg_wal"
	oldWALDir     = "pg_xlog"
)

// trust decides about links that lead out of the served directories. Those to
// tablespaces and to WAL are the data directory's own. Others are followed as
// in local mode, unless the directories were fixed by whoever wrote the forced
// command. A client cannot make a link that leads out.
func (o *ServeOptions) trust(root, dir, name string) bool {
	return o.Dirs == nil || dir == filepath.Join(root, tablespaceDir) || dir == root && (name == walDir || name == oldWALDir)
}

// admit serves more directories at the client's request.
func (s *server) admit(dirs []string) error {
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			return usererr.New("the agent serves absolute paths only, not \"%s\"", dir)
		}
		if s.opts.Dirs == nil {
			if err := s.files.Add(dir); err != nil {
				return err
			}
			continue
		}
		if !s.allowed(filepath.Clean(dir)) {
			return usererr.New("the agent on the remote host does not serve \"%s\"", dir).
				WithHint("its command in authorized_keys allows %s; add a directory with -D or -E there", strings.Join(s.opts.Dirs, ", "))
		}
	}
	return nil
}

func (s *server) allowed(dir string) bool {
	for _, d := range s.opts.Dirs {
		d = filepath.Clean(d)
		if dir == d || strings.HasPrefix(dir, strings.TrimSuffix(d, "/")+"/") {
			return true
		}
	}
	return false
}
