package fsx

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrOutside is inside the error for a path that a Confined does not reach.
var ErrOutside = errors.New("outside the directories that are served")

// ConfineOptions say what a Confined allows.
type ConfineOptions struct {
	// ReadOnly refuses everything that changes a file system.
	ReadOnly bool
	// TrustLinks tells, for a link inside a served directory that leads out
	// of them all, whether its target is served, too. dir is the directory
	// of the link, root the served directory it is in. nil trusts none.
	TrustLinks func(root, dir, name string) bool
}

// Confined is a file system that reaches only some directories, its roots.
// Paths are absolute, as in any FS. Every open is one of os.Root, which goes
// down from the root's descriptor without following a link out of it, so a
// link that appears under its eyes is refused, too. Links that lead to another
// root, or that are trusted, are resolved before.
//
// Outside the roots it allows what making a root needs: to look at the
// directories above, to make missing ones, and to sync them.
type Confined struct {
	opts ConfineOptions

	mu    sync.RWMutex
	roots []*confinedRoot // longest path first
	made  map[string]bool // directories above roots that were made here
}

// confinedRoot is a directory that is served, or one file.
type confinedRoot struct {
	path string // as paths begin that lie in it
	file string // the only name that is served in path; "" for all

	mu  sync.Mutex
	dir *os.Root // opened when first needed: it may have to be made
}

// NewConfined returns a file system without roots.
func NewConfined(opts ConfineOptions) *Confined {
	return &Confined{opts: opts, made: map[string]bool{}}
}

// Add serves a directory, which need not exist yet.
func (c *Confined) Add(dir string) error {
	if !filepath.IsAbs(dir) {
		return &fs.PathError{Op: "serve", Path: dir, Err: ErrOutside}
	}
	c.add(&confinedRoot{path: filepath.Clean(dir)})
	return nil
}

func (c *Confined) add(r *confinedRoot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, old := range c.roots {
		if old.path == r.path && (old.file == "" || old.file == r.file) {
			return
		}
	}
	c.roots = append(c.roots, r)
	slices.SortStableFunc(c.roots, func(a, b *confinedRoot) int { return cmp.Compare(len(b.path), len(a.path)) })
}

// Close closes the roots. Open files stay open.
func (c *Confined) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, r := range c.roots {
		r.mu.Lock()
		if r.dir != nil {
			errs = append(errs, r.dir.Close())
		}
		r.dir = nil
		r.mu.Unlock()
	}
	c.roots = nil
	return errors.Join(errs...)
}

// owner finds the root a clean path lies in, nil for none.
func (c *Confined) owner(path string) (*confinedRoot, string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, r := range c.roots {
		if rel, ok := below(r.path, path); ok && (r.file == "" || r.file == rel) {
			return r, rel
		}
	}
	return nil, ""
}

// below gives path relative to dir, "." for dir itself.
func below(dir, path string) (rel string, ok bool) {
	if path == dir {
		return ".", true
	}
	rel, ok = strings.CutPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	return rel, ok
}

// above tells whether a clean path lies above a root.
func (c *Confined) above(path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.ContainsFunc(c.roots, func(r *confinedRoot) bool {
		_, ok := below(path, r.path)
		return ok && path != r.path
	})
}

func (r *confinedRoot) open() (*os.Root, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dir == nil {
		dir, err := os.OpenRoot(r.path)
		if err != nil {
			return nil, err
		}
		r.dir = dir
	}
	return r.dir, nil
}

// access is one operation on a path.
type access struct {
	op     string
	follow bool // the last element of the path, when it is a link
	change bool // it changes something
}

// do runs an operation in the root that has the path.
func (c *Confined) do(a access, name string, call func(*os.Root, string) error) error {
	if a.change && c.opts.ReadOnly {
		return &fs.PathError{Op: a.op, Path: name, Err: unix.EROFS}
	}
	if !filepath.IsAbs(name) {
		return &fs.PathError{Op: a.op, Path: name, Err: ErrOutside}
	}
	path := filepath.Clean(name)
	err := c.try(path, call)
	if err == nil {
		return nil
	}
	// A link may lead to another root.
	resolved, rerr := c.resolve(path, a.follow)
	switch {
	case rerr != nil:
		err = rerr
	case resolved != path:
		err = c.try(resolved, call)
	}
	return named(err, a.op, name)
}

func (c *Confined) try(path string, call func(*os.Root, string) error) error {
	r, rel := c.owner(path)
	if r == nil {
		return ErrOutside
	}
	dir, err := r.open()
	if err != nil {
		return err
	}
	return call(dir, rel)
}

// named gives an error the path that was asked for: those of os.Root have one
// relative to the root.
func named(err error, op, name string) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		return &os.LinkError{Op: op, Old: link.Old, New: name, Err: link.Err}
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// maxLinks is how many links a path may have.
const maxLinks = 40

// resolve follows the links in a path that lies in a root, the last element
// only if follow is set. The result is a path in a root; that it has no links
// is what os.Root makes sure of.
func (c *Confined) resolve(path string, follow bool) (string, error) {
	root, rel := c.owner(path)
	if root == nil {
		return "", ErrOutside
	}
	at, rest := root.path, rel
	for links := 0; rest != "" && rest != "."; {
		name, behind, more := strings.Cut(rest, "/")
		if !more && !follow {
			return filepath.Join(at, name), nil
		}
		target, isLink := c.link(at, name)
		if !isLink {
			at, rest = filepath.Join(at, name), behind
			continue
		}
		if links++; links > maxLinks {
			return "", unix.ELOOP
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(at, target)
		}
		target = filepath.Clean(target)
		if err := c.trust(root.path, at, name, target); err != nil {
			return "", err
		}
		path = filepath.Join(target, behind)
		if root, rest = c.owner(path); root == nil {
			return "", ErrOutside
		}
		at = root.path
	}
	return at, nil
}

// link reads a link whose directory has no links on its way.
func (c *Confined) link(dir, name string) (target string, ok bool) {
	r, rel := c.owner(filepath.Join(dir, name))
	if r == nil {
		return "", false
	}
	d, err := r.open()
	if err != nil {
		return "", false
	}
	target, err = d.Readlink(rel)
	return target, err == nil
}

// trust makes a root of what a link leads to, if that is allowed and needed.
func (c *Confined) trust(root, dir, name, target string) error {
	if r, _ := c.owner(target); r != nil {
		return nil
	}
	if c.opts.TrustLinks == nil || !c.opts.TrustLinks(root, dir, name) {
		return ErrOutside
	}
	r := &confinedRoot{path: target}
	if fi, err := os.Stat(target); err == nil && !fi.IsDir() {
		if !fi.Mode().IsRegular() {
			return ErrOutside
		}
		r.path, r.file = filepath.Dir(target), filepath.Base(target)
	}
	c.add(r)
	return nil
}
