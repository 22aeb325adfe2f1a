package restore

import (
	"context"
	"fmt"
	"path"
	"strings"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// present is a regular file or directory that is at its place already.
type present struct {
	size int64
	mode uint32 // permission bits
}

// scan looks at what is in the directories to be restored. It fills
// writeOut.present with what may stay and collects the rest for removal:
// whatever the backup does not list, or lists as something else
// (spec/server.md §6.3 step 5). Left alone are hidden files, which no backup
// holds, and in tablespaces everything outside of the cluster's own directory.
type scan struct {
	*writeOut
	dirs      map[fileKey]bool
	versions  map[string]bool // names of the cluster's directory in tablespaces
	redundant []string        // absolute paths, parents first

	// under is a directory whose content has the same fate, going or not.
	under string
	going bool
	// linked are links met in place of directories; what they lead to is
	// used.
	linked []linkedDir
}

type linkedDir struct {
	key  fileKey
	full string
}

// lostFound is made by file systems in the directory they are mounted on.
const lostFound = "lost+found"

func (w *writeOut) newScan() *scan {
	s := &scan{writeOut: w, dirs: map[fileKey]bool{}, versions: map[string]bool{}}
	entries := w.destMember().entries
	for i := range entries {
		e := &entries[i]
		if e.IsDir() {
			s.dirs[fileKey{e.ExternalDir, e.Path}] = true
		}
		if _, version, ok := tablespaceVersion(e); ok {
			s.versions[version] = true
		}
	}
	if o := w.old; o != nil && o.catalogVersion != 0 && w.layout.Family == pgdata.PostgreSQL {
		s.versions[fmt.Sprintf("PG_%s_%d", w.layout.ServerVersion(), o.catalogVersion)] = true
	}
	return s
}

// target walks everything that the restore writes to.
func (s *scan) target(ctx context.Context) error {
	links, err := s.links(ctx)
	if err != nil {
		return err
	}
	prune := append(links, lostFound)
	for _, dir := range s.roots() {
		if rel, ok := strings.CutPrefix(dir, s.opts.PGData+"/"); ok {
			prune = append(prune, rel)
		}
	}
	if err := s.walk(ctx, 0, "", s.opts.PGData, prune); err != nil {
		return err
	}
	for _, link := range links {
		if err := s.tablespace(ctx, link); err != nil {
			return err
		}
	}
	if !s.opts.SkipExternal {
		for i, dir := range s.extDirs {
			if err := s.walk(ctx, i+1, "", dir, []string{lostFound}); err != nil {
				return err
			}
		}
	}
	for len(s.linked) > 0 {
		dir := s.linked[0]
		s.linked = s.linked[1:]
		if err := s.walkLinked(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// walkLinked walks what a link leads to, such as pg_wal on another disk. A
// link to something else than a directory goes.
func (s *scan) walkLinked(ctx context.Context, dir linkedDir) error {
	fi, err := s.deps.Host.Stat(ctx, dir.full)
	switch {
	case isMissing(err), err == nil && fi.Kind != remote.KindDir:
		s.redundant = append(s.redundant, dir.full)
		return nil
	case err != nil:
		return fmt.Errorf("look at restore destination: %w", err)
	}
	s.present[dir.key] = present{mode: fi.Mode & 0o7777}
	return s.walk(ctx, dir.key.externalDir, dir.key.path, dir.full, []string{lostFound})
}

// roots are the directories that are walked on their own, not as part of the
// data directory, should they lie in it.
func (s *scan) roots() []string {
	var dirs []string
	for _, spc := range s.spaces {
		if spc.listed {
			dirs = append(dirs, spc.target)
		}
	}
	if s.opts.SkipExternal {
		return dirs
	}
	return append(dirs, s.extDirs...)
}

// links are the symbolic links of tablespaces, as paths in the data directory.
func (s *scan) links(ctx context.Context) ([]string, error) {
	var list []string
	err := s.deps.Host.List(ctx, remote.ListRequest{Root: path.Join(s.opts.PGData, tablespaceDir)}, func(fi remote.FileInfo) error {
		if fi.Kind == remote.KindSymlink && !strings.Contains(fi.Path, "/") {
			list = append(list, path.Join(tablespaceDir, fi.Path))
		}
		return nil
	})
	if isMissing(err) {
		return nil, nil
	}
	return list, err
}

// tablespace walks the cluster's part of the tablespace behind a link. The
// link itself is compared when it is to be made.
func (s *scan) tablespace(ctx context.Context, link string) error {
	full := path.Join(s.opts.PGData, link)
	spc := s.tablespaceAt(link)
	switch {
	case spc == nil && s.dirs[fileKey{0, link}]:
		// A plain directory in the backup: nothing here says that the
		// link's content is ours to remove.
		s.redundant = append(s.redundant, full)
		return nil
	case spc == nil:
		s.redundant = append(s.redundant, full)
	case !spc.listed:
		return nil
	default:
		full = spc.target
	}
	for version := range s.versions {
		root := path.Join(full, version)
		if _, err := s.deps.Host.Stat(ctx, root); isMissing(err) {
			continue
		}
		if spc == nil {
			s.redundant = append(s.redundant, root)
			s.under, s.going = root, true
		}
		if err := s.walk(ctx, 0, path.Join(link, version), root, nil); err != nil {
			return err
		}
		s.under = ""
	}
	return nil
}

// walk visits a tree; prefix is its path in the backup.
func (s *scan) walk(ctx context.Context, external int, prefix, root string, prune []string) error {
	err := s.deps.Host.List(ctx, remote.ListRequest{Root: root, Prune: prune}, func(fi remote.FileInfo) error {
		for _, p := range prune {
			if fi.Path == p && p != lostFound {
				return nil // walked on its own
			}
		}
		s.visit(fileKey{external, path.Join(prefix, fi.Path)}, path.Join(root, fi.Path), fi)
		return nil
	})
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at restore destination: %w", err)
	}
	return nil
}

func (s *scan) visit(key fileKey, full string, fi remote.FileInfo) {
	if s.under != "" && strings.HasPrefix(full, s.under+"/") {
		if s.going {
			s.redundant = append(s.redundant, full)
		}
		return
	}
	s.under = ""
	e := s.listed(key)
	here := present{size: fi.Size, mode: fi.Mode & 0o7777}
	switch {
	case fi.Kind == remote.KindDir && s.isSpace(key):
		// A directory where a link is wanted.
	case fi.Kind == remote.KindDir && s.dirs[key]:
		s.present[key] = here
		return
	case fi.Kind == remote.KindSymlink && s.dirs[key]:
		s.linked = append(s.linked, linkedDir{key, full})
		return
	case fi.Kind == remote.KindFile && e != nil:
		s.present[key] = here
		return
	case e == nil && !s.dirs[key] && s.staysAway(key, fi):
		s.under, s.going = full, false
		return
	}
	s.redundant = append(s.redundant, full)
	s.under, s.going = full, true
}

// isSpace tells whether the link of a tablespace belongs there.
func (s *scan) isSpace(key fileKey) bool {
	return key.externalDir == 0 && s.tablespaceAt(key.path) != nil
}

// staysAway tells what is neither restored nor removed.
func (s *scan) staysAway(key fileKey, fi remote.FileInfo) bool {
	base := path.Base(fi.Path)
	return strings.HasPrefix(base, ".") || fi.Path == lostFound ||
		key.externalDir == 0 && key.path == controlPending
}

// remove removes what is redundant, contents before their directories.
func (s *scan) remove(ctx context.Context) error {
	const batch = 1000
	for end := len(s.redundant); end > 0; end -= batch {
		part := s.redundant[max(end-batch, 0):end]
		names := make([]string, 0, len(part))
		for i := len(part) - 1; i >= 0; i-- {
			names = append(names, part[i])
		}
		if err := s.deps.Host.RemoveAll(ctx, names); err != nil {
			return fmt.Errorf("remove redundant file: %w", err)
		}
	}
	return nil
}

// clear removes what is redundant in the directories to be restored.
func (w *writeOut) clear(ctx context.Context) error {
	began := w.deps.Now()
	w.emit(ScanStarted{})
	s := w.newScan()
	if err := s.target(ctx); err != nil {
		return err
	}
	w.emit(ScanFinished{Elapsed: elapsed(w.deps.Now().Sub(began))})
	began = w.deps.Now()
	w.emit(RemovalStarted{})
	if err := s.remove(ctx); err != nil {
		return err
	}
	w.emit(RemovalFinished{Elapsed: elapsed(w.deps.Now().Sub(began))})
	return nil
}
