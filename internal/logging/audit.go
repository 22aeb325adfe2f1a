package logging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// maxAudit is the size above which an audit log is left and a new one begun.
const maxAudit = 16 << 20

// Names of audit logs: audit-YYYY-MM-DD_HHMMSS-current.log, and without
// "-current" once it is full.
const (
	auditPrefix  = "audit-"
	auditCurrent = "-current.log"
)

// Audit says who ran what, in the audit log that openGauss 6.0 keeps below
// $GAUSSLOG (spec/cli.md §7.5).
type Audit struct {
	FS   fsx.FS
	Root string // absolute; $GAUSSLOG
	Now  time.Time
	User string
}

// Record appends a line about a finished run. command is the whole command
// line, without secrets. An error has the C tool's words.
func (a Audit) Record(success bool, command string) error {
	dir, err := a.makeDir()
	if err != nil {
		return err
	}
	name, err := a.current(dir)
	if err != nil {
		return err
	}
	f, err := a.FS.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return usererr.Wrap(err, "could not open log file \"%s\": %s", name, usererr.SystemText(err))
	}
	outcome := "FAILURE"
	if success {
		outcome = "SUCCESS"
	}
	_, err = fmt.Fprintf(f, "[%s] [%s] [%s] %s\n", a.Now.Format(time.DateTime), outcome, a.User, command)
	if err := errors.Join(err, f.Close()); err != nil {
		return usererr.Wrap(err, "could not write log file \"%s\": %s", name, usererr.SystemText(err))
	}
	return nil
}

// makeDir makes $GAUSSLOG/bin/gs_probackup; only the last part is closed to
// others.
func (a Audit) makeDir() (string, error) {
	parent := filepath.Join(a.Root, "bin")
	dir := filepath.Join(parent, "gs_probackup")
	err := fsx.MkdirAll(a.FS, parent, 0o777)
	if err == nil {
		err = fsx.MkdirAll(a.FS, dir, 0o700)
	}
	if err != nil {
		return "", usererr.Wrap(err, "could not create directory %s: %s", dir, usererr.SystemText(err))
	}
	return dir, nil
}

// current names the log to append to. One that is full gets its final name.
func (a Audit) current(dir string) (string, error) {
	entries, err := a.FS.ReadDir(dir)
	if err != nil {
		return "", usererr.Wrap(err, "could not open directory \"%s\": %s", dir, usererr.SystemText(err))
	}
	newest := ""
	for _, e := range entries { // by name, so by time
		if strings.HasPrefix(e.Name(), auditPrefix) && strings.HasSuffix(e.Name(), auditCurrent) {
			newest = filepath.Join(dir, e.Name())
		}
	}
	if newest != "" {
		fi, err := a.FS.Stat(newest)
		if err == nil && fi.Size() <= maxAudit {
			return newest, nil
		}
		if err == nil {
			err = a.FS.Rename(newest, strings.TrimSuffix(newest, auditCurrent)+".log")
		}
		// Another process may just have done the same.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", usererr.Wrap(err, "could not rename log file \"%s\": %s", newest, usererr.SystemText(err))
		}
	}
	return filepath.Join(dir, auditPrefix+a.Now.Format("2006-01-02_150405")+auditCurrent), nil
}
