package checker

import (
	"hash/crc32"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// entry is one line of backup_content.control (§4.1).
type entry struct {
	path                           string
	size                           int64
	mode                           uint32
	data                           bool
	crc                            uint32
	alg                            string
	external                       int
	dbOid                          uint64
	segno                          uint64
	compressed                     bool
	chunkSize, chunkAlg            uint64
	nBlocks, nHeaders              int64
	hdrCRC                         uint32
	hdrOff, hdrSize                int64
	hasSegno, hasBlocks, hasHeader bool
}

func (e *entry) dir() bool     { return e.mode&0o170000 == 0o040000 }
func (e *entry) regular() bool { return e.mode&0o170000 == 0o100000 }

func (e *entry) key() string { return strconv.Itoa(e.external) + ":" + e.path }

// lineRE is the exact form of a line: order of keys, separators, quoting.
var lineRE = regexp.MustCompile(`^\{"path":"(.+?)", "size":"(-1|` + numRE + `)", "mode":"(` + numRE + `)", "is_datafile":"([01])", "is_cfs":"0", ` +
	`"crc":"(` + numRE + `)", "compress_alg":"(none|zlib|pglz|lz4|zstd)", "external_dir_num":"(` + numRE + `)", "dbOid":"(` + numRE + `)"(, "file_type":"0")?` +
	`(?:,"segno":"(` + numRE + `)")?(?:,"compressedFile":"1","compressedChunkSize":"(512|1024|2048|4096)","compressedAlgorithm":"([123])")?(?:,"linked":"[^"]+")?` +
	`(?:,"n_blocks":"([1-9][0-9]*)")?(?:,"n_headers":"([1-9][0-9]*)","hdr_crc":"(` + numRE + `)","hdr_off":"(` + numRE + `)","hdr_size":"([1-9][0-9]*)")?\}$`)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// list checks the content list and fills b.entries.
func (c *check) list(b *backup) {
	rel := filepath.Join(b.dir, "backup_content.control")
	text, ok := c.read(rel, "§4")
	if !ok {
		return
	}
	if got := strconv.FormatUint(uint64(crc32.Checksum(text, crcTable)), 10); got != b.values["content-crc"] {
		c.bad(rel, "§3.7", "CRC32C is %s, content-crc says %s", got, b.values["content-crc"])
	}
	body, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		c.bad(rel, "§4.1", "does not end with a line feed")
	}
	seen := map[string]bool{}
	for i, line := range strings.Split(body, "\n") {
		m := lineRE.FindStringSubmatch(line)
		if m == nil {
			c.bad(rel, "§4.1", "line %d has not the form of a list line: %s", i+1, line)
			continue
		}
		if m[9] == "" {
			c.foreign(rel, "§4.1", "line %d has no file_type", i+1)
		}
		if len(line)+1 >= 8192 || len(m[1]) >= 1024 {
			c.bad(rel, "§4.2", "line %d is too long for the reader", i+1)
		}
		e := c.entry(rel, i+1, m)
		if seen[e.key()] {
			c.bad(rel, "§4.1", "line %d: %s is listed twice", i+1, e.path)
		}
		seen[e.key()] = true
		b.entries = append(b.entries, e)
		c.entryRules(rel, b, e)
		if b.openGauss() && !badPathRE.MatchString(e.path) {
			c.listAsC(rel, i+1, line, e)
		}
	}
	for _, e := range b.entries {
		if up := filepath.Dir(e.path); up != "." && !seen[strconv.Itoa(e.external)+":"+up] {
			c.bad(rel, "§4.1", "%s is listed but not its directory", e.path)
		}
	}
	for _, must := range []string{"PG_VERSION", "global", "base", "global/pg_control", "backup_label"} {
		if !seen["0:"+must] {
			c.bad(rel, "§12", "%s is not listed", must)
		}
	}
}

func (c *check) entry(rel string, line int, m []string) *entry {
	num := func(text string, bits int) uint64 {
		if text == "" {
			return 0
		}
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			c.bad(rel, "§4.1", "line %d: %v", line, err)
		}
		return n
	}
	e := &entry{
		path: m[1], mode: uint32(num(m[3], 32)), data: m[4] == "1", crc: uint32(num(m[5], 32)), alg: m[6],
		external: int(num(m[7], 16)), dbOid: num(m[8], 32), segno: num(m[10], 31), hasSegno: m[10] != "",
		compressed: m[11] != "", chunkSize: num(m[11], 16), chunkAlg: num(m[12], 8),
		nBlocks: int64(num(m[13], 31)), hasBlocks: m[13] != "",
		nHeaders: int64(num(m[14], 31)), hasHeader: m[14] != "",
		hdrCRC: uint32(num(m[15], 32)), hdrOff: int64(num(m[16], 63)), hdrSize: int64(num(m[17], 31)),
	}
	if m[2] == "-1" {
		e.size = -1
	} else {
		e.size = int64(num(m[2], 63))
	}
	return e
}

var (
	relationRE = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?(_compress)?$`)
	forkRE     = regexp.MustCompile(`^[0-9]+_(fsm|vm|init)(\.[0-9]+)?$`)
	badPathRE  = regexp.MustCompile(`"|,[^"]*[A-Za-z]`)
)

// entryRules checks one line against the rules that need no file (§4.1, §4.3).
func (c *check) entryRules(rel string, b *backup, e *entry) {
	bad := func(rule, format string, args ...any) { c.bad(rel, rule, e.path+": "+format, args...) }
	if e.path != filepath.Clean(e.path) || strings.HasPrefix(e.path, "/") || strings.HasPrefix(e.path, "..") {
		bad("§4.1", "path is not relative and clean")
	}
	if badPathRE.MatchString(e.path) {
		c.note(rel, "§4.4", "%s: the C tool cannot read this line", e.path)
	}
	if e.external > len(b.externals) {
		bad("§8.5", "external_dir_num %d, but %d external directories", e.external, len(b.externals))
	}
	if want := dbOid(e); e.dbOid != want {
		bad("§7.5", "dbOid %d, want %d", e.dbOid, want)
	}
	name := filepath.Base(e.path)
	m := relationRE.FindStringSubmatch(name)
	relation := m != nil && e.regular() && e.external == 0 && inTablespace(e.path)
	fork := !b.openGauss() && forkRE.MatchString(name)
	// Segment-page files with compressed extents of 7.0 are copied whole
	// (docs/deviations.md).
	segment := b.openGauss() && relation && len(m[1]) == 1 && m[1] >= "3" && m[1] <= "5"
	if e.data != relation && !(e.data && fork) && !segment {
		bad("§7.5", "is_datafile %v, the name says %v", e.data, relation)
	}
	switch {
	case e.dir():
		if e.size != 0 || e.crc != 0 || e.alg != "none" || e.data || e.hasBlocks || e.hasHeader || e.hasSegno {
			bad("§4.3", "a directory has only path and mode")
		}
	case !e.regular():
		bad("§4.1", "mode %o is neither file nor directory", e.mode)
	case e.data:
		c.dataEntryRules(b, e, m, bad)
	default:
		if e.alg != "none" || e.hasSegno || e.compressed || e.hasBlocks || e.hasHeader {
			bad("§4.1", "keys of data files on a non-data file")
		}
		if e.size == 0 && e.crc != 0 {
			bad("§4.3", "empty file with crc %d", e.crc)
		}
	}
	if e.size == -1 && b.mode == "FULL" {
		bad("§12", "size -1 in a FULL backup")
	}
}

func (c *check) dataEntryRules(b *backup, e *entry, m []string, bad func(rule, format string, args ...any)) {
	if !e.hasSegno {
		bad("§4.1", "data file without segno")
	}
	if m != nil {
		if segno, _ := strconv.ParseUint("0"+m[2], 10, 32); e.segno != segno {
			bad("§4.1", "segno %d, the name says %d", e.segno, segno)
		}
		if (m[3] != "") != e.compressed {
			bad("§4.1", "compressedFile keys: %v", e.compressed)
		}
	}
	want := "none"
	if e.size > 0 {
		want = b.compressAlg
		if e.compressed && want == "none" {
			want = "pglz"
		}
	}
	if e.alg != want && b.values["merge-time"] == "" {
		bad("§4.1", "compress_alg %s, want %s", e.alg, want)
	}
	if (e.size > 0) != e.hasHeader {
		bad("§5.2", "size %d, n_headers %d", e.size, e.nHeaders)
	}
	if e.size <= 0 && e.crc != 0 {
		bad("§4.3", "nothing stored, crc %d", e.crc)
	}
	if e.size == 0 && e.hasBlocks {
		bad("§5.1", "size 0 with n_blocks %d", e.nBlocks)
	}
	if b.mode == "FULL" && e.nHeaders != e.nBlocks {
		bad("§13 (5)", "n_headers %d, n_blocks %d in a FULL backup", e.nHeaders, e.nBlocks)
	}
}

func inTablespace(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first == "base" || first == "global" || first == "pg_tblspc"
}

// dbOid parses base/<n>… and pg_tblspc/<oid>/<version>/<n>….
func dbOid(e *entry) uint64 {
	parts := strings.Split(e.path, "/")
	text := ""
	switch {
	case e.external != 0:
	case parts[0] == "base" && len(parts) > 1:
		text = parts[1]
	case parts[0] == "pg_tblspc" && len(parts) > 3:
		text = parts[3]
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return n
}
