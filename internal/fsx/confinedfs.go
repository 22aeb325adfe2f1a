package fsx

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// This file has the operations of a Confined.

func (c *Confined) Open(name string) (File, error) { return c.OpenFile(name, os.O_RDONLY, 0) }

func (c *Confined) OpenFile(name string, flag int, perm fs.FileMode) (f File, err error) {
	const changing = os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND
	a := access{op: "open", follow: flag&NoFollow == 0, change: flag&changing != 0}
	err = c.do(a, name, func(r *os.Root, rel string) error {
		f, err = wrapFile(r.OpenFile(rel, flag, perm))
		return err
	})
	return f, err
}

func (c *Confined) Mkdir(name string, perm fs.FileMode) error {
	path := filepath.Clean(name)
	r, rel := c.owner(path)
	if (r == nil && c.above(path) || r != nil && rel == ".") && filepath.IsAbs(name) && !c.opts.ReadOnly {
		if err := os.Mkdir(path, perm); err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.made[path] = true
		return nil
	}
	return c.do(access{op: "mkdir", change: true}, name, func(r *os.Root, rel string) error { return r.Mkdir(rel, perm) })
}

// twice runs an operation on two paths, which must lie in one root.
func (c *Confined) twice(op, oldName, newName string, call func(r *os.Root, from, to string) error) error {
	from, err := c.resolve(filepath.Clean(oldName), false)
	if err == nil && !filepath.IsAbs(oldName) {
		err = ErrOutside
	}
	if err != nil {
		return &os.LinkError{Op: op, Old: oldName, New: newName, Err: err}
	}
	return c.do(access{op: op, change: true}, newName, func(r *os.Root, to string) error {
		root, rel := c.owner(from)
		if root == nil {
			return &os.LinkError{Op: op, Old: oldName, Err: ErrOutside}
		}
		if dir, err := root.open(); err != nil || dir != r {
			return &os.LinkError{Op: op, Old: oldName, Err: unix.EXDEV}
		}
		return call(r, rel, to)
	})
}

func (c *Confined) Rename(oldName, newName string) error {
	return c.twice("rename", oldName, newName, (*os.Root).Rename)
}

func (c *Confined) Link(oldName, newName string) error {
	return c.twice("link", oldName, newName, (*os.Root).Link)
}

func (c *Confined) Remove(name string) error {
	return c.do(access{op: "remove", change: true}, name, func(r *os.Root, rel string) error {
		if rel == "." { // a root; os.Root does not remove itself
			return os.Remove(r.Name())
		}
		return r.Remove(rel)
	})
}

// Symlink makes only links that lead to a root.
func (c *Confined) Symlink(target, name string) error {
	path := target
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(name), target)
	}
	if r, _ := c.owner(filepath.Clean(path)); r == nil {
		return &os.LinkError{Op: "symlink", Old: target, New: name, Err: ErrOutside}
	}
	return c.do(access{op: "symlink", change: true}, name, func(r *os.Root, rel string) error { return r.Symlink(target, rel) })
}

func (c *Confined) Readlink(name string) (target string, err error) {
	err = c.do(access{op: "readlink"}, name, func(r *os.Root, rel string) error {
		target, err = r.Readlink(rel)
		return err
	})
	return target, err
}

func (c *Confined) Chmod(name string, mode fs.FileMode) error {
	path := filepath.Clean(name)
	c.mu.RLock()
	made := c.made[path]
	c.mu.RUnlock()
	if made {
		return os.Chmod(path, mode)
	}
	return c.do(access{op: "chmod", follow: true, change: true}, name, func(r *os.Root, rel string) error { return r.Chmod(rel, mode) })
}

func (c *Confined) Stat(name string) (fs.FileInfo, error) {
	return c.stat(name, true, os.Stat, (*os.Root).Stat)
}

func (c *Confined) Lstat(name string) (fs.FileInfo, error) {
	return c.stat(name, false, os.Lstat, (*os.Root).Lstat)
}

func (c *Confined) stat(name string, follow bool, plain func(string) (fs.FileInfo, error), in func(*os.Root, string) (fs.FileInfo, error)) (fi fs.FileInfo, err error) {
	if path := filepath.Clean(name); filepath.IsAbs(name) && c.above(path) {
		return plain(path)
	}
	err = c.do(access{op: "stat", follow: follow}, name, func(r *os.Root, rel string) error {
		fi, err = in(r, rel)
		return err
	})
	return fi, err
}

func (c *Confined) ReadDir(name string) (list []fs.DirEntry, err error) {
	err = c.directory("readdir", name, func(d *os.File) error {
		list, err = d.ReadDir(-1)
		slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		return err
	})
	return list, err
}

// directory opens a directory for call.
func (c *Confined) directory(op, name string, call func(*os.File) error) error {
	return c.do(access{op: op, follow: true}, name, func(r *os.Root, rel string) error {
		d, err := r.OpenFile(rel, os.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return err
		}
		defer d.Close() // read only
		return call(d)
	})
}

func (c *Confined) SyncDir(name string) error {
	if path := filepath.Clean(name); filepath.IsAbs(name) && c.above(path) {
		return osFS{}.SyncDir(path)
	}
	return c.directory("sync", name, syncDirectory)
}

// Statfs describes the file system of a path, or of one above a root.
func (c *Confined) Statfs(name string) (space Space, err error) {
	if path := filepath.Clean(name); filepath.IsAbs(name) && c.above(path) {
		return osFS{}.Statfs(path)
	}
	err = c.do(access{op: "statfs", follow: true}, name, func(r *os.Root, rel string) error {
		f, err := r.OpenFile(rel, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close() // read only
		space, err = statfs(func(st *unix.Statfs_t) error { return unix.Fstatfs(int(f.Fd()), st) })
		return err
	})
	return space, err
}
