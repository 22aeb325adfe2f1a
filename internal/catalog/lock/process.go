package lock

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"gsprobackup/internal/fsx"

	"golang.org/x/sys/unix"
)

// maxReaders bounds backup_ro.pid.
const maxReaders = 64 << 10

// processes is what the protocol asks the operating system about.
type processes interface {
	self() int
	parent() int
	// signal0 is nil for a process that exists, ESRCH for one that does not,
	// EPERM for one of another user.
	signal0(pid int) error
}

type osProcesses struct{}

func (osProcesses) self() int             { return os.Getpid() }
func (osProcesses) parent() int           { return os.Getppid() }
func (osProcesses) signal0(pid int) error { return unix.Kill(pid, 0) }

// tryFlock takes the flock of f if the file system has one; it does not wait.
// Without one only the C protocol protects.
func tryFlock(f fsx.File) error { return fsx.Flock(f, unix.LOCK_EX) }

// ownFile tells whether the lock file belongs to the user we run as.
func (l *Locker) ownFile(f fsx.File) bool {
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// checkReaders respects the shared locks of newer C tools; a list with only
// dead readers is removed.
func (l *Locker) checkReaders(path, backup string) error {
	data, err := fsx.ReadFile(l.fs, path, maxReaders)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return couldNotCreate(path, err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		pid := atoi(line)
		if pid <= 0 || pid == l.procs.self() {
			continue
		}
		if err := l.procs.signal0(pid); !errors.Is(err, syscall.ESRCH) {
			l.sink.Emit(SharedProcessAlive{PID: pid, Backup: backup})
			return ErrHeld
		}
	}
	if err := l.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return couldNotCreate(path, err)
	}
	return nil
}

// atoi reads the digits at the start of s behind blanks, as C's atoi; 0 if
// there are none or too many.
func atoi(s string) int {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}
