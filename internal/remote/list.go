package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

func (h *local) List(ctx context.Context, req ListRequest, fn func(FileInfo) error) error {
	w := walker{
		ctx: ctx, fs: h.fs, root: req.Root, follow: req.FollowLinks, fn: fn,
		prune: make(map[string]bool, len(req.Prune)), pruneHidden: req.PruneHidden,
	}
	for _, p := range req.Prune {
		w.prune[path.Clean(p)] = true
	}
	fi, err := h.fs.Stat(req.Root)
	if err != nil {
		return cannotStat(req.Root, err)
	}
	return w.dir("", fi)
}

// walker holds the state of one List.
type walker struct {
	ctx    context.Context
	fs     fsx.FS
	root   string
	follow bool
	prune  map[string]bool
	// pruneHidden: directories with a hidden name are not opened
	pruneHidden bool
	fn          func(FileInfo) error
	// above are the directories on the way to the current one: a link back
	// to one of them would never end.
	above []fs.FileInfo
}

// dir reports the content of one directory, given relative to the root.
// Entries that go away meanwhile are left out: the server removes files at any
// time.
func (w *walker) dir(rel string, self fs.FileInfo) error {
	for _, a := range w.above {
		if os.SameFile(a, self) {
			return fmt.Errorf("list directory: %s leads back to a directory above it", w.abs(rel))
		}
	}
	w.above = append(w.above, self)
	defer func() { w.above = w.above[:len(w.above)-1] }()

	entries, err := w.fs.ReadDir(w.abs(rel))
	if err != nil {
		if rel != "" && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return usererr.Wrap(err, `Cannot open directory "%s": %s`, w.abs(rel), usererr.SystemText(err)).
			WithHint("whoever reads the data directory must be able to read all of it: change owner or mode of this directory, or move it elsewhere")
	}
	for _, e := range entries {
		if err := context.Cause(w.ctx); err != nil {
			return err
		}
		if err := w.entry(path.Join(rel, e.Name()), e.Type()); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(rel string, typ fs.FileMode) error {
	info, fi, err := w.describe(rel, typ)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cannotStat(w.abs(rel), err)
	}
	if err := w.fn(info); err != nil {
		return err
	}
	if info.Kind != KindDir || w.prune[rel] || w.pruneHidden && strings.HasPrefix(path.Base(rel), ".") {
		return nil
	}
	return w.dir(rel, fi)
}

// cannotStat has the C tool's words for a name that cannot be looked at.
func cannotStat(name string, err error) error {
	return usererr.Wrap(err, `Cannot stat file "%s": %s`, name, usererr.SystemText(err))
}

func (w *walker) describe(rel string, typ fs.FileMode) (FileInfo, fs.FileInfo, error) {
	name := w.abs(rel)
	if typ&fs.ModeSymlink == 0 {
		// ReadDir has just seen that it is no link, but a race could have
		// made it one; Lstat tells the truth about the entry itself.
		fi, err := w.fs.Lstat(name)
		if err != nil {
			return FileInfo{}, nil, err
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			return fileInfo(rel, fi), fi, nil
		}
	}
	target, err := w.fs.Readlink(name)
	if err != nil {
		return FileInfo{}, nil, err
	}
	stat := w.fs.Lstat
	if w.follow {
		stat = w.fs.Stat
	}
	fi, err := stat(name)
	if w.follow && errors.Is(err, fs.ErrNotExist) {
		fi, err = w.fs.Lstat(name) // dangling: report the link itself
	}
	if err != nil {
		return FileInfo{}, nil, err
	}
	info := fileInfo(rel, fi)
	info.LinkTarget = target
	return info, fi, nil
}

func (w *walker) abs(rel string) string { return filepath.Join(w.root, rel) }
