package catalog

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// dirMode is the mode of every directory of the catalog.
const dirMode = 0o700

// Catalog is the directory given as -B.
type Catalog struct {
	root string
	env
}

// env is what catalog, instances and lists share.
type env struct {
	fs   fsx.FS
	sink event.Sink
	loc  *time.Location
}

// Options of Open; the zero value is good.
type Options struct {
	Sink     event.Sink     // receives warnings; nil discards them
	Location *time.Location // zone of written times; nil is time.Local
}

// Open names a catalog. It touches nothing; see Init and Instances.
func Open(fsys fsx.FS, root string, opts Options) *Catalog {
	if opts.Sink == nil {
		opts.Sink = event.Discard
	}
	if opts.Location == nil {
		opts.Location = time.Local
	}
	return &Catalog{root: root, env: env{fs: fsys, sink: opts.Sink, loc: opts.Location}}
}

// Root is the catalog's directory.
func (c *Catalog) Root() string { return c.root }

// BackupsDir is the directory that holds the instances.
func (c *Catalog) BackupsDir() string { return filepath.Join(c.root, "backups") }

// WALRoot is the directory that holds the instances' WAL archives.
func (c *Catalog) WALRoot() string { return filepath.Join(c.root, "wal") }

// Init creates the catalog, durably. The directory must be absent or empty.
func (c *Catalog) Init() error {
	entries, err := c.fs.ReadDir(c.root)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return usererr.Wrap(err, `cannot open backup catalog directory "%s": %s`, c.root, usererr.SystemText(err))
	case len(entries) > 0:
		return usererr.New("backup catalog already exist and it's not empty")
	}
	for _, dir := range []string{c.root, c.BackupsDir(), c.WALRoot()} {
		if err := fsx.MkdirAllDurable(c.fs, dir, dirMode); err != nil {
			return cannotCreate(dir, err)
		}
	}
	return nil
}

func cannotCreate(dir string, err error) error {
	return usererr.Wrap(err, `cannot create directory "%s": %s`, dir, usererr.SystemText(err))
}

// Instances lists the instances in the order of their names: every directory
// below backups/, whether it has a configuration or not.
func (c *Catalog) Instances(ctx context.Context) ([]*Instance, error) {
	entries, err := c.fs.ReadDir(c.BackupsDir())
	if err != nil {
		return nil, usererr.Wrap(err, `Cannot open directory "%s": %s`, c.BackupsDir(), usererr.SystemText(err))
	}
	var list []*Instance
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		fi, err := c.fs.Lstat(filepath.Join(c.BackupsDir(), e.Name()))
		if err != nil {
			return nil, usererr.Wrap(err, `Cannot stat file "%s": %s`,
				filepath.Join(c.BackupsDir(), e.Name()), usererr.SystemText(err))
		}
		if fi.IsDir() {
			list = append(list, c.instance(e.Name()))
		}
	}
	return list, nil
}

// InstanceInaccessible is emitted before the error for an instance that is
// not there. C tool: WARNING `Failed to access directory "%s": %s`.
type InstanceInaccessible struct {
	Path string
	Text string // what the system says
}

// Instance finds an existing instance.
func (c *Catalog) Instance(name string) (*Instance, error) {
	i := c.instance(name)
	err := checkName(name) // another directory must not pass for an instance
	var fi fs.FileInfo
	if err == nil {
		fi, err = c.fs.Stat(i.Dir())
	}
	switch {
	case err != nil:
		c.sink.Emit(InstanceInaccessible{Path: i.Dir(), Text: usererr.SystemText(err)})
		return nil, usererr.Wrap(err, `Instance '%s' does not exist in this backup catalog`, name)
	case !fi.IsDir():
		return nil, usererr.New("-B, --backup-path must be a path to directory")
	}
	return i, nil
}

func (c *Catalog) instance(name string) *Instance {
	return &Instance{
		name:   name,
		dir:    filepath.Join(c.BackupsDir(), name),
		walDir: filepath.Join(c.WALRoot(), name),
		env:    c.env,
	}
}
