// Package crashfs is a test double: a file system in memory that loses what
// was not made durable.
//
// It owns the model of what a crash leaves behind and a driver (EachStep) that
// cuts a piece of work off before every one of its steps. The model is as
// strict as POSIX allows:
//
//   - The content, size and mode of a file are those of its last Sync. A file
//     never synced is empty.
//   - The entries of a directory are those of its last SyncDir, whatever
//     became of the files: Sync of a new file does not make its name durable,
//     and SyncDir says nothing about the files' content.
//   - A rename within a directory is atomic. One between two directories is
//     an addition here and a removal there, each durable with its directory.
//
// AfterCrash can also keep any part of what was not durable, torn sectors
// included, for nothing forbids the system to write early. Permissions are
// kept, but not enforced; there is no umask.
package crashfs

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gsprobackup/internal/fsx"
)

// ErrCrashed is the error of all operations on a file system after Crash.
var ErrCrashed = errors.New("file system has crashed")

// FS is a file system in memory. It is safe for concurrent use. Relative names
// start at the root, which exists.
type FS struct {
	mu    sync.Mutex
	root  *node
	dead  bool
	space fsx.Space
}

var _ fsx.FS = (*FS)(nil)

// New returns an empty file system.
func New() *FS {
	const block = 4096
	return &FS{
		root: newNode(fs.ModeDir | 0o755),
		space: fsx.Space{
			BlockSize: block, Blocks: 1 << 30, BlocksFree: 1 << 30, BlocksAvail: 1 << 30,
			Files: 1 << 20, FilesFree: 1 << 20,
		},
	}
}

// CopyOf returns a file system that has, durably, what src has below dir.
func CopyOf(src fsx.FS, dir string) (*FS, error) {
	f := New()
	if err := fsx.MkdirAll(f, filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	if err := f.copyFrom(src, dir); err != nil {
		return nil, err
	}
	f.SyncAll()
	return f, nil
}

func (f *FS) copyFrom(src fsx.FS, name string) error {
	fi, err := src.Lstat(name)
	if err != nil {
		return err
	}
	switch fi.Mode().Type() {
	case fs.ModeDir:
		if err := f.Mkdir(name, fi.Mode().Perm()); err != nil {
			return err
		}
		list, err := src.ReadDir(name)
		if err != nil {
			return err
		}
		for _, d := range list {
			if err := f.copyFrom(src, filepath.Join(name, d.Name())); err != nil {
				return err
			}
		}
		return nil
	case fs.ModeSymlink:
		target, err := src.Readlink(name)
		if err != nil {
			return err
		}
		return f.Symlink(target, name)
	}
	data, err := fsx.ReadFile(src, name, fi.Size())
	if err != nil {
		return err
	}
	file, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE, fi.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// SetSpace sets what Statfs answers. It is not enforced.
func (f *FS) SetSpace(s fsx.Space) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.space = s
}

// node is a file, directory or symbolic link.
type node struct {
	mode    fs.FileMode // type and permissions
	mtime   time.Time
	data    []byte           // of a file
	target  string           // of a symbolic link
	entries map[string]*node // of a directory

	// What a crash leaves of it.
	durable struct {
		mode    fs.FileMode
		data    []byte
		entries map[string]*node
	}
	// pending are the changes of a directory since SyncDir, in order.
	pending []change
}

// change is one atomic change of a directory: the new nodes of names, nil for
// a removed name.
type change map[string]*node

func newNode(mode fs.FileMode) *node {
	n := &node{mode: mode, mtime: time.Now()}
	n.durable.mode = mode // an inode comes with its mode
	if mode.IsDir() {
		n.entries = map[string]*node{}
		n.durable.entries = map[string]*node{}
	}
	return n
}

// apply changes the entries of directory n.
func (n *node) apply(c change) {
	applyTo(n.entries, c)
	n.pending = append(n.pending, c)
	n.mtime = time.Now()
}

func applyTo(entries map[string]*node, c change) {
	for name, child := range c {
		if child == nil {
			delete(entries, name)
		} else {
			entries[name] = child
		}
	}
}

// sync makes the node itself durable, not what is below it.
func (n *node) sync() {
	n.durable.mode = n.mode
	n.durable.data = append([]byte(nil), n.data...)
	n.durable.entries = maps.Clone(n.entries)
	n.pending = nil
}

// SyncAll makes everything durable, as sync(2) does.
func (f *FS) SyncAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.root.syncAll()
}

func (n *node) syncAll() {
	n.sync()
	for _, child := range n.entries {
		child.syncAll()
	}
}

func (n *node) touch() { n.mtime = time.Now() }
