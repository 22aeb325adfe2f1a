package fsx

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// NoFollow may be added to the flags of OpenFile: the call then fails with
// ELOOP when the last element of the name is a symbolic link.
const NoFollow = unix.O_NOFOLLOW

// OS returns the file system of the operating system (Linux). The process
// umask applies to the perm of Mkdir and OpenFile, as in mkdir(2) and open(2).
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Open(name string) (File, error) {
	return wrapFile(os.Open(name))
}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	return wrapFile(os.OpenFile(name, flag, perm))
}

// wrapFile keeps a nil *os.File from becoming a non-nil File.
func wrapFile(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func (osFS) Mkdir(name string, perm fs.FileMode) error  { return os.Mkdir(name, perm) }
func (osFS) Rename(oldName, newName string) error       { return os.Rename(oldName, newName) }
func (osFS) Remove(name string) error                   { return os.Remove(name) }
func (osFS) Link(oldName, newName string) error         { return os.Link(oldName, newName) }
func (osFS) Symlink(target, name string) error          { return os.Symlink(target, name) }
func (osFS) Readlink(name string) (string, error)       { return os.Readlink(name) }
func (osFS) Chmod(name string, mode fs.FileMode) error  { return os.Chmod(name, mode) }
func (osFS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (osFS) Lstat(name string) (fs.FileInfo, error)     { return os.Lstat(name) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Lchown implements Chowner.
func (osFS) Lchown(name string, uid, gid int) error { return os.Lchown(name, uid, gid) }

func (osFS) SyncDir(name string) error {
	d, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	err = syncDirectory(d)
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

func syncDirectory(d *os.File) error {
	err := d.Sync()
	if isAny(err, unix.EBADF, unix.EINVAL) {
		// This file system has no fsync for directories (some FUSE and
		// network file systems); the server itself accepts that too.
		return nil
	}
	return err
}

func (osFS) Statfs(name string) (Space, error) {
	s, err := statfs(func(st *unix.Statfs_t) error { return unix.Statfs(name, st) })
	if err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return s, nil
}

func statfs(call func(*unix.Statfs_t) error) (Space, error) {
	var st unix.Statfs_t
	if err := retryEINTR(func() error { return call(&st) }); err != nil {
		return Space{}, err
	}
	unit := st.Frsize // what the block counts are counted in
	if unit == 0 {
		unit = st.Bsize
	}
	return Space{
		BlockSize:   unit,
		Blocks:      int64(st.Blocks),
		BlocksFree:  int64(st.Bfree),
		BlocksAvail: int64(st.Bavail),
		Files:       int64(st.Files),
		FilesFree:   int64(st.Ffree),
	}, nil
}
