package pgdata

import (
	"strconv"
	"strings"
)

// Layout says what the names in a data directory mean and what a backup
// leaves out. Paths are relative to the data directory, with forward slashes,
// cleaned, without "./". Copy it and set fields freely; it holds no state.
type Layout struct {
	Family Family
	// Major is 9 for openGauss (it calls itself 9.2 everywhere), 12 to 18
	// for PostgreSQL.
	Major int
	// CatalogVersion (pg_control) and NodeName (openGauss's pgxc_node_name)
	// pick the cluster's own version directory inside a tablespace, which
	// several clusters may share. 0 and "" accept every version directory of
	// the family and major.
	CatalogVersion uint32
	NodeName       string
	// RelSegBlocks is the number of blocks in a full segment file, from
	// pg_control; 0 means DefaultRelSegBlocks.
	RelSegBlocks uint32

	// BackupLog keeps the content of LogDir (--backup-pg-log).
	BackupLog bool
	// LogDir is the server's log directory if it lies in the data directory;
	// "" means the family's usual one.
	LogDir string
	// ReplSlots keeps replication slots (--backup-pg-replslot), all of them
	// or, if KeepSlots is not nil, those named there (spec/formats.md §7.6).
	ReplSlots bool
	KeepSlots []string
	// NonExclusive says that backup_label and tablespace_map come from the
	// server's answer and those lying in the directory are not ours. Always
	// so for PostgreSQL.
	NonExclusive bool
	// EmptyDirs are further directories to list without content: relative
	// tablespaces (pg_location/…), which are backed up through pg_tblspc,
	// and tablespaces given as external directories.
	EmptyDirs []string
}

// NewLayout returns the layout of a family and major with nothing optional
// kept.
func NewLayout(f Family, major int) Layout {
	return Layout{Family: f, Major: major, RelSegBlocks: DefaultRelSegBlocks}
}

// WithControl fills in what pg_control knows.
func (l Layout) WithControl(c *Control) Layout {
	l.RelSegBlocks = c.RelSegBlocks
	l.CatalogVersion = c.CatalogVersion
	return l
}

// ServerVersion is what a catalog records as server-version.
func (l Layout) ServerVersion() string {
	if l.Family == OpenGauss {
		return "9.2"
	}
	return strconv.Itoa(l.Major)
}

// WALDir is the directory of WAL segments.
func (l Layout) WALDir() string {
	if l.Family == OpenGauss {
		return "pg_xlog"
	}
	return "pg_wal"
}

func (l Layout) logDir() string {
	switch {
	case l.LogDir != "":
		return strings.Trim(l.LogDir, "/")
	case l.Family == OpenGauss:
		return "pg_log"
	}
	return "log"
}

// AbsoluteBlock is the block number in the relation that a page's checksum
// covers: block is counted inside the file that c describes. Compressed
// relations have shorter segments (spec/formats.md §7.8, §14 row 2b).
func (l Layout) AbsoluteBlock(c FileClass, block uint32) uint32 {
	per := l.segBlocks()
	if c.Kind == KindCompressed {
		per = CompressedSegBlocks
	}
	return c.Segno*per + block
}

func (l Layout) segBlocks() uint32 {
	if l.RelSegBlocks == 0 {
		return DefaultRelSegBlocks
	}
	return l.RelSegBlocks
}

// DirAction is what to do with a directory.
type DirAction int

// The actions.
const (
	DirDescend DirAction = iota // list it and look inside
	DirEmpty                    // list it, leave its content out
	DirSkip                     // leave it out altogether
)

// DirRule is the answer of Layout.Dir.
type DirRule struct {
	Action DirAction
	// Reason says why content or directory are left out.
	Reason SkipReason
	// DBOid and TablespaceOid are those of the files below, 0 if none.
	DBOid, TablespaceOid uint32
}

// SkipReason says why something is not in the backup.
type SkipReason int

// The reasons. Only SkipHidden is worth a word to the user (C: WARNING `Skip
// hidden file: '%s'`).
const (
	NotSkipped    SkipReason = iota
	SkipHidden               // name starts with a dot
	SkipExcluded             // rebuilt or meaningless after a restore
	SkipTemporary            // temporary files and relations
	SkipForeign              // other clusters' part of a shared tablespace
	SkipUnlogged             // fork of an unlogged relation (InitForks)
)

// Dir tells what to do with the directory rel, assuming that its parents are
// descended into. The data directory itself is "".
func (l Layout) Dir(rel string) DirRule {
	loc := locate(rel)
	rule := DirRule{DBOid: loc.db, TablespaceOid: loc.spc}
	rule.Action, rule.Reason = l.dirAction(rel, loc)
	return rule
}

func (l Layout) dirAction(rel string, loc location) (DirAction, SkipReason) {
	base := rel[strings.LastIndexByte(rel, '/')+1:]
	switch {
	case strings.HasPrefix(base, "."):
		return DirSkip, SkipHidden
	case l.isEmptied(rel), rel == l.logDir() && !l.BackupLog:
		return DirEmpty, SkipExcluded
	case rel == "pg_replslot" && !l.ReplSlots:
		return DirEmpty, SkipExcluded
	case strings.HasPrefix(base, "pgsql_tmp"):
		// The server drops them at start. C lists base/pgsql_tmp of
		// openGauss as an empty directory; PostgreSQL's own base backup
		// leaves them out.
		if l.Family == PostgreSQL {
			return DirSkip, SkipTemporary
		}
		if loc.inTablespace && base == "pgsql_tmp" {
			return DirEmpty, SkipTemporary
		}
	case strings.HasPrefix(rel, "pg_replslot/") && l.KeepSlots != nil:
		if strings.Count(rel, "/") == 1 && !contains(l.KeepSlots, base) {
			return DirSkip, SkipExcluded
		}
	case loc.version != "" && loc.version == base && !l.isVersionDir(base):
		return DirSkip, SkipForeign
	case l.Family == PostgreSQL && strings.HasPrefix(rel, "pg_wal/"):
		// Kept so that the restored pg_wal is complete with its modes.
		if rel == "pg_wal/archive_status" || rel == "pg_wal/summaries" {
			return DirEmpty, SkipExcluded
		}
		return DirSkip, SkipExcluded
	}
	return DirDescend, NotSkipped
}

// ExtentMovesDir is where openGauss keeps extents of row-compressed relations
// while it puts their chunks in order. At its start the server writes what it
// finds there over the relations: over restored ones, whose extents have been
// copied in a sound state, it must find nothing.
const ExtentMovesDir = "global/pg_dw_ext_chunk"

// isEmptied has the directories whose content is rebuilt at server start
// (spec/formats.md §7.6; PostgreSQL: excludeDirContents of basebackup.c).
// pg_wal is descended into, because of its sub-directories.
func (l Layout) isEmptied(rel string) bool {
	switch rel {
	case "pg_stat_tmp", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans":
		return true
	case "pg_xlog", ExtentMovesDir:
		return l.Family == OpenGauss
	}
	return contains(l.EmptyDirs, rel)
}

// isVersionDir tells whether a name below pg_tblspc/<oid>/ is this cluster's
// directory: PG_<major>_<catalog version>, in openGauss followed by
// _<node name> unless storage is shared. The C tool compares without the node
// name and so loses every tablespace (spec/formats.md §7.7, §14 row 7).
func (l Layout) isVersionDir(name string) bool {
	rest, ok := strings.CutPrefix(name, "PG_"+l.ServerVersion()+"_")
	if !ok {
		return false
	}
	digits := rest
	if l.Family == OpenGauss {
		var node string
		var hasNode bool
		digits, node, hasNode = strings.Cut(rest, "_")
		if hasNode && (node == "" || l.NodeName != "" && node != l.NodeName) {
			return false
		}
	}
	v, ok := parseOid(digits)
	return ok && (l.CatalogVersion == 0 || v == l.CatalogVersion)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
