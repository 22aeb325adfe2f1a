package pgdata

import (
	"strconv"
	"strings"
)

// Oids of the two built-in tablespaces.
const (
	DefaultTablespaceOid = 1663 // base/
	GlobalTablespaceOid  = 1664 // global/
)

// location is what the path of a directory says about the files in it.
type location struct {
	spc, db uint32
	// inTablespace: global, base or pg_tblspc/<oid>, or anything below.
	inTablespace bool
	// relations: relation files live directly in this directory.
	relations bool
	// tablespaceRoot is pg_tblspc/<oid>, version the component behind it.
	tablespaceRoot, version string
}

// locate reads a directory path:
//
//	global                              relations, tablespace 1664
//	base/<db>                           relations, tablespace 1663
//	pg_tblspc/<oid>/PG_<version>/<db>   relations, tablespace <oid>
func locate(dir string) location {
	first, rest, _ := strings.Cut(dir, "/")
	switch first {
	case "global":
		return location{spc: GlobalTablespaceOid, inTablespace: true, relations: rest == ""}
	case "base":
		loc := location{spc: DefaultTablespaceOid, inTablespace: true}
		loc.database(rest)
		return loc
	case "pg_tblspc":
		oid, rest, _ := strings.Cut(rest, "/")
		spc, ok := parseOid(oid)
		if !ok {
			return location{}
		}
		loc := location{spc: spc, inTablespace: true, tablespaceRoot: "pg_tblspc/" + oid}
		loc.version, rest, _ = strings.Cut(rest, "/")
		loc.database(rest)
		return loc
	}
	return location{}
}

func (loc *location) database(rest string) {
	name, below, _ := strings.Cut(rest, "/")
	if db, ok := parseOid(name); ok {
		loc.db, loc.relations = db, below == ""
	}
}

// relName is a parsed relation file name.
type relName struct {
	rel, segno uint32
	fork       Fork
}

// parseRelation reads <rel>[_<fork>][.<seg>] strictly: any other name is not a
// relation file and gets copied whole, which is never wrong.
func parseRelation(name string, openGauss bool) (relName, bool) {
	var r relName
	name, seg, hasSeg := strings.Cut(name, ".")
	digits, fork, hasFork := strings.Cut(name, "_")
	var ok bool
	if r.rel, ok = parseOid(digits); !ok {
		return relName{}, false
	}
	r.fork = ForkMain
	if hasFork {
		if r.fork = parseFork(fork, openGauss); r.fork == ForkNone {
			return relName{}, false
		}
	}
	if hasSeg {
		if r.segno, ok = parseOid(seg); !ok {
			return relName{}, false
		}
	}
	return r, true
}

func parseFork(s string, openGauss bool) Fork {
	switch s {
	case "fsm":
		return ForkFSM
	case "vm":
		return ForkVM
	case "init":
		return ForkInit
	case "bcm":
		if openGauss {
			return ForkBCM
		}
	}
	return ForkNone
}

// classifyRelation fills in what the name of a file in a directory of
// relations says.
func (l Layout) classifyRelation(c *FileClass, base string) {
	if base == "" || !isDigit(base[0]) {
		return
	}
	if r, ok := parseRelation(base, l.Family == OpenGauss); ok {
		if !segmentFits(r.segno, l.segBlocks()) {
			return // no relation is that large
		}
		c.Form, c.Rel, c.Fork, c.Segno = FormRelation, r.rel, r.fork, r.segno
		if c.Fork == ForkMain {
			c.Kind = KindData
		}
		if l.Family == OpenGauss && r.rel <= 5 && c.DBOid != 0 {
			c.Form = FormSegmentStorage
		}
		return
	}
	if l.Family == OpenGauss {
		classifyOpenGauss(c, base)
	}
}

// classifyOpenGauss knows the storage forms PostgreSQL does not have.
func classifyOpenGauss(c *FileClass, base string) {
	if i := strings.LastIndexByte(base, '_'); i > 0 {
		form := FormNone
		switch base[i:] {
		case "_compress":
			form = FormRelation
		case "_pca":
			form = FormPCA
		case "_pcd":
			form = FormPCD
		}
		if form != FormNone {
			r, ok := parseRelation(base[:i], true)
			if !ok || r.fork != ForkMain || !segmentFits(r.segno, CompressedSegBlocks) {
				return
			}
			c.Form, c.Rel, c.Segno, c.Fork = form, r.rel, r.segno, ForkMain
			if form == FormRelation {
				c.Kind = KindCompressed
			}
			return
		}
	}
	digits, rest, _ := strings.Cut(base, "_")
	rel, ok := parseOid(digits)
	if !ok || len(rest) < 2 || !isDigit(rest[1]) {
		return
	}
	switch rest[0] {
	case 'C':
		c.Form, c.Rel = FormColumnStore, rel
	case 'b':
		c.Form, c.Rel = FormBucket, rel
	}
}

// segmentFits tells whether block numbers of a segment stay below 2^32.
func segmentFits(segno, segBlocks uint32) bool {
	return uint64(segno)*uint64(segBlocks) < 1<<32
}

// parseOid reads a canonical decimal u32 greater than 0.
func parseOid(s string) (uint32, bool) {
	if s == "" || s[0] == '0' || !allDigits(s) {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 10, 32)
	return uint32(v), err == nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
