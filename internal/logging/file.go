package logging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ncruces/go-strftime"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// logFile is an open log file.
type logFile struct{ f fsx.File }

func (lf *logFile) close() error { return lf.f.Close() }

func (lf *logFile) writeLine(now time.Time, pid int, level Level, msg string) error {
	line := fmt.Sprintf("%s [%d]: %s: %s\n", now.Format("2006-01-02 15:04:05 MST"), pid, level, msg)
	if _, err := lf.f.Write([]byte(line)); err != nil {
		return usererr.Wrap(err, "could not write log file \"%s\": %s", lf.f.Name(), usererr.SystemText(err))
	}
	return nil
}

// openFile creates the log directory and opens the file that pattern names
// now, truncating it when rotation is due (spec/cli.md §7.3).
func (l *Logger) openFile(pattern string, now time.Time) (*logFile, error) {
	fsys := l.opts.FS
	// Like the C tool: only the last component is made, and an existing
	// directory is left as it is. If it cannot be made, opening fails.
	if err := fsys.Mkdir(l.cfg.Dir, 0o700); err == nil {
		_ = fsys.SyncDir(filepath.Dir(l.cfg.Dir))
	}
	name := filepath.Join(l.cfg.Dir, expand(pattern, now))
	rotate, created, err := l.dueForRotation(name, now)
	if err != nil {
		return nil, err
	}
	mode := os.O_APPEND
	if rotate {
		mode = os.O_TRUNC
	}
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|mode, 0o644)
	if err != nil {
		return nil, usererr.Wrap(err, "could not open log file \"%s\": %s", name, usererr.SystemText(err))
	}
	if rotate || created {
		if err := l.stampRotation(name, now); err != nil {
			f.Close()
			return nil, err
		}
	}
	return &logFile{f: f}, nil
}

// expand evaluates a strftime pattern. Conversions the C locale does not have
// and a lone percent sign stay as they are.
func expand(pattern string, now time.Time) string {
	if !strings.Contains(pattern, "%") {
		return pattern
	}
	return strftime.Format(pattern, now)
}

// rotationName is the control file next to a log file: the epoch second at
// which the log was started, in decimal, without line feed.
func rotationName(log string) string { return log + ".rotation" }

// dueForRotation tells whether the log must start anew, and whether its
// control file must be written because there is none of use.
//
// The C tool computes the age and loses the result; here age rotation works
// (docs/deviations.md). Its control file is therefore rewritten only when a
// log starts, not at every opening.
func (l *Logger) dueForRotation(name string, now time.Time) (rotate, stamp bool, err error) {
	info, err := l.opts.FS.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return false, true, nil
	}
	if err != nil {
		return false, false, usererr.Wrap(err, "cannot stat log file \"%s\": %s", name, usererr.SystemText(err))
	}
	if l.cfg.RotationSize > 0 && uint64(info.Size())/1024 >= l.cfg.RotationSize {
		return true, true, nil
	}
	started, ok := l.readRotation(name)
	if !ok {
		return false, true, nil
	}
	age := uint64(0)
	if elapsed := now.Unix() - started; elapsed > 0 {
		age = uint64(elapsed)
	}
	due := l.cfg.RotationAge > 0 && age > l.cfg.RotationAge/1000
	return due, false, nil
}

// readRotation reads the control file. With an age set, the C tool warns on
// the console if it cannot; the log is then continued and stamped anew.
func (l *Logger) readRotation(name string) (started int64, ok bool) {
	control := rotationName(name)
	warn := func(format string, args ...any) {
		if l.cfg.RotationAge > 0 {
			l.console.WithLevel(Warning.zero()).Msg(fmt.Sprintf(format, args...))
		}
	}
	const maxControl = 1024
	data, err := fsx.ReadFile(l.opts.FS, control, maxControl)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		warn("missing rotation file: \"%s\"", control)
		return 0, false
	case err != nil:
		warn("cannot read creation timestamp from rotation file \"%s\"", control)
		return 0, false
	case len(data) == 0:
		warn("cannot read creation timestamp from rotation file \"%s\"", control)
		return 0, false
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		warn("rotation file \"%s\" has wrong creation timestamp \"%s\"", control, data)
		return 0, false
	}
	return n, true
}

func (l *Logger) stampRotation(name string, now time.Time) error {
	control := rotationName(name)
	f, err := l.opts.FS.OpenFile(control, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err == nil {
		_, err = f.Write(strconv.AppendInt(nil, now.Unix(), 10))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return usererr.Wrap(err, "cannot open rotation file \"%s\": %s", control, usererr.SystemText(err))
	}
	return nil
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
