package logging

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ncruces/go-strftime"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// logFile is an open log file. Several processes may write the same one: a
// line is one write to the end of the file, and rotation is decided under a
// lock of the file.
type logFile struct {
	f fsx.File
	// torn says that the last line may have been written in part.
	torn bool
}

func (lf *logFile) close() error { return lf.f.Close() }

func (lf *logFile) writeLine(line string) error {
	if lf.torn {
		line = "\n" + line
	}
	_, err := lf.f.Write([]byte(line))
	lf.torn = err != nil
	if err != nil {
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
	_, err := fsys.Stat(name)
	known := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return nil, usererr.Wrap(err, "cannot stat log file \"%s\": %s", name, usererr.SystemText(err))
	}
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, usererr.Wrap(err, "could not open log file \"%s\": %s", name, usererr.SystemText(err))
	}
	if err := fsx.WithFlock(f, func() error { return l.rotate(f, known, now) }); err != nil {
		f.Close()
		return nil, err
	}
	return &logFile{f: f}, nil
}

// expand evaluates a strftime pattern. Conversions the C locale does not have
// and a lone percent sign stay as they are.
func expand(pattern string, now time.Time) string {
	if !strings.Contains(pattern, "%") {
		return pattern
	}
	// Conversions the strftime package has and C has not.
	escape := strings.NewReplacer("%%", "%%", "%+", "%%+", "%L", "%%L", "%N", "%%N", "%Q", "%%Q", "%f", "%%f", "%v", "%%v")
	return strftime.Format(escape.Replace(pattern), now)
}
