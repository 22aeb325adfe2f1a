package backup

import (
	"context"
	"fmt"
	"path"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// NewUnlogged says that a file is left out because its relation has become an
// unlogged one since it was listed.
type NewUnlogged struct{ Path string }

// dropNewUnlogged leaves out what was listed of an unlogged relation before it
// had its init fork: a server makes that last, for an index when it is built,
// which can take hours. Replay brings the init fork, and at its end recovery
// copies it to the main fork, and fails if there is one. The init fork is older
// than its record in WAL, so after the stop the data directory has all that
// replay can bring.
func (r *run) dropNewUnlogged(ctx context.Context) error {
	now := pgdata.NewInitForks(r.layout)
	err := r.deps.Host.List(ctx, r.listRequest(), func(fi remote.FileInfo) error {
		if fi.Kind == remote.KindFile {
			now.Add(fi.Path, r.layout.Classify(fi.Path))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list data directory: %w", err)
	}
	for _, it := range r.source.items {
		if it.ExternalDir != 0 || isDir(it.Mode) || it.vanished {
			continue
		}
		if c := r.layout.Classify(it.Path); !now.Unlogged(it.Path, c) || r.source.inits.Unlogged(it.Path, c) {
			continue
		}
		r.emit(NewUnlogged{Path: it.Path})
		it.vanished = true
		if err := r.removeStored(it); err != nil {
			return fmt.Errorf("leave out unlogged relation: %w", err)
		}
	}
	return nil
}

// removeStored removes the copy of a file; an empty one has none.
func (r *run) removeStored(it *listed) error {
	name := path.Join(r.backup.EntryDir(it.ExternalDir), it.Path)
	if err := fsx.RemoveIfThere(r.deps.FS, name); err != nil || r.opts.NoSync {
		return err
	}
	return r.deps.FS.SyncDir(path.Dir(name))
}
