package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// tablespace is one link of pg_tblspc and the directory it will point to.
type tablespace struct {
	oid    uint32
	from   string // as the backup tells
	target string
	// inside is set when the target lies in the data directory itself: its
	// content is restored there, only the link is made here.
	inside bool
	// listed is set when the backup has its content below the link.
	listed bool
}

// tablespaceDir holds the links.
const tablespaceDir = "pg_tblspc"

// relativeDir is where openGauss keeps relative tablespaces.
const relativeDir = "pg_location"

// readTablespaceMap reads the map stored with a backup; missing is true when
// it has none.
func (r *run) readTablespaceMap(b *catalog.Backup) (list []pgdata.Tablespace, missing bool, err error) {
	name := path.Join(b.DatabaseDir(), pgdata.TablespaceMapName)
	raw, err := fsx.ReadFile(r.deps.FS, name, 16<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read tablespace map: %w", err)
	}
	list, err = r.layout.ParseTablespaceMap(raw, name)
	return list, false, err
}

// checkMappings decides where tablespaces and external directories go and
// makes sure nothing is in the way (spec/server.md §6.2 step 6).
func (r *run) checkMappings(ctx context.Context) error {
	list, missing, err := r.readTablespaceMap(r.dest)
	if err != nil {
		return err
	}
	if missing {
		r.emit(NoTablespaceMap{})
	}
	r.emit(CheckingTablespaces{ID: r.dest.ID})
	if err := r.placeTablespaces(ctx, list); err != nil {
		return err
	}
	if r.newDir && r.opts.Incremental != IncrementalNone {
		r.emit(IncrementalDisabled{})
	}
	if !r.opts.SkipExternal {
		r.emit(CheckingExternals{ID: r.dest.ID})
		if err := r.placeExternals(ctx); err != nil {
			return err
		}
	}
	if err := r.checkCatalogSafe(); err != nil {
		return err
	}
	return r.checkApart()
}

func (r *run) placeTablespaces(ctx context.Context, list []pgdata.Tablespace) error {
	known := map[string]bool{}
	for _, t := range list {
		known[t.Path] = true
	}
	for _, m := range r.opts.Tablespaces {
		if !known[m.Old] {
			return usererr.New("--tablespace-mapping option's old directory doesn't have an entry in tablespace_map file: \"%s\"", m.Old)
		}
	}
	taken := map[string]bool{}
	for _, t := range list {
		spc := tablespace{oid: t.Oid, from: t.Path, target: r.tablespaceTarget(t)}
		if !path.IsAbs(spc.target) {
			return usererr.New("tablespace directory is not an absolute path: %s\n", spc.target)
		}
		if taken[spc.target] {
			return usererr.New("two tablespaces would be restored to one directory: \"%s\"", spc.target).
				WithHint("give each its own -T OLDDIR=NEWDIR")
		}
		taken[spc.target] = true
		spc.inside = strings.HasPrefix(spc.target, r.opts.PGData+"/")
		if !spc.inside {
			if err := r.deps.Host.Admit(ctx, spc.target); err != nil {
				return err
			}
			if err := r.checkTablespace(ctx, &spc); err != nil {
				return err
			}
		}
		r.spaces = append(r.spaces, spc)
	}
	return nil
}

// tablespaceTarget applies -T. A relative tablespace of openGauss, which lies
// in the data directory and is in the backup there, moves with it unless it is
// mapped; the C tool leaves its link pointing into the old one.
func (r *run) tablespaceTarget(t pgdata.Tablespace) string {
	if target := mapped(r.opts.Tablespaces, t.Path); target != t.Path {
		return target
	}
	if r.layout.Family == pgdata.OpenGauss {
		if _, rest, ok := strings.Cut(t.Path, "/"+relativeDir+"/"); ok {
			inside := path.Join(relativeDir, rest)
			if fi, err := r.deps.FS.Stat(path.Join(r.dest.DatabaseDir(), inside)); err == nil && fi.IsDir() {
				return path.Join(r.opts.PGData, inside)
			}
		}
	}
	return t.Path
}

func (r *run) placeExternals(ctx context.Context) error {
	dirs := r.dest.Externals()
	known := map[string]bool{}
	for _, d := range dirs {
		known[d] = true
	}
	for _, m := range r.opts.Externals {
		if !known[m.Old] {
			return usererr.New("--external-mapping option's old directory doesn't have an entry in list of external directories of current backup: \"%s\"", m.Old)
		}
	}
	for _, d := range dirs {
		target := mapped(r.opts.Externals, d)
		if err := r.deps.Host.Admit(ctx, target); err != nil {
			return err
		}
		if !r.resumed.mayUse(target) && (!r.compares() || r.opts.Incremental == IncrementalNone) {
			if err := r.checkEmpty(ctx, target, "External directory is not empty: \"%s\""); err != nil {
				return err
			}
		}
		r.extDirs = append(r.extDirs, target)
	}
	return nil
}

// checkTablespace refuses a location that holds something, unless it is that
// of the same tablespace in the cluster to be used: PGDATA alone has proved
// whose it is. C takes any in an incremental restore.
func (r *run) checkTablespace(ctx context.Context, spc *tablespace) error {
	if r.resumed.mayUse(spc.target) {
		return nil
	}
	if r.compares() {
		link := path.Join(r.opts.PGData, tablespaceDir, strconv.FormatUint(uint64(spc.oid), 10))
		if to, err := r.deps.Host.Readlink(ctx, link); err == nil && path.Clean(to) == spc.target {
			return nil
		}
	}
	return r.checkEmpty(ctx, spc.target, "restore tablespace destination is not empty: \"%s\"")
}

// checkCatalogSafe keeps an incremental restore from removing the catalog as
// something that is not in the backup.
func (r *run) checkCatalogSafe() error {
	if !r.compares() {
		return nil
	}
	for _, dir := range append([]string{r.opts.PGData}, r.extDirs...) {
		if strings.HasPrefix(r.opts.Instance.Dir(), dir+"/") {
			return usererr.New("Incremental restore is impossible: the backup catalog \"%s\" lies in \"%s\"", r.opts.Instance.Dir(), dir)
		}
	}
	return nil
}

// checkApart keeps an incremental restore from removing one directory's files as
// something that is not in another one's list. The same place for an external
// directory and a tablespace is fine if it was so in the backup: C saves
// tablespaces in this way.
func (r *run) checkApart() error {
	if !r.compares() {
		return nil
	}
	const text = "Incremental restore is impossible: \"%s\" would be restored into \"%s\""
	data := r.opts.PGData
	for _, spc := range r.spaces {
		if spc.target == data {
			return usererr.New(text, spc.from, data)
		}
	}
	from := r.dest.Externals()
	for i, dir := range r.extDirs {
		if within(data, dir) {
			return usererr.New(text, data, dir)
		}
		for _, spc := range r.spaces {
			if within(spc.target, dir) && spc.from != from[i] {
				return usererr.New(text, spc.from, dir)
			}
		}
		for j, other := range r.extDirs {
			if i != j && within(other, dir) {
				return usererr.New(text, from[j], dir)
			}
		}
	}
	return nil
}

// within tells whether a directory is another one or lies in it.
func within(dir, parent string) bool {
	return dir == parent || strings.HasPrefix(dir, parent+"/")
}

// errEnough ends a walk.
var errEnough = errors.New("enough entries")

// entriesOf lists a few names in a directory, but for those of our own record;
// none if there is no such directory. text is for what is no directory.
func (r *run) entriesOf(ctx context.Context, dir, text string) (names []string, err error) {
	fi, err := r.deps.Host.Stat(ctx, dir)
	switch {
	case isMissing(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at restore destination: %w", err)
	case fi.Kind != remote.KindDir:
		return nil, usererr.New(text, dir)
	}
	err = r.deps.Host.List(ctx, remote.ListRequest{Root: dir}, func(fi remote.FileInfo) error {
		if fi.Path == recordName || fi.Path == recordTemp {
			return nil
		}
		names = append(names, fi.Path)
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("look at restore destination: %w", err)
	}
	return names, nil
}

// checkEmpty refuses a directory that holds anything. A missing one is fine.
func (r *run) checkEmpty(ctx context.Context, dir, text string) error {
	names, err := r.entriesOf(ctx, dir, text)
	if err == nil && len(names) > 0 {
		return usererr.New(text, dir)
	}
	return err
}
