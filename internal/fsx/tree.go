package fsx

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// MkdirAll creates dir and its missing parents with perm (less the umask).
// An existing directory, or a symbolic link to one, is not an error. The new
// entries are not durable; see MkdirAllDurable.
func MkdirAll(fsys FS, dir string, perm fs.FileMode) error {
	return mkdirAll(fsys, filepath.Clean(dir), perm, func(string) error { return nil })
}

// MkdirAllDurable is MkdirAll that also syncs the parent of every directory
// it creates, top down.
func MkdirAllDurable(fsys FS, dir string, perm fs.FileMode) error {
	return mkdirAll(fsys, filepath.Clean(dir), perm, fsys.SyncDir)
}

func mkdirAll(fsys FS, dir string, perm fs.FileMode, created func(parent string) error) error {
	parent := filepath.Dir(dir)
	err := fsys.Mkdir(dir, perm)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := mkdirAll(fsys, parent, perm, created); err != nil {
			return err
		}
		err = fsys.Mkdir(dir, perm)
	}
	if err == nil {
		return created(parent)
	}
	// Mkdir may have failed for another reason than EEXIST (EROFS, EACCES
	// on the parent, "." and "/") although the directory is there.
	fi, serr := fsys.Stat(dir)
	if serr != nil {
		return err
	}
	if !fi.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: unix.ENOTDIR}
	}
	return nil
}

// RemoveIfThere removes a file, or an empty directory, that need not exist.
func RemoveIfThere(fsys FS, name string) error { return ignoreNotExist(fsys.Remove(name)) }

// RemoveTree removes name and, when it is a directory, all below it: leaf
// first, in each directory the names in descending order. That is the order
// of the C tool's delete (spec/formats.md §1.6): a backup's control file goes
// last, just before its directory. Symbolic links are removed, not followed.
//
// A missing name is not an error. When ctx ends, the rest stays and the
// context's cause is returned. Nothing is synced: whoever needs the removal
// to be durable syncs the parent of name.
func RemoveTree(ctx context.Context, fsys FS, name string) error {
	fi, err := fsys.Lstat(name)
	if err != nil {
		return ignoreNotExist(err)
	}
	return removeTree(ctx, fsys, name, fi.IsDir())
}

func removeTree(ctx context.Context, fsys FS, name string, isDir bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if isDir {
		entries, err := fsys.ReadDir(name)
		if err != nil {
			return ignoreNotExist(err)
		}
		for i := len(entries) - 1; i >= 0; i-- {
			e := entries[i]
			if err := removeTree(ctx, fsys, filepath.Join(name, e.Name()), e.IsDir()); err != nil {
				return err
			}
		}
	}
	return ignoreNotExist(fsys.Remove(name))
}
