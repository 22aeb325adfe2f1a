package pgdata

import "strings"

// FileKind is how a backup treats a regular file.
type FileKind int

// The kinds.
const (
	// KindOther is copied whole.
	KindOther FileKind = iota
	// KindData consists of pages: is_datafile 1.
	KindData
	// KindCompressed is a row-compressed relation, `<rel>[.<seg>]_compress`:
	// is_datafile 1 with the compressed keys.
	KindCompressed
	// KindSkip is not in the backup.
	KindSkip
)

// Fork is a relation's fork. Only main forks are data files in a catalog;
// the others are copied whole, as C does.
type Fork int

// The forks. openGauss alone has bcm.
const (
	ForkNone Fork = iota // not a relation file
	ForkMain
	ForkFSM
	ForkVM
	ForkBCM
	ForkInit
)

// Form is what kind of storage a file name stands for, finer than FileKind.
type Form int

// The forms; all but FormRelation and FormControl are openGauss only
// (spec/formats.md §7.5).
const (
	FormNone           Form = iota
	FormRelation            // <rel>[_<fork>][.<seg>]
	FormSegmentStorage      // base/<db>/1 … 5[_<fork>][.<slice>]
	FormColumnStore         // <rel>_C<col>[_bcm][.<n>]
	FormBucket              // <rel>_b<bucket>…
	FormPCA                 // <rel>[.<seg>]_pca, row compression of 3.x: addresses
	FormPCD                 // <rel>[.<seg>]_pcd: chunks
	FormUndo                // below undo/
	FormDoubleWrite         // global/pg_dw*
	FormControl             // global/pg_control
)

// FileClass is what a file name says about a regular file.
type FileClass struct {
	Kind FileKind
	Fork Fork
	Form Form
	// Segno is the segment number in the name, 0 for the first segment.
	Segno uint32
	// Rel is the relfilenode, 0 if the file is not a relation's.
	Rel uint32
	// DBOid is 0 outside of a database; TablespaceOid is 1663 below base,
	// 1664 below global and 0 outside of tablespaces.
	DBOid, TablespaceOid uint32
	// Reason is set for KindSkip.
	Reason SkipReason
}

// Classify tells what the regular file rel is. A file in a directory that Dir
// leaves out or empties is KindSkip.
func (l Layout) Classify(rel string) FileClass {
	slash := strings.LastIndexByte(rel, '/')
	base := rel[slash+1:]
	dir := ""
	if slash >= 0 {
		dir = rel[:slash]
	}
	for i := 0; i < len(dir); i++ {
		if dir[i] == '/' {
			if r := l.Dir(dir[:i]); r.Action != DirDescend {
				return FileClass{Kind: KindSkip, Reason: r.Reason}
			}
		}
	}
	rule := l.Dir(dir)
	if dir != "" && rule.Action != DirDescend {
		return FileClass{Kind: KindSkip, Reason: rule.Reason}
	}
	c := FileClass{DBOid: rule.DBOid, TablespaceOid: rule.TablespaceOid}
	loc := locate(dir)
	if reason := l.skipFile(dir, base, loc); reason != NotSkipped {
		c.Kind, c.Reason = KindSkip, reason
		return c
	}
	switch {
	case loc.relations:
		l.classifyRelation(&c, base)
		if c.Form == FormNone && dir == "global" {
			c.Form = globalForm(base)
		}
	case l.Family == OpenGauss && (dir == "undo" || strings.HasPrefix(dir, "undo/")):
		c.Form = FormUndo
	}
	return c
}

func globalForm(base string) Form {
	switch {
	case base == "pg_control":
		return FormControl
	case strings.HasPrefix(base, "pg_dw"):
		return FormDoubleWrite
	}
	return FormNone
}

// skipFile has the files left out by name (spec/formats.md §7.5, §7.6;
// PostgreSQL: excludeFiles of basebackup.c, which compares base names at any
// depth; here only where the name means what it says).
func (l Layout) skipFile(dir, base string, loc location) SkipReason {
	switch {
	case strings.HasPrefix(base, "."):
		return SkipHidden
	case dir == "" && l.isExcludedFile(base):
		return SkipExcluded
	case l.Family == PostgreSQL && dir == "pg_wal":
		return SkipExcluded
	case strings.HasPrefix(base, "pgsql_tmp") && (l.Family == PostgreSQL || loc.inTablespace):
		return SkipTemporary
	case dir != "" && dir == loc.tablespaceRoot:
		// Beside the version directories of a shared tablespace location
		// nothing belongs to this cluster.
		return SkipForeign
	case loc.inTablespace && strings.HasPrefix(base, "pg_internal.init"):
		return SkipExcluded
	case base == "ptrack_init", loc.inTablespace && isPtrackMap(base):
		return SkipExcluded
	case l.isTempRelation(base, loc):
		return SkipTemporary
	}
	return NotSkipped
}

func (l Layout) isExcludedFile(base string) bool {
	switch base {
	case "postgresql.auto.conf.tmp", "current_logfiles.tmp", "recovery.conf",
		"postmaster.pid", "postmaster.opts", "probackup_recovery.conf",
		"recovery.signal", "standby.signal",
		DatabaseMapName: // the backup's own gets this name
		return true
	case "backup_label", "tablespace_map":
		return l.NonExclusive || l.Family == PostgreSQL
	case "backup_manifest":
		return l.Family == PostgreSQL
	}
	return false
}

func isPtrackMap(base string) bool {
	return base == "ptrack.map" || base == "ptrack.map.mmap" || base == "ptrack.map.tmp"
}

// isTempRelation knows t<backend>_<rel>[_<fork>][.<seg>]. For openGauss the C
// tool's wider rule counts: t and a digit. PostgreSQL has none outside of
// databases.
func (l Layout) isTempRelation(base string, loc location) bool {
	if len(base) < 2 || base[0] != 't' || !isDigit(base[1]) {
		return false
	}
	if l.Family == OpenGauss {
		return loc.inTablespace
	}
	backend, rest, ok := strings.Cut(base[1:], "_")
	if !ok || !loc.relations || loc.db == 0 || !allDigits(backend) {
		return false
	}
	_, ok = parseRelation(rest, false)
	return ok
}

// InitForks finds the relations of a data directory that are unlogged: those
// with an init fork. After a restore the server makes them anew from it, so a
// PostgreSQL backup keeps the init fork only, as the server's own base backup
// does. openGauss backups keep everything like the C tool (spec/formats.md §14
// row 8). Fill it with a whole listing, then ask.
type InitForks struct {
	drop bool
	set  map[relKey]struct{}
}

type relKey struct {
	dir string
	rel uint32
}

// NewInitForks returns an empty set for a layout.
func NewInitForks(l Layout) *InitForks {
	return &InitForks{drop: l.Family == PostgreSQL, set: map[relKey]struct{}{}}
}

// Add takes note of a listed file.
func (s *InitForks) Add(rel string, c FileClass) {
	if c.Fork == ForkInit && c.Segno == 0 && c.Kind != KindSkip {
		s.set[relKey{dirOf(rel), c.Rel}] = struct{}{}
	}
}

// Drops tells whether a listed file is to be left out (SkipUnlogged).
func (s *InitForks) Drops(rel string, c FileClass) bool { return s.drop && s.Unlogged(rel, c) }

// Unlogged tells whether a file is another fork of a relation in the set.
func (s *InitForks) Unlogged(rel string, c FileClass) bool {
	if c.Fork == ForkNone || c.Fork == ForkInit {
		return false
	}
	_, ok := s.set[relKey{dirOf(rel), c.Rel}]
	return ok
}

func dirOf(rel string) string {
	return rel[:max(strings.LastIndexByte(rel, '/'), 0)]
}
