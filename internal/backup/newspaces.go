package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
)

// NewTablespace says that a tablespace was made while the backup ran. Replay
// of WAL makes it again, at the place it has on the server.
type NewTablespace struct{ Path string }

// dropNewSpaces leaves out the tablespaces that came after the start of the
// backup, which are those without a line in the server's tablespace_map. A
// restore would make them plain directories, and replay, which makes them
// again with all they hold, stops at a directory that is not empty.
func (r *run) dropNewSpaces(ctx context.Context) error {
	if len(r.source.links) == 0 {
		return nil
	}
	raw := r.stopped.TablespaceMap
	name := path.Join(r.backup.DatabaseDir(), pgdata.TablespaceMapName)
	if r.stopped.Exclusive {
		var err error
		if raw, err = fsx.ReadFile(r.deps.FS, name, 16<<20); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read tablespace map: %w", err)
		}
	}
	mapped, err := r.layout.ParseTablespaceMap(raw, name)
	if err != nil {
		return err
	}
	for _, link := range r.source.links {
		known := slices.ContainsFunc(mapped, func(t pgdata.Tablespace) bool {
			return path.Base(link) == strconv.FormatUint(uint64(t.Oid), 10)
		})
		if known {
			continue
		}
		r.emit(NewTablespace{Path: link})
		for _, it := range r.source.items {
			if it.ExternalDir == 0 && (it.Path == link || strings.HasPrefix(it.Path, link+"/")) {
				it.vanished = true
			}
		}
		if err := fsx.RemoveTree(ctx, r.deps.FS, path.Join(r.backup.DatabaseDir(), link)); err != nil {
			return fmt.Errorf("leave out new tablespace: %w", err)
		}
	}
	return nil
}
