package faultfs

import (
	"io/fs"
	"os"

	"gsprobackup/internal/fsx"
)

func (f *FS) Open(name string) (fsx.File, error) {
	return f.open(Op{Kind: Open, Path: name}, false, func() (fsx.File, error) {
		return f.inner.Open(name)
	})
}

func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	op := Op{Kind: Open, Path: name, Mode: perm}
	switch {
	case flag&os.O_CREATE != 0:
		op.Kind = Create
	case flag&os.O_TRUNC != 0:
		op.Kind = Truncate
	}
	return f.open(op, flag&(os.O_WRONLY|os.O_RDWR) != 0, func() (fsx.File, error) {
		return f.inner.OpenFile(name, flag, perm)
	})
}

func (f *FS) open(op Op, writable bool, call func() (fsx.File, error)) (fsx.File, error) {
	var inner fsx.File
	err := f.do(op, func() (err error) {
		inner, err = call()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &file{fs: f, inner: inner, writable: writable}, nil
}

func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	return f.do(Op{Kind: Mkdir, Path: name, Mode: perm}, func() error { return f.inner.Mkdir(name, perm) })
}

func (f *FS) Rename(oldName, newName string) error {
	return f.do(Op{Kind: Rename, Path: oldName, To: newName}, func() error { return f.inner.Rename(oldName, newName) })
}

func (f *FS) Remove(name string) error {
	return f.do(Op{Kind: Remove, Path: name}, func() error { return f.inner.Remove(name) })
}

func (f *FS) Link(oldName, newName string) error {
	return f.do(Op{Kind: Link, Path: oldName, To: newName}, func() error { return f.inner.Link(oldName, newName) })
}

func (f *FS) Symlink(target, name string) error {
	return f.do(Op{Kind: Symlink, Path: name, To: target}, func() error { return f.inner.Symlink(target, name) })
}

func (f *FS) Chmod(name string, mode fs.FileMode) error {
	return f.do(Op{Kind: Chmod, Path: name, Mode: mode}, func() error { return f.inner.Chmod(name, mode) })
}

func (f *FS) SyncDir(name string) error {
	return f.do(Op{Kind: SyncDir, Path: name}, func() error { return f.inner.SyncDir(name) })
}

func (f *FS) Readlink(name string) (target string, err error) {
	err = f.do(Op{Kind: Readlink, Path: name}, func() error {
		target, err = f.inner.Readlink(name)
		return err
	})
	return target, err
}

func (f *FS) Stat(name string) (fi fs.FileInfo, err error) {
	err = f.do(Op{Kind: Stat, Path: name}, func() error {
		fi, err = f.inner.Stat(name)
		return err
	})
	return fi, err
}

func (f *FS) Lstat(name string) (fi fs.FileInfo, err error) {
	err = f.do(Op{Kind: Stat, Path: name}, func() error {
		fi, err = f.inner.Lstat(name)
		return err
	})
	return fi, err
}

func (f *FS) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = f.do(Op{Kind: ReadDir, Path: name}, func() error {
		entries, err = f.inner.ReadDir(name)
		return err
	})
	return entries, err
}

func (f *FS) Statfs(name string) (space fsx.Space, err error) {
	err = f.do(Op{Kind: Statfs, Path: name}, func() error {
		space, err = f.inner.Statfs(name)
		return err
	})
	return space, err
}
