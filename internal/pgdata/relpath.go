package pgdata

import (
	"fmt"
	"strconv"
	"strings"
)

// RelationPath is the path of the first file of a relation's main fork in a
// PostgreSQL data directory, or of the directory of a database in a tablespace
// for relation 0.
func (l Layout) RelationPath(tablespace, database, relation uint32) string {
	var dir string
	switch tablespace {
	case GlobalTablespaceOid:
		dir = "global"
	case DefaultTablespaceOid:
		dir = fmt.Sprintf("base/%d", database)
	default:
		dir = fmt.Sprintf("pg_tblspc/%d/PG_%s_%d/%d", tablespace, l.ServerVersion(), l.CatalogVersion, database)
	}
	if relation == 0 {
		return dir
	}
	return fmt.Sprintf("%s/%d", dir, relation)
}

// RelationOf is the path of the first file of the relation that a data file
// belongs to, without the suffix of a row-compressed one: all segments of a
// relation have the same, which is also how openGauss names relations in its
// changed block maps (spec/server.md §2.3).
func RelationOf(path string, c FileClass) string {
	if c.Kind == KindCompressed {
		path = strings.TrimSuffix(path, "_compress")
	}
	if c.Segno > 0 {
		path = strings.TrimSuffix(path, "."+strconv.FormatUint(uint64(c.Segno), 10))
	}
	return path
}
