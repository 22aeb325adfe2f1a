package backup

import (
	"path"
	"strings"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/pgdata"
)

// The list of a backup knows of the content of a file its CRC-32C only.

// alwaysStored names the files that an increment holds whatever the parent has.
//
//   - tablespace_map: a restore, C's too, reads it in the backup it restores.
//   - Files that hold a CRC-32C of themselves: the CRC-32C of all of such a
//     file is the same whatever is in it, so the list's CRC cannot tell that
//     it has changed. (PostgreSQL: all pg_filenode.map of a cluster have one
//     CRC.) Time alone is no proof: a file may change in the second in which
//     the parent was taken, clocks differ, and the parent's ID may be ahead of
//     the clock. They are small.
func alwaysStored(p string) bool {
	switch path.Base(p) {
	case "pg_filenode.map", "pg_filenode.map.backup":
		return true
	}
	switch dir, _, _ := strings.Cut(p, "/"); dir {
	case "pg_twophase", "pg_replslot", "pg_logical", "pg_llog":
		return true
	}
	return p == pgdata.TablespaceMapName || p == pgdata.ControlPath+".backup"
}

// settleTime is how long before the parent a file must have been left alone
// when its sum proves nothing: longer than clocks differ, and than the
// parent's ID can be ahead of them. In seconds.
const settleTime = 60

// settled is the latest time, in Unix seconds, at which a file may have been
// modified to be the one that the parent has, given that its sum is the same.
// The sum proves nothing when the file ends with it (global/pg_remain_segs)
// and in undo/, where each 512 bytes do (undo/undometa, which is too large to
// be stored each time); then time has to.
func (p *parent) settled(it *listed, sum uint32) int64 {
	at := int64(p.ID)
	if sum == crc32c.SelfSummed || it.ExternalDir == 0 && strings.HasPrefix(it.Path, "undo/") {
		at -= settleTime
	}
	return at
}
