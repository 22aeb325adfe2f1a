package pgdata

import (
	"path"
	"strings"
)

// HoldsOwnSum tells whether a file of the data directory may hold a CRC-32C of
// itself. The CRC-32C of all of such a file is the same whatever is in it, so
// that it cannot tell one content from another. (PostgreSQL: all
// pg_filenode.map of a cluster have one CRC.) They are small files; undo/,
// where each 512 bytes are so, is not among them.
func HoldsOwnSum(rel string) bool {
	switch path.Base(rel) {
	case "pg_filenode.map", "pg_filenode.map.backup":
		return true
	}
	switch dir, _, _ := strings.Cut(rel, "/"); dir {
	case "pg_twophase", "pg_replslot", "pg_logical", "pg_llog":
		return true
	}
	return rel == ControlPath+".backup"
}
