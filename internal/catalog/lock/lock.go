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
	"path/filepath"
	"sync"
	"syscall"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// Names of the lock files in a backup directory.
const (
	FileName       = "backup.pid"
	SharedFileName = "backup_ro.pid"
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

// Torn is emitted when a lock file is taken over that holds no whole PID and is
// too old to get one. Newer C tools take over, too. C tool (master): WARNING
// `Bogus data in lock file "%s": "%s"`; the words for an empty one are those of
// its error.
type Torn struct{ Path, Text string }

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
	// Destructive commands respect readers in backup_ro.pid and backups that
	// build upon this one (Share), and need a writable directory. Others go on without a lock file on a read-only
	// file system, where nothing can change, and in a directory that is not
	// ours to write to, where only its owner can.
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
	dir   fsx.File // of a destructive command: the directory, flocked
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
	h := l.held[path]
	if h == nil {
		f, err := l.take(ctx, path, backup, intent)
		if err != nil {
			return nil, err
		}
		h = &heldFile{file: f}
	}
	if intent.Destructive && h.dir == nil {
		if err := l.alone(dir, backup, h); err != nil {
			if h.count == 0 {
				err = errors.Join(err, l.drop(path, h.file))
			}
			return nil, err
		}
	}
	h.count++
	l.held[path] = h
	return &Lock{l: l, path: path}, nil
}

// Alive tells whether the process in dir's lock file, if there is one, exists
// and is another one. It changes nothing.
func (l *Locker) Alive(dir string) bool {
	f, err := l.fs.Open(filepath.Join(dir, FileName))
	if err != nil {
		return false
	}
	defer f.Close() // read only
	pid, err := readPID(f.Name(), f)
	if err != nil || pid == l.procs.self() {
		return false
	}
	return !errors.Is(l.procs.signal0(pid), syscall.ESRCH)
}

// alone makes sure that nobody reads a locked backup or builds upon it.
func (l *Locker) alone(dir, backup string, h *heldFile) (err error) {
	if h.file != nil {
		if err := l.checkReaders(filepath.Join(dir, SharedFileName), backup); err != nil {
			return err
		}
	}
	h.dir, err = l.exclude(dir, backup)
	return err
}

// Leave removes and closes the lock file in a directory that is being deleted,
// if it is ours; what else guards the directory stays until Release. On NFS the
// name of an open file cannot be removed: it becomes .nfsXXXX, which is busy.
func (l *Locker) Leave(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := filepath.Join(dir, FileName)
	h := l.held[path]
	if h == nil {
		return nil
	}
	f := h.file
	h.file = nil
	return l.drop(path, f)
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
		err = errors.Join(k.l.drop(k.path, h.file), closeDir(h.dir))
	})
	return err
}
