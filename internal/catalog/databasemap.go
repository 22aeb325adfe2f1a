package catalog

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Database is one line of database_map (spec/formats.md §8.3):
//
//	{"dbOid":"<u32>", "datname":"<name>"}
//
// Nothing is escaped. The C tool cannot read back a name with a quote; the
// reader here can, since the name ends at the end of the line.
type Database struct {
	OID  uint32
	Name string
}

// maxDatabaseLine is ample: a name has at most 63 bytes.
const maxDatabaseLine = 4096

// WriteDatabaseMap writes the databases but template0 and template1, in the
// order given. One with a line feed in its name is left out, so that a backup
// is possible and the map readable: a partial restore always restores it.
func WriteDatabaseMap(w io.Writer, dbs []Database) error {
	for _, db := range dbs {
		if db.Name == "template0" || db.Name == "template1" || strings.ContainsRune(db.Name, '\n') {
			continue
		}
		if _, err := fmt.Fprintf(w, "{\"dbOid\":\"%d\", \"datname\":\"%s\"}\n", db.OID, db.Name); err != nil {
			return fmt.Errorf("write database map: %w", err)
		}
	}
	return nil
}

// ReadDatabaseMap reads a whole database_map.
func ReadDatabaseMap(r io.Reader) ([]Database, error) {
	var dbs []Database
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxDatabaseLine)
	for sc.Scan() {
		line := sc.Text()
		rest, ok1 := strings.CutPrefix(line, `{"dbOid":"`)
		rest, ok2 := strings.CutSuffix(rest, `"}`)
		number, name, ok3 := strings.Cut(rest, `", "datname":"`)
		oid, err := strconv.ParseUint(number, 10, 32)
		if !ok1 || !ok2 || !ok3 || err != nil {
			return nil, fmt.Errorf("read database map: bad line %q", line)
		}
		dbs = append(dbs, Database{OID: uint32(oid), Name: name})
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read database map: %w", err)
	}
	return dbs, nil
}
