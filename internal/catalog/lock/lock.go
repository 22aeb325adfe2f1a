// Package lock is backup.pid, the lock on one backup directory
// (spec/formats.md §1.4), and the reading side of backup_ro.pid (§1.5).
//
// It owns the protocol and who counts as alive. It leaves which backups a
// command locks, and what it says when it cannot, to the use cases.
//
//	backup.pid     "<decimal pid>\n", created with O_EXCL, removed at release
//	backup_ro.pid  one "<pid>\n" per reader; newer C tools only
//
// The C tool removes a stale file and creates its own in two steps, so two
// processes that find the same stale file may both end up with the lock. Our
// own processes cannot: each also holds flock(2) on the file for as long as it
// has the lock, takes a stale file over in place and checks that the file it
// has locked is still the one under that name. flock also tells a living owner
// in another PID namespace from a dead one. Where the file system has no flock
// the C protocol alone remains.
package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// Names of the lock files in a backup directory.
const (
	FileName       = "backup.pid"
	SharedFileName = "backup_ro.pid"
)

const (
	maxTries = 100
	// settleTime is how long a file may stay empty between its creation and
	// the writing of the PID by another process.
	settleTime = time.Second
	pause      = 5 * time.Millisecond
	// maxPIDText is ample for a number; the rest of a lock file is ignored.
	maxPIDText = 64
)

// ProcessAlive is emitted when a live process holds the lock. C tool: WARNING
// `Process %d is using backup %s and still is running`.
type ProcessAlive struct {
	PID    int
	Backup string
}

// ProcessGone is emitted when a stale lock is taken over. C tool: WARNING
// `Process %d which used backup %s no longer exists`.
type ProcessGone struct {
	PID    int
	Backup string
}

// ProcessForeign is emitted when a lock is taken over because its PID belongs
// to a process that cannot have written it. C tool: WARNING
// `Failed to send signal 0 to a process %d, this may be a kernal process`.
type ProcessForeign struct{ PID int }

// SharedProcessAlive is emitted when a reader keeps a destructive command
// away. C tool (master): WARNING
// `Process %d is using backup %s in shared mode, and is still running`.
type SharedProcessAlive struct {
	PID    int
	Backup string
}

// ErrHeld is inside the error when somebody else has the lock.
var ErrHeld = errors.New("backup is locked by another process")

// Intent tells what the lock is wanted for.
type Intent struct {
	// Destructive commands respect readers in backup_ro.pid, and need a
	// writable directory. Others go on without a lock file on a read-only
	// file system, where nothing can change.
	Destructive bool
	// WithoutSpace grants the lock without a file when the disk is full, so
	// that backups can be deleted then.
	WithoutSpace bool
}

// Locker holds the locks of one command. A directory it has locked already is
// granted again; it is released when every Lock on it is. The zero value is
// not usable; see New.
type Locker struct {
	fs    fsx.FS
	sink  event.Sink
	procs processes

	mu   sync.Mutex
	held map[string]*heldFile
}

type heldFile struct {
	file  fsx.File // nil when granted without a file
	count int
}

// New returns a Locker that emits to sink.
func New(fsys fsx.FS, sink event.Sink) *Locker {
	return &Locker{fs: fsys, sink: sink, procs: osProcesses{}, held: map[string]*heldFile{}}
}

// Lock is one granted lock.
type Lock struct {
	l    *Locker
	path string
	once sync.Once
}

// Acquire locks the backup directory dir; backup is its ID for messages. It
// does not wait for an owner. The error has ErrHeld inside, or it is a
// *usererr.Error with the C tool's text.
func (l *Locker) Acquire(ctx context.Context, dir, backup string, intent Intent) (*Lock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := filepath.Join(dir, FileName)
	if h := l.held[path]; h != nil {
		h.count++
		return &Lock{l: l, path: path}, nil
	}
	f, err := l.take(ctx, path, backup, intent)
	if err != nil {
		return nil, err
	}
	if f != nil && intent.Destructive {
		if err := l.checkReaders(filepath.Join(dir, SharedFileName), backup); err != nil {
			return nil, errors.Join(err, l.drop(path, f))
		}
	}
	l.held[path] = &heldFile{file: f, count: 1}
	return &Lock{l: l, path: path}, nil
}

// Release gives the lock back and removes the file. A second call does
// nothing. A directory that is gone, with or without the file, is no error.
func (k *Lock) Release() (err error) {
	k.once.Do(func() {
		k.l.mu.Lock()
		defer k.l.mu.Unlock()
		h := k.l.held[k.path]
		if h.count--; h.count > 0 {
			return
		}
		delete(k.l.held, k.path)
		err = k.l.drop(k.path, h.file)
	})
	return err
}

// take runs the protocol until the lock is granted or refused.
func (l *Locker) take(ctx context.Context, path, backup string, intent Intent) (fsx.File, error) {
	deadline := time.Now().Add(settleTime)
	var err error
	for try := 0; try < maxTries || time.Now().Before(deadline); try++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var f fsx.File
		f, err = l.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|fsx.NoFollow, 0o600)
		switch {
		case err == nil:
			f, err = l.occupy(ctx, path, f)
		case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrPermission):
			f, err = l.examine(path, backup)
		}
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, syscall.EROFS) && !intent.Destructive,
			errors.Is(err, syscall.ENOSPC) && intent.WithoutSpace:
			return nil, nil
		case errors.Is(err, errAgain):
			if err := sleep(ctx, pause); err != nil {
				return nil, err
			}
			continue
		}
		return nil, couldNotCreate(path, err)
	}
	if errors.Is(err, errEmpty) {
		return nil, usererr.Wrap(err, `Lock file "%s" is empty`, path)
	}
	return nil, couldNotCreate(path, err)
}

// couldNotCreate adds the C tool's words to an error of the system.
func couldNotCreate(path string, err error) error {
	var ue *usererr.Error
	var errno syscall.Errno
	switch {
	case errors.Is(err, ErrHeld), errors.As(err, &ue):
		return err
	case errors.As(err, &errno):
		text := errno.Error()
		return usererr.Wrap(err, `Could not create lock file "%s": %s%s`, path, strings.ToUpper(text[:1]), text[1:])
	}
	return usererr.Wrap(err, `Could not create lock file "%s": %s`, path, err)
}

// Outcomes that call for another try.
var (
	errAgain = errors.New("lock file changed hands")
	errEmpty = fmt.Errorf("%w: no PID in it yet", errAgain)
)

// occupy writes our PID into a file just created. Another process may be
// looking into the empty file and have its flock for a moment.
func (l *Locker) occupy(ctx context.Context, path string, f fsx.File) (fsx.File, error) {
	err := tryFlock(f)
	for try := 0; err != nil && try < maxTries; try++ {
		if err = sleep(ctx, pause); err == nil {
			err = tryFlock(f)
		}
	}
	if err == nil {
		err = l.writePID(f)
	}
	if err != nil {
		// Without a PID in it the file would be in everybody's way.
		return nil, errors.Join(err, l.fs.Remove(path), f.Close())
	}
	return f, nil
}

// examine decides about a file that is there: whose it is and whether it may
// be taken over.
func (l *Locker) examine(path, backup string) (fsx.File, error) {
	f, err := l.fs.OpenFile(path, os.O_RDWR|fsx.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAgain
	}
	if err != nil {
		return nil, err
	}
	if err := l.takeOver(path, backup, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l *Locker) takeOver(path, backup string, f fsx.File) error {
	locked := tryFlock(f)
	pid, err := readPID(path, f)
	if err != nil {
		return err
	}
	if locked != nil {
		l.sink.Emit(ProcessAlive{PID: pid, Backup: backup})
		return ErrHeld
	}
	if !l.sameFile(path, f) {
		return errAgain
	}
	if err := l.judge(pid, backup, f); err != nil {
		return err
	}
	if err := l.writePID(f); err != nil {
		return err
	}
	if !l.sameFile(path, f) {
		return errAgain // a C tool has removed the stale file meanwhile
	}
	return nil
}

// judge returns ErrHeld for a process that may still use the backup.
func (l *Locker) judge(pid int, backup string, f fsx.File) error {
	if pid == l.procs.self() || pid == l.procs.parent() {
		return nil // as in the C tool; a living one would hold the flock
	}
	switch err := l.procs.signal0(pid); {
	case errors.Is(err, syscall.ESRCH):
		l.sink.Emit(ProcessGone{PID: pid, Backup: backup})
		return nil
	case err != nil && l.ownFile(f):
		// Our user wrote the file, another user runs the process: the PID
		// was used again. The C tool takes over in any case, also from a
		// living backup of another user.
		l.sink.Emit(ProcessForeign{PID: pid})
		return nil
	}
	l.sink.Emit(ProcessAlive{PID: pid, Backup: backup})
	return ErrHeld
}

// writePID replaces the content in place. The file is never empty meanwhile:
// a C tool would stop at that.
func (l *Locker) writePID(f fsx.File) error {
	text := strconv.Itoa(l.procs.self()) + "\n"
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(text))); err != nil {
		return err
	}
	return f.Sync()
}

// drop removes the file, if it is still ours, before the flock goes.
func (l *Locker) drop(path string, f fsx.File) error {
	if f == nil {
		return nil
	}
	var err error
	if l.sameFile(path, f) {
		if err = l.fs.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}

// sameFile tells whether path still names the open file.
func (l *Locker) sameFile(path string, f fsx.File) bool {
	open, err1 := f.Stat()
	named, err2 := l.fs.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(open, named)
}

// readPID reads the number at the start of a lock file.
func readPID(path string, f fsx.File) (int, error) {
	buf := make([]byte, maxPIDText)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n == 0 {
		return 0, errEmpty
	}
	pid := atoi(string(buf[:n]))
	if pid <= 0 {
		return 0, usererr.New(`Bogus data in lock file "%s": "%s"`, path, strings.TrimRight(string(buf[:n]), "\n"))
	}
	return pid, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
