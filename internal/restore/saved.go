package restore

import (
	"context"
	"strconv"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/event"
	"gsprobackup/internal/validate"
)

// SavesTablespaces tells whether the backup that would be restored has the
// content of its tablespaces, of those to be moved all. Backups of the C tool
// never do: there, -T needs an --external-mapping that brings the files. What
// cannot be read has nothing. Of deps, only FS is used, and nothing is emitted.
func SavesTablespaces(ctx context.Context, deps Deps, opts Options) bool {
	deps.Sink = event.Discard
	r := &run{deps: deps, opts: opts, dry: true}
	var err error
	if r.backups, err = opts.Instance.Backups(ctx); err != nil {
		return false
	}
	b, err := r.pick(ctx, false)
	if err != nil && opts.BackupID == 0 {
		// No backup fits the target, which is reported in its turn: the newest
		// one stands for the others.
		r = &run{deps: deps, opts: Options{Instance: opts.Instance}, dry: true, backups: r.backups}
		b, err = r.pick(ctx, false)
	}
	if err != nil {
		return false
	}
	if r.layout, err = validate.LayoutOf(b); err != nil {
		return false
	}
	list, missing, err := r.readTablespaceMap(b)
	if err != nil || missing {
		return false
	}
	saved, err := r.savedTablespaces(b)
	if err != nil || len(saved) == 0 {
		return false
	}
	for _, t := range list {
		if mapped(opts.Tablespaces, t.Path) != t.Path && !saved[t.Oid] {
			return false
		}
	}
	return true
}

// savedTablespaces finds the tablespaces with content in a backup.
func (r *run) savedTablespaces(b *catalog.Backup) (map[uint32]bool, error) {
	f, err := r.deps.FS.Open(b.ContentPath())
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	entries, _, err := contentlist.ReadAll(f, 0)
	if err != nil {
		return nil, err
	}
	saved := map[uint32]bool{}
	for i := range entries {
		if oid, _, ok := tablespaceVersion(&entries[i]); ok {
			saved[oid] = true
		}
	}
	return saved, nil
}

// tablespaceVersion tells in which tablespace a listed name lies, and in which
// directory of it, the cluster's own.
func tablespaceVersion(e *contentlist.Entry) (oid uint32, version string, ok bool) {
	rest, ok := strings.CutPrefix(e.Path, tablespaceDir+"/")
	if !ok || e.ExternalDir != 0 {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil {
		return 0, "", false
	}
	version, _, _ = strings.Cut(rest, "/")
	return uint32(n), version, true
}
