package fsx

import (
	"errors"

	"golang.org/x/sys/unix"
)

// flocker is a File of an operating system with flock(2).
type flocker interface{ flock(how int) error }

// WithFlock calls do while it holds the exclusive flock of f, which it waits
// for. Other processes that do the same to the file take turns; where a file
// system has no locks, and in test doubles, do is called without.
func WithFlock(f File, do func() error) error {
	l, ok := f.(flocker)
	if !ok {
		return do()
	}
	if err := l.flock(unix.LOCK_EX); err != nil {
		if isAny(err, unix.ENOLCK, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOSYS) {
			return do()
		}
		return err
	}
	return errors.Join(do(), l.flock(unix.LOCK_UN))
}

func (f *osFile) flock(how int) error {
	return f.control("flock", func(fd int) error { return unix.Flock(fd, how) })
}
