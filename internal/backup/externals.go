package backup

import (
	"context"
	"path"
	"strings"

	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// checkExternalPaths applies what needs no server: absolute paths, none inside
// another, none that holds the catalog (spec/cli.md §11, §13 row 16).
func checkExternalPaths(dirs []string, catalogRoot string) error {
	for _, d := range dirs {
		if !path.IsAbs(d) {
			return usererr.New("External directory \"%s\" is not an absolute path", d)
		}
	}
	for i, a := range dirs {
		for j, b := range dirs {
			if i != j && (inside(b, a) || a == b && i < j) {
				return usererr.New("External directory path (-E option) \"%s\" contain another external directory \"%s\"", a, b)
			}
		}
		if inside(catalogRoot, a) || inside(a, catalogRoot) || a == catalogRoot {
			return usererr.New("External directory path (-E option) \"%s\" overlaps the backup catalog \"%s\"", a, catalogRoot).
				WithHint("a backup must not contain other backups or itself")
		}
	}
	return nil
}

// checkExternalTablespaces compares -E with the tablespaces of the server: one
// inside an external directory would be saved twice and restored wrongly. The
// C tool allows the location itself, the only way to save its data there; ours
// saves tablespaces anyway and leaves such a directory to -E
// (spec/server.md §2.1 #6).
func (r *run) checkExternalTablespaces(locations []string) error {
	for _, ext := range r.opts.ExternalDirs {
		for _, spc := range locations {
			if spc != "" && !path.IsAbs(spc) { // relative to PGDATA (spec/formats.md §7.7)
				spc = path.Join(r.opts.PGData, "pg_location", spc)
			}
			if inside(spc, ext) {
				return usererr.New("External directory path (-E option) \"%s\" contains tablespace \"%s\"", ext, spc)
			}
			if inside(ext, spc) {
				// The arguments are swapped in the C tool's text, too.
				r.emit(ExternalInTablespace{External: spc, Tablespace: ext})
			}
		}
	}
	return nil
}

// checkExternalKinds makes sure every external directory is there.
func (r *run) checkExternalKinds(ctx context.Context) error {
	for _, d := range r.opts.ExternalDirs {
		fi, err := r.deps.Host.Stat(ctx, d)
		if err != nil {
			return usererr.Wrap(err, "External directory is not found: \"%s\"", d)
		}
		if fi.Kind != remote.KindDir {
			return usererr.New(" --external-dirs option \"%s\": directory or symbolic link expected", d)
		}
	}
	return nil
}

// inside tells whether p lies strictly below dir.
func inside(p, dir string) bool {
	return p != dir && strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}
