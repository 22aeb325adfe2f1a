package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

const (
	maxTries = 100
	// settleTime is how long a file may stay empty between its creation and
	// the writing of the PID by another process.
	settleTime = time.Second
	pause      = 5 * time.Millisecond
	// tornAge is how old a file without a whole PID must be to count as torn
	// by a crash. Newer C tools wait that long for its writer
	// (spec/formats.md §1.5).
	tornAge = 30 * time.Second
	// maxPIDText is ample for a number; the rest of a lock file is ignored.
	maxPIDText = 64
)

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
		case errors.Is(err, fs.ErrExist):
			f, err = l.examine(path, backup)
		case errors.Is(err, fs.ErrPermission):
			denied := err
			if f, err = l.examine(path, backup); errors.Is(err, errGone) {
				err = fmt.Errorf("%w: %w", errClosed, denied)
			}
		}
		switch {
		case err == nil:
			return f, nil
		case (errors.Is(err, syscall.EROFS) || errors.Is(err, errClosed)) && !intent.Destructive,
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
	errGone  = fmt.Errorf("%w: it is gone", errAgain)
)

// errClosed says that nobody has a lock file in a directory that our user must
// not write to, a copy in a vault for instance.
var errClosed = errors.New("directory is closed to us")

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
		return nil, errGone
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
	var torn *tornError
	if errors.As(err, &torn) && locked == nil && isOld(f) {
		l.sink.Emit(Torn{Path: path, Text: torn.text})
		return l.replacePID(path, f)
	}
	if pid == 0 && err != nil {
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
	return l.replacePID(path, f)
}

// replacePID takes over a flocked file that is nobody's.
func (l *Locker) replacePID(path string, f fsx.File) error {
	if !l.sameFile(path, f) {
		return errAgain
	}
	if err := l.writePID(f); err != nil {
		return err
	}
	if !l.sameFile(path, f) {
		return errAgain // a C tool has removed the stale file meanwhile
	}
	return nil
}

// isOld tells whether nobody can be about to write the file. A time far ahead
// is that of a clock that was put back.
func isOld(f fsx.File) bool {
	fi, err := f.Stat()
	return err == nil && time.Since(fi.ModTime()).Abs() >= tornAge
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
func (l *Locker) sameFile(path string, f fsx.File) bool { return fsx.IsAt(l.fs, path, f) }

// tornError is the error for a file that holds no whole PID: its writer is
// between two steps, or was when the machine stopped.
type tornError struct {
	error
	text string
}

func (e *tornError) Unwrap() error { return e.error }

// readPID reads the number at the start of a lock file. The C tool ends it with
// a line feed; without, it comes with an error, for it may be half a number.
func readPID(path string, f fsx.File) (int, error) {
	buf := make([]byte, maxPIDText)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	line, _, whole := strings.Cut(string(buf[:n]), "\n")
	pid := atoi(line)
	switch {
	case n == 0:
		return 0, &tornError{errEmpty, ""}
	case pid <= 0 || !whole:
		return max(pid, 0), &tornError{usererr.New(`Bogus data in lock file "%s": "%s"`, path, line), line}
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
