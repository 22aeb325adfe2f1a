package fsx

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeBuffer is the size of the buffer between a write callback and the file.
const writeBuffer = 64 << 10

// WriteOptions say how WriteFile replaces a file.
type WriteOptions struct {
	// Perm is the exact mode of the file; the umask does not apply.
	Perm fs.FileMode
	// TempSuffix is appended to the name while writing; ".tmp" when empty.
	TempSuffix string
	// NoSync leaves out Sync and SyncDir. After a crash the file may then
	// hold the old content, the new content or nothing.
	NoSync bool
	// Seal, if set, is called with the complete file before it is synced,
	// for attributes that go with the content.
	Seal func(File) error
}

// WriteFileDurable replaces name with what write produces; when it returns
// nil, the new content survives a crash. See WriteFile for the steps.
func WriteFileDurable(fsys FS, name string, perm fs.FileMode, write func(io.Writer) error) error {
	return WriteFile(fsys, name, WriteOptions{Perm: perm}, write)
}

// WriteFile replaces name atomically: it creates name+TempSuffix, sets the
// mode, lets write fill it, syncs and closes it, renames it over name and
// syncs the directory. Readers see the old file or the new one, never a
// mixture; that also holds after a crash unless NoSync is set.
//
// On an error before the rename the temporary file is removed and name is as
// before. When only SyncDir fails, name already has the new content, which
// may be lost in a crash. The writer given to write is buffered.
//
// A left-over temporary file of an earlier run is replaced. The caller sees
// to it that no two writers of one name run at the same time.
func WriteFile(fsys FS, name string, opts WriteOptions, write func(io.Writer) error) error {
	suffix := opts.TempSuffix
	if suffix == "" {
		suffix = ".tmp"
	}
	tmp := name + suffix
	f, err := createNew(fsys, tmp, opts.Perm)
	if err != nil {
		return err
	}
	if err := fill(f, opts, write); err != nil {
		return errors.Join(err, ignoreNotExist(fsys.Remove(tmp)))
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return errors.Join(err, ignoreNotExist(fsys.Remove(tmp)))
	}
	if opts.NoSync {
		return nil
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// createNew creates a file that was not there before. A left-over is removed
// rather than truncated: it may be read-only, or a link to something else.
func createNew(fsys FS, name string, perm fs.FileMode) (File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | NoFollow
	f, err := fsys.OpenFile(name, flags, perm)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := ignoreNotExist(fsys.Remove(name)); err != nil {
		return nil, err
	}
	return fsys.OpenFile(name, flags, perm)
}

// fill writes, syncs and closes f; it closes f on every path.
func fill(f File, opts WriteOptions, write func(io.Writer) error) (err error) {
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if err := f.Chmod(opts.Perm); err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, writeBuffer)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if opts.Seal != nil {
		if err := opts.Seal(f); err != nil {
			return err
		}
	}
	if opts.NoSync {
		return nil
	}
	return f.Sync()
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
