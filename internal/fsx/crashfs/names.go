package crashfs

import (
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// place is where a name leads: the node, nil when there is none yet, and the
// directory and entry that hold it (dir is nil for the root).
type place struct {
	dir  *node
	base string
	node *node
}

// find resolves name. With follow, a symbolic link in the last element is
// followed too.
func (f *FS) find(name string, follow bool) (place, error) {
	if f.dead {
		return place{}, ErrCrashed
	}
	if name == "" {
		return place{}, unix.ENOENT
	}
	at := place{node: f.root}
	stack := []*node{} // the directories above at.node
	rest := strings.Split(strings.TrimRight(name, "/"), "/")
	for links := 0; len(rest) > 0; {
		elem := rest[0]
		rest = rest[1:]
		if at.node == nil {
			return place{}, unix.ENOENT
		}
		if !at.node.mode.IsDir() {
			return place{}, unix.ENOTDIR
		}
		switch elem {
		case "", ".":
			continue
		case "..":
			if len(stack) > 0 {
				at = place{node: stack[len(stack)-1]}
				stack = stack[:len(stack)-1]
			}
			continue
		}
		next := place{dir: at.node, base: elem, node: at.node.entries[elem]}
		if n := next.node; n != nil && n.mode.Type() == fs.ModeSymlink && (follow || len(rest) > 0) {
			if links++; links > maxLinks {
				return place{}, unix.ELOOP
			}
			if strings.HasPrefix(n.target, "/") {
				at, stack = place{node: f.root}, nil
			}
			rest = append(strings.Split(n.target, "/"), rest...)
			continue
		}
		stack = append(stack, at.node)
		at = next
	}
	return at, nil
}

// existing is find for names that must exist.
func (f *FS) existing(op, name string, follow bool) (place, error) {
	at, err := f.find(name, follow)
	if err == nil && at.node == nil {
		err = unix.ENOENT
	}
	return at, pathError(op, name, err)
}

// vacant is find for names that must not exist.
func (f *FS) vacant(name string) (place, error) {
	at, err := f.find(name, false)
	if err == nil && at.node != nil {
		err = unix.EEXIST
	}
	return at, err
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func linkError(op, oldName, newName string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: oldName, New: newName, Err: err}
}

func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.vacant(name)
	if err == nil {
		at.dir.apply(change{at.base: newNode(fs.ModeDir | perm.Perm())})
	}
	return pathError("mkdir", name, err)
}

func (f *FS) Symlink(target, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.vacant(name)
	if err == nil {
		n := newNode(fs.ModeSymlink | 0o777)
		n.target = target
		at.dir.apply(change{at.base: n})
	}
	return linkError("symlink", target, name, err)
}

func (f *FS) Link(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return linkError("link", oldName, newName, f.link(oldName, newName))
}

func (f *FS) link(oldName, newName string) error {
	from, err := f.find(oldName, false)
	if err != nil {
		return err
	}
	if from.node == nil {
		return unix.ENOENT
	}
	to, err := f.vacant(newName)
	switch {
	case err != nil:
		return err
	case from.node.mode.IsDir():
		return unix.EPERM
	}
	to.dir.apply(change{to.base: from.node})
	return nil
}

func (f *FS) Rename(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return linkError("rename", oldName, newName, f.rename(oldName, newName))
}

func (f *FS) rename(oldName, newName string) error {
	from, err := f.find(oldName, false)
	if err != nil {
		return err
	}
	to, err := f.find(newName, false)
	switch {
	case err != nil:
		return err
	case from.node == nil:
		return unix.ENOENT
	case to.node != nil && to.node.mode.IsDir():
		return unix.EEXIST // os.Rename never replaces a directory
	case from.dir == nil:
		return unix.EBUSY // the root
	case from.node == to.node:
		return nil
	case from.node.mode.IsDir() && from.node.holds(to.dir):
		return unix.EINVAL
	case to.node != nil && from.node.mode.IsDir():
		return unix.ENOTDIR
	}
	if from.dir == to.dir {
		from.dir.apply(change{from.base: nil, to.base: from.node})
	} else {
		to.dir.apply(change{to.base: from.node})
		from.dir.apply(change{from.base: nil})
	}
	return nil
}

// holds tells whether dir is n or below it.
func (n *node) holds(dir *node) bool {
	if n == dir {
		return true
	}
	for _, child := range n.entries {
		if child.mode.IsDir() && child.holds(dir) {
			return true
		}
	}
	return false
}

func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.existing("remove", name, false)
	switch {
	case err != nil:
		return err
	case at.dir == nil:
		return pathError("remove", name, unix.EBUSY)
	case len(at.node.entries) > 0:
		return pathError("remove", name, unix.ENOTEMPTY)
	}
	at.dir.apply(change{at.base: nil})
	return nil
}

func (f *FS) Chmod(name string, mode fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.existing("chmod", name, true)
	if err != nil {
		return err
	}
	at.node.mode = at.node.mode.Type() | mode.Perm()
	return nil
}
