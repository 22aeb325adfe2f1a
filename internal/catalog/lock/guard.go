package lock

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx"
)

// A backup that others build upon while they are being taken must not be
// deleted or merged meanwhile. The C tool does not see to it. backup.pid is no
// help: it is exclusive, so the parents of an incremental backup could not be
// restored or validated for as long as it runs, which C's users are used to;
// and backup_ro.pid leaves files behind that nobody but newer C tools knows.
//
// Instead our own commands flock(2) the backup's directory itself: shared by
// the incremental backup, exclusively, besides backup.pid, by commands with a
// Destructive intent. Nothing is written, nothing can be stale, and the C tool
// does not notice. Against a deletion by the C tool, or where the file system
// has no flock, an incremental backup looks at its parents again at its end.

// InUse is emitted when a running incremental backup keeps a destructive
// command away from one of its parents.
type InUse struct{ Backup string }

// Shared keeps a backup from destructive commands of our own.
type Shared struct {
	dir fsx.File
}

// Share guards the backup directory dir until the Shared is released. The
// error has ErrHeld inside when a destructive command is at work on it.
func (l *Locker) Share(dir string) (*Shared, error) {
	f, err := l.flockDir(dir, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	return &Shared{dir: f}, nil
}

// Release gives the guard back.
func (s *Shared) Release() error { return closeDir(s.dir) }

// exclude keeps others from sharing a directory.
func (l *Locker) exclude(dir, backup string) (fsx.File, error) {
	f, err := l.flockDir(dir, unix.LOCK_EX)
	switch {
	case errors.Is(err, ErrHeld):
		l.sink.Emit(InUse{Backup: backup})
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // nothing to guard
	}
	return f, err
}

func (l *Locker) flockDir(dir string, how int) (fsx.File, error) {
	f, err := l.fs.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("guard backup directory: %w", err)
	}
	if _, ok := f.(syscall.Conn); !ok {
		return nil, f.Close() // a test double, which has no flock
	}
	if err := fsx.Flock(f, how); err != nil {
		if errors.Is(err, fsx.ErrFlocked) {
			err = ErrHeld
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func closeDir(f fsx.File) error {
	if f == nil {
		return nil
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("release backup directory: %w", err)
	}
	return nil
}

// Turn waits until nobody else has the turn on a directory, and gives it back
// with release: for steps that are short, and that commands without a lock on
// the backup take, too. A directory that is not there has no turns.
func Turn(fsys fsx.FS, dir string) (release func() error, err error) {
	none := func() error { return nil }
	f, err := fsys.Open(dir)
	if err != nil {
		return none, nil //nolint:nilerr // whoever needs the directory will say so
	}
	conn, ok := f.(syscall.Conn)
	if !ok {
		return f.Close, nil // a test double
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			// Without flock on this file system there is no turn to wait for.
			for errors.Is(unix.Flock(int(fd), unix.LOCK_EX), unix.EINTR) {
			}
		})
	}
	if err != nil {
		return none, errors.Join(fmt.Errorf("wait for turn on %s: %w", dir, err), f.Close())
	}
	return f.Close, nil
}
