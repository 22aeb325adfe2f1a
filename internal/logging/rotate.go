package logging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// rotationName is the control file next to a log file: the epoch second at
// which the log was started, in decimal, without line feed.
func rotationName(log string) string { return log + ".rotation" }

// rotate starts the opened log anew if its size or age says so. It runs under
// the file's lock, so that of two processes that start together only one
// truncates. known says that the file was there before.
//
// The C tool computes the age and loses the result; here age rotation works
// (docs/deviations.md). Its control file is therefore rewritten only when a
// log starts, not at every opening.
func (l *Logger) rotate(f fsx.File, known bool, now time.Time) error {
	info, err := f.Stat()
	if err != nil {
		return usererr.Wrap(err, "cannot stat log file \"%s\": %s", f.Name(), usererr.SystemText(err))
	}
	if !known {
		return l.stampRotation(f.Name(), now)
	}
	due := l.cfg.RotationSize > 0 && uint64(info.Size())/1024 >= l.cfg.RotationSize
	started, ok := int64(0), true
	if !due {
		started, ok = l.readRotation(f.Name())
		due = ok && l.tooOld(started, now)
	}
	if due {
		if err := f.Truncate(0); err != nil {
			return usererr.Wrap(err, "could not open log file \"%s\": %s", f.Name(), usererr.SystemText(err))
		}
	}
	if due || !ok {
		return l.stampRotation(f.Name(), now)
	}
	return nil
}

func (l *Logger) tooOld(started int64, now time.Time) bool {
	elapsed := now.Unix() - started
	return l.cfg.RotationAge > 0 && elapsed > 0 && uint64(elapsed) > l.cfg.RotationAge/1000
}

// readRotation reads the control file. With an age set, the C tool warns on
// the console if it cannot; the log is then continued and stamped anew.
func (l *Logger) readRotation(name string) (started int64, ok bool) {
	control := rotationName(name)
	warn := func(format string, args ...any) {
		if l.cfg.RotationAge > 0 {
			l.warn(fmt.Sprintf(format, args...))
		}
	}
	const maxControl = 1024
	data, err := fsx.ReadFile(l.opts.FS, control, maxControl)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		warn("missing rotation file: \"%s\"", control)
		return 0, false
	case err != nil || len(data) == 0:
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
