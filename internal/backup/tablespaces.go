package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// tablespaceDir holds one symbolic link for each user tablespace.
const tablespaceDir = "pg_tblspc"

// placeTablespaces decides by which of its paths a tablespace is saved when it
// has more than one. Saved twice it would be restored twice.
//
//   - Its location is given with -E: as external directory, the only way the
//     C tool knows, so that its restore works.
//   - It lies inside the data directory: openGauss's relative tablespaces are
//     saved where they lie (pg_location/…), as C does; PostgreSQL's are saved
//     below pg_tblspc, as the server's own base backup does.
//
// All others are saved below pg_tblspc/<oid>.
func (r *run) placeTablespaces(ctx context.Context) error {
	root := path.Join(r.opts.PGData, tablespaceDir)
	req := remote.ListRequest{Root: root}
	err := r.deps.Host.List(ctx, req, func(fi remote.FileInfo) error {
		if fi.Kind != remote.KindSymlink {
			return nil
		}
		target, err := r.deps.Host.Readlink(ctx, path.Join(root, fi.Path))
		if err != nil {
			return err
		}
		target = path.Clean(target)
		link := path.Join(tablespaceDir, fi.Path)
		switch {
		case slices.Contains(r.opts.ExternalDirs, target):
			r.layout.EmptyDirs = append(r.layout.EmptyDirs, link)
		case inside(target, r.opts.PGData) && r.layout.Family == pgdata.OpenGauss:
			r.layout.EmptyDirs = append(r.layout.EmptyDirs, link)
		case inside(target, r.opts.PGData):
			r.layout.EmptyDirs = append(r.layout.EmptyDirs, target[len(path.Clean(r.opts.PGData))+1:])
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list tablespaces: %w", err)
	}
	return nil
}
