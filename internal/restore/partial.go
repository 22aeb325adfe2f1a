package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/usererr"
)

// Partial restore is ours, after pg_probackup: the files of databases that are
// not wanted are made, but empty. The server starts, the other databases work,
// and those can be dropped. Replay does no harm to them: what it changes after
// the start of a backup it has as a full page first.

// planDatabases finds the databases to leave out.
func (r *run) planDatabases() error {
	wanted, unwanted := r.opts.IncludeDatabases, r.opts.ExcludeDatabases
	if len(wanted) == 0 && len(unwanted) == 0 {
		return nil
	}
	f, err := r.deps.FS.Open(filepath.Join(r.dest.DatabaseDir(), catalog.DatabaseMapName))
	if errors.Is(err, fs.ErrNotExist) {
		return usererr.Wrap(err, "Backup %s doesn't contain a database_map, partial restore is impossible.", r.dest.ID)
	}
	if err != nil {
		return fmt.Errorf("open database map: %w", err)
	}
	defer f.Close() // read only
	list, err := catalog.ReadDatabaseMap(f)
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(wanted, unwanted) {
		if !slices.ContainsFunc(list, func(d catalog.Database) bool { return d.Name == name }) {
			return usererr.New("Failed to find a database \"%s\" in database_map of backup %s", name, r.dest.ID)
		}
	}
	r.excluded = map[uint32]bool{}
	for _, d := range list {
		if len(wanted) > 0 && !slices.Contains(wanted, d.Name) || slices.Contains(unwanted, d.Name) {
			r.excluded[d.OID] = true
		}
	}
	return nil
}

// empties tells whether a file is made empty because of its database.
func (r *run) empties(e *contentlist.Entry) bool {
	return e.ExternalDir == 0 && e.DBOid != 0 && r.excluded[e.DBOid]
}
