package remove

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// nfs is a file system whose open files keep a name until they are closed, and
// their directory with it.
type nfs struct {
	fsx.FS
	open map[string]*nfsFile
}

type nfsFile struct {
	fsx.File
	fs   *nfs
	name string
}

func (n *nfs) OpenFile(name string, flag int, perm os.FileMode) (fsx.File, error) {
	f, err := n.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	n.open[name] = &nfsFile{f, n, name}
	return n.open[name], nil
}

func (n *nfs) Remove(name string) error {
	f := n.open[name]
	switch {
	case f == nil:
		return n.FS.Remove(name)
	case strings.HasPrefix(filepath.Base(name), ".nfs"):
		return &os.PathError{Op: "remove", Path: name, Err: syscall.EBUSY}
	}
	delete(n.open, name)
	f.name = filepath.Join(filepath.Dir(name), fmt.Sprintf(".nfs%d", len(n.open)))
	n.open[f.name] = f
	return n.FS.Rename(name, f.name)
}

func (f *nfsFile) Close() error {
	if f.fs.open[f.name] == f {
		delete(f.fs.open, f.name)
		if strings.HasPrefix(filepath.Base(f.name), ".nfs") {
			if err := f.fs.FS.Remove(f.name); err != nil {
				return err
			}
		}
	}
	return f.File.Close()
}

// The lock file is closed before the directory goes.
func TestDeleteOnNFS(t *testing.T) {
	for name, work := range map[string]func(*catalog.Catalog, Deps) error{
		"by ID": func(_ *catalog.Catalog, d Deps) error { return Backup(ctx, d, Options{ID: idF}) },
		"by status": func(_ *catalog.Catalog, d Deps) error {
			return Status(ctx, d, StatusOptions{Status: catalog.StatusOK})
		},
		"instance": func(c *catalog.Catalog, d Deps) error { return c.RemoveInstance(ctx, d.Instance) },
	} {
		root := filepath.Join(t.TempDir(), "b")
		if err := build(fsx.OS(), root); err != nil {
			t.Fatal(err)
		}
		fsys := &nfs{fsx.OS(), map[string]*nfsFile{}}
		d, err := deps(fsys, root, event.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := work(catalog.Open(fsys, root, catalog.Options{}), d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(d.Instance.Dir(), idF.String())); err == nil {
			t.Errorf("%s: a directory is left", name)
		}
	}
}
