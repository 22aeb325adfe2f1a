package crashfs

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx"
)

func (f *FS) Readlink(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.existing("readlink", name, false)
	if err != nil {
		return "", err
	}
	if at.node.mode.Type() != fs.ModeSymlink {
		return "", pathError("readlink", name, unix.EINVAL)
	}
	return at.node.target, nil
}

func (f *FS) Stat(name string) (fs.FileInfo, error)  { return f.stat("stat", name, true) }
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, false) }

func (f *FS) stat(op, name string, follow bool) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.existing(op, name, follow)
	if err != nil {
		return nil, err
	}
	return at.node.info(filepath.Base(name)), nil
}

func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.existing("open", name, true)
	if err != nil {
		return nil, err
	}
	if !at.node.mode.IsDir() {
		return nil, pathError("readdir", name, unix.ENOTDIR)
	}
	var list []fs.DirEntry
	for base, child := range at.node.entries {
		list = append(list, fs.FileInfoToDirEntry(child.info(base)))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

func (f *FS) SyncDir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := f.existing("open", name, true)
	if err != nil {
		return err
	}
	if !at.node.mode.IsDir() {
		return pathError("open", name, unix.ENOTDIR)
	}
	at.node.sync()
	return nil
}

func (f *FS) Statfs(name string) (fsx.Space, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.existing("statfs", name, true); err != nil {
		return fsx.Space{}, err
	}
	return f.space, nil
}

// info is a node as it was when asked for.
type info struct {
	name  string
	size  int64
	mode  fs.FileMode
	mtime time.Time
}

func (n *node) info(name string) info {
	return info{name, int64(max(len(n.data), len(n.target))), n.mode, n.mtime}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.mtime }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
