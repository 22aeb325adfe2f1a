package backup

import (
	"strings"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/pgdata"
)

// The list of a backup knows of the content of a file its CRC-32C only.

// alwaysStored names the files that an increment holds whatever the parent has.
//
//   - tablespace_map: a restore, C's too, reads it in the backup it restores.
//   - Files that hold a CRC-32C of themselves. Time alone is no proof that
//     one has not changed: it may have done so in the second in which the
//     parent was taken, clocks differ, and the parent's ID may be ahead of the
//     clock. They are small.
func alwaysStored(p string) bool {
	return p == pgdata.TablespaceMapName || pgdata.HoldsOwnSum(p)
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
