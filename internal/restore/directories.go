package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
)

// dataDirMode is the mode of a data directory that is made anew: both servers
// refuse one that others can read.
const dataDirMode = 0o700

// directories makes the data directory, all listed directories, and the links
// and locations of tablespaces.
func (w *writeOut) directories(ctx context.Context) error {
	w.emit(MakingDirectories{PGData: w.opts.PGData})
	if err := w.deps.Host.MkdirAll(ctx, w.opts.PGData, dataDirMode); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := w.closeToOthers(ctx); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	w.made = append(w.made, path.Dir(w.opts.PGData), w.opts.PGData)
	if err := w.begin(ctx); err != nil {
		return fmt.Errorf("begin restore: %w", err)
	}
	if err := w.externalRoots(ctx); err != nil {
		return err
	}
	if w.compares() {
		if err := w.clear(ctx); err != nil {
			return err
		}
	}
	var dirs []*contentlist.Entry
	entries := w.destMember().entries
	for i := range entries {
		if e := &entries[i]; e.IsDir() && w.restores(e) {
			dirs = append(dirs, e)
		}
	}
	slices.SortFunc(dirs, func(a, b *contentlist.Entry) int {
		return cmp.Or(depth(a)-depth(b), a.ExternalDir-b.ExternalDir, strings.Compare(a.Path, b.Path))
	})
	for len(dirs) > 0 {
		n := 0
		for n < len(dirs) && depth(dirs[n]) == depth(dirs[0]) {
			n++
		}
		if err := abreast(ctx, w.deps.Host, dirs[:n], w.directory); err != nil {
			return err
		}
		dirs = dirs[n:]
	}
	return nil
}

// closeToOthers gives a data directory that was there a mode that the server
// takes; it may have been made with mkdir. Whose it is not cannot do that, and
// the server will not start for its owner, either.
func (w *writeOut) closeToOthers(ctx context.Context) error {
	fi, err := w.deps.Host.Stat(ctx, w.opts.PGData)
	if err != nil {
		return err
	}
	allowed := uint32(dataDirMode)
	if w.layout.Family == pgdata.PostgreSQL {
		allowed = 0o750
	}
	if fi.Mode&0o777&^allowed == 0 {
		return nil
	}
	err = w.deps.Host.Chmod(ctx, w.opts.PGData, dataDirMode)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// depth is how many directories a listed one lies in.
func depth(e *contentlist.Entry) int { return strings.Count(e.Path, "/") }

func (w *writeOut) externalRoots(ctx context.Context) error {
	if w.opts.SkipExternal || len(w.extDirs) == 0 {
		return nil
	}
	w.emit(MakingExternals{})
	for _, d := range w.extDirs {
		if err := w.deps.Host.MkdirAll(ctx, d, dataDirMode); err != nil {
			return fmt.Errorf("make external directory: %w", err)
		}
		w.made = append(w.made, path.Dir(d), d)
	}
	return nil
}

// directory makes one listed directory, or the link of a tablespace in its
// place.
func (w *writeOut) directory(ctx context.Context, e *contentlist.Entry) error {
	full := path.Join(w.opts.PGData, e.Path)
	if e.ExternalDir > 0 {
		full = path.Join(w.extDirs[e.ExternalDir-1], e.Path)
	} else if spc := w.tablespaceAt(e.Path); spc != nil {
		return w.link(ctx, spc, full)
	}
	mode := e.Mode & 0o7777
	err := w.deps.Host.MkdirAll(ctx, full, mode)
	if here, ok := w.present[keyOf(e)]; ok && here.mode != mode && err == nil {
		err = w.deps.Host.Chmod(ctx, full, mode)
	}
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	w.hasMade(full)
	return nil
}

// hasMade notes directories whose names are to be synced.
func (w *writeOut) hasMade(dirs ...string) {
	w.madeMu.Lock()
	defer w.madeMu.Unlock()
	w.made = append(w.made, dirs...)
}

// tablespaceAt finds the tablespace whose link is at a path of the backup.
func (w *writeOut) tablespaceAt(p string) *tablespace {
	name, ok := strings.CutPrefix(p, tablespaceDir+"/")
	if !ok {
		return nil
	}
	oid, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return nil
	}
	return w.spaceOf(uint32(oid))
}

func (r *run) spaceOf(oid uint32) *tablespace {
	for i := range r.spaces {
		if r.spaces[i].oid == oid {
			return &r.spaces[i]
		}
	}
	return nil
}

func (w *writeOut) link(ctx context.Context, spc *tablespace, link string) error {
	host := w.deps.Host
	if err := host.MkdirAll(ctx, spc.target, dataDirMode); err != nil {
		return fmt.Errorf("make tablespace directory: %w", err)
	}
	if w.compares() {
		switch to, err := host.Readlink(ctx, link); {
		case err == nil && to == spc.target:
			w.hasMade(path.Dir(spc.target), spc.target)
			return nil
		case err == nil: // C replaces it, too, and leaves the old place alone
			if err := host.Remove(ctx, link); err != nil {
				return fmt.Errorf("remove link of tablespace: %w", err)
			}
		case !isMissing(err):
			return fmt.Errorf("look at link of tablespace: %w", err)
		}
	}
	if err := host.Symlink(ctx, spc.target, link); err != nil {
		return usererr.Wrap(err, "Could not create symbolic link \"%s\": %s", link, usererr.SystemText(err))
	}
	w.hasMade(path.Dir(spc.target), spc.target)
	return nil
}
