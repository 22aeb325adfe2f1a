package pgdata

import (
	"path"
	"strconv"
	"strings"

	"gsprobackup/internal/usererr"
)

// Tablespace is one line of tablespace_map: the link pg_tblspc/<Oid> and where
// it points to.
type Tablespace struct {
	Oid  uint32
	Path string // absolute, cleaned
}

// ParseTablespaceMap reads a tablespace_map (spec/formats.md §8.2). name is
// the file's name for the C tool's error text. It takes whatever the C tool
// takes (blanks before and between the fields, empty lines and repeated
// slashes), and paths with blanks, which the C tool cuts off.
func (l Layout) ParseTablespaceMap(b []byte, name string) ([]Tablespace, error) {
	var list []Tablespace
	for len(b) > 0 {
		var line string
		line, b = l.mapLine(b)
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			continue
		}
		digits, target := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			digits, target = line[:i], strings.TrimLeft(line[i:], " \t")
		}
		oid, ok := parseOid(digits)
		if !ok || target == "" {
			return nil, usererr.New(`invalid format found in "%s"`, name)
		}
		list = append(list, Tablespace{Oid: oid, Path: path.Clean(target)})
	}
	return list, nil
}

// mapLine takes one line off b and undoes the escapes. PostgreSQL 14 and newer
// put a backslash before line feed, carriage return and backslash; older ones
// and openGauss's reader know it before the first two only.
func (l Layout) mapLine(b []byte) (line string, rest []byte) {
	var s strings.Builder
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\n' || c == '\r':
			return s.String(), b[i+1:]
		case c == '\\' && i+1 < len(b) && (isNewline(b[i+1]) || l.escapesBackslash()):
			i++
			s.WriteByte(b[i])
		default:
			s.WriteByte(c)
		}
	}
	return s.String(), nil
}

// FormatTablespaceMap writes the list in its order, the way the server does.
func (l Layout) FormatTablespaceMap(list []Tablespace) []byte {
	var out []byte
	for _, t := range list {
		out = strconv.AppendUint(out, uint64(t.Oid), 10)
		out = append(out, ' ')
		for i := range len(t.Path) {
			if c := t.Path[i]; isNewline(c) || c == '\\' && l.escapesBackslash() {
				out = append(out, '\\')
			}
			out = append(out, t.Path[i])
		}
		out = append(out, '\n')
	}
	return out
}

func (l Layout) escapesBackslash() bool { return l.Family == PostgreSQL && l.Major >= 14 }

func isNewline(c byte) bool { return c == '\n' || c == '\r' }
