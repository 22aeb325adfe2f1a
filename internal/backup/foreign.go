package backup

import (
	"context"
	"slices"
	"strings"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/server"
)

// dropForeign leaves out what other nodes have in the directory of a
// tablespace. openGauss names its directory there after the node, so that
// nodes of one machine can use the same place. The server is asked only if
// there is a choice.
func (r *run) dropForeign(ctx context.Context, l *listing) error {
	og, ok := r.flavor.(server.OpenGauss)
	if !ok || !sharedTablespaces(l) {
		return nil
	}
	node, err := og.NodeName(ctx)
	if err != nil {
		return err
	}
	layout := r.layout
	layout.NodeName = node
	l.items = slices.DeleteFunc(l.items, func(it *listed) bool {
		version, ok := versionDir(it.Path)
		return ok && it.ExternalDir == 0 && layout.Dir(version).Action == pgdata.DirSkip
	})
	return nil
}

// sharedTablespaces tells whether a tablespace has directories of more than
// one node.
func sharedTablespaces(l *listing) bool {
	seen := map[string]string{} // tablespace -> first version directory
	for _, it := range l.items {
		version, ok := versionDir(it.Path)
		if !ok || it.ExternalDir != 0 {
			continue
		}
		spc := version[:strings.LastIndexByte(version, '/')]
		if first, ok := seen[spc]; ok && first != version {
			return true
		}
		seen[spc] = version
	}
	return false
}

// versionDir is the beginning of a path up to the version directory in a
// tablespace: pg_tblspc/<oid>/PG_….
func versionDir(p string) (string, bool) {
	rest, ok := strings.CutPrefix(p, tablespaceDir+"/")
	if !ok {
		return "", false
	}
	oid, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return "", false
	}
	version, _, _ := strings.Cut(rest, "/")
	return tablespaceDir + "/" + oid + "/" + version, true
}
