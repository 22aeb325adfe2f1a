package fsx

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// flocker is a File of an operating system with flock(2).
type flocker interface{ flock(how int) error }

// ErrFlocked is inside the error of Flock when another open file has the lock.
var ErrFlocked = errors.New("file is flocked")

// Flock takes the flock of f, unix.LOCK_EX or unix.LOCK_SH, without waiting; it
// lasts until f is closed. Where a file system has no locks, and in test
// doubles, it does nothing.
func Flock(f File, how int) error {
	l, ok := f.(flocker)
	if !ok {
		return nil
	}
	err := l.flock(how | unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrFlocked
	case noLocks(err):
		return nil
	}
	return err
}

// WithFlock calls do while it holds the exclusive flock of f, which it waits
// for. Other processes that do the same to the file take turns; where a file
// system has no locks, and in test doubles, do is called without.
func WithFlock(f File, do func() error) error {
	l, ok := f.(flocker)
	if !ok {
		return do()
	}
	if err := l.flock(unix.LOCK_EX); err != nil {
		if noLocks(err) {
			return do()
		}
		return err
	}
	return errors.Join(do(), l.flock(unix.LOCK_UN))
}

// IsAt tells whether f is still the file under a name: after waiting for a lock
// it may have been replaced. Files of test doubles always are.
func IsAt(fsys FS, name string, f File) bool {
	if _, ok := f.(flocker); !ok {
		return true
	}
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := fsys.Lstat(name)
	return err == nil && os.SameFile(open, named)
}

func noLocks(err error) bool {
	return isAny(err, unix.ENOLCK, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOSYS)
}

func (f *osFile) flock(how int) error {
	return f.control("flock", func(fd int) error { return unix.Flock(fd, how) })
}
