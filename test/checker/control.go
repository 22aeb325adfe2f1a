package checker

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// backup is what the checker knows of one backup directory.
type backup struct {
	dir                                      string
	values                                   map[string]string
	id, parent                               string
	status, mode, serverVersion, compressAlg string
	stream, fromReplica                      bool
	checksumVersion                          uint64
	startLSN, stopLSN                        uint64
	externals                                []string
	entries                                  []*entry
	blocks                                   map[string][]uint32 // stored block numbers of data files, ascending
	systemID                                 uint64              // from pg_control
}

func (b *backup) finished() bool {
	return b.status == "OK" || b.status == "DONE" || b.status == "ORPHAN"
}

const (
	timeRE = `'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d(?::\d\d)?'`
	lsnRE  = `(?:0|[1-9A-F][0-9A-F]{0,7})/(?:0|[1-9A-F][0-9A-F]{0,7})`
	numRE  = `(?:0|[1-9][0-9]*)`
)

// controlLine is one line of §3.1, in order.
type controlLine struct {
	key      string // or a heading starting with #, or "" for an empty line
	value    string // regular expression
	required bool
	newer    bool // absent in catalogs of older releases
}

var controlLayout = []controlLine{
	{"#Configuration", "", true, false},
	{"backup-mode", "FULL|PTRACK", true, false},
	{"stream", "true|false", true, false},
	{"compress-alg", "none|pglz|zlib|lz4|zstd", true, false},
	{"compress-level", "-?" + numRE, true, false},
	{"from-replica", "true|false", true, false},
	{"", "", true, false},
	{"#Compatibility", "", true, false},
	{"block-size", "8192", true, false},
	{"xlog-block-size", "8192", true, false},
	{"checksum-version", "[01]", true, false},
	{"program-version", `\d+\.\d+\.\d+`, true, false},
	{"server-version", `9\.2|1[2-9]`, false, false}, // not known when the login failed
	{"", "", true, false},
	{"#Result backup info", "", true, false},
	{"timelineid", numRE, true, false},
	{"start-lsn", lsnRE, true, false},
	{"stop-lsn", lsnRE, true, false},
	{"start-time", timeRE, true, false},
	{"merge-time", timeRE, false, false},
	{"end-time", timeRE, false, false},
	{"recovery-xid", numRE, true, false},
	{"recovery-time", timeRE, false, false},
	{"expire-time", timeRE, false, false},
	{"recovery-name", `'backup [0-9A-Z]+'`, false, false},
	{"merge-dest-id", `'[0-9A-Z]+'`, false, false},
	{"data-bytes", numRE, false, false},
	{"wal-bytes", numRE, false, false},
	{"uncompressed-bytes", numRE, false, false},
	{"pgdata-bytes", numRE, false, false},
	{"status", "UNKNOWN|OK|ERROR|RUNNING|MERGING|MERGED|DELETING|DELETED|DONE|ORPHAN|CORRUPT", true, false},
	{"parent-backup-id", `'[0-9A-Z]+'`, false, false},
	{"external-dirs", `.+`, false, false},
	{"note", `'.+'`, false, false},
	{"content-crc", `[1-9][0-9]*`, false, false},
	{"", "", true, true},
	{"#Database Storage type", "", true, true},
	{"storage-type", "FILE|DSS|UNKNOWN", true, true},
	{"", "", true, true},
	{"#S3 Storage status", "", true, true},
	{"s3-status", "LOCAL|S3|UNKNOWN", true, true},
}

// control checks backup.control line by line; nil when it is unusable.
func (c *check) control(dir string) *backup {
	rel := filepath.Join(dir, "backup.control")
	text, ok := c.read(rel, "§3")
	if !ok {
		return nil
	}
	b := &backup{dir: dir, values: map[string]string{}, blocks: map[string][]uint32{}}
	before := len(c.problems)
	c.controlLines(rel, string(text), b.values)
	if len(Errors(c.problems[before:])) > 0 && b.values["start-time"] == "" {
		return nil
	}
	c.controlValues(rel, b)
	if b.openGauss() {
		c.controlAsC(rel, text, b)
	}
	return b
}

func (c *check) controlLines(rel, text string, values map[string]string) {
	if !strings.HasSuffix(text, "\n") {
		c.bad(rel, "§3.1", "does not end with a line feed")
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	i := 0
	for _, want := range controlLayout {
		if i >= len(lines) {
			if want.newer {
				c.foreign(rel, "§3.1", "ends before %q", want.key)
				return
			}
			if want.required {
				c.bad(rel, "§3.1", "ends before %q", want.key)
				return
			}
			continue
		}
		line := lines[i]
		if want.key == "" || strings.HasPrefix(want.key, "#") {
			if line != want.key {
				c.bad(rel, "§3.1", "line %d is %q, want %q", i+1, line, want.key)
				return
			}
			i++
			continue
		}
		value, ok := strings.CutPrefix(line, want.key+" = ")
		switch {
		case !ok && want.required:
			c.bad(rel, "§3.1", "line %d is %q, want key %q", i+1, line, want.key)
			return
		case !ok:
			continue
		case !regexp.MustCompile("^(?:" + want.value + ")$").MatchString(value):
			c.bad(rel, "§3.1", "line %d: %q does not fit %s", i+1, line, want.value)
		case len(line) >= 1023:
			c.bad(rel, "§3.2", "line %d has %d bytes, the reader takes 1023", i+1, len(line))
		}
		values[want.key] = strings.Trim(value, "'")
		i++
	}
	if i < len(lines) {
		c.bad(rel, "§3.1", "line %d: unexpected %q", i+1, lines[i])
	}
}

func (c *check) controlValues(rel string, b *backup) {
	v := b.values
	b.status, b.mode, b.serverVersion, b.compressAlg = v["status"], v["backup-mode"], v["server-version"], v["compress-alg"]
	if b.finished() && b.serverVersion == "" {
		c.bad(rel, "§3.1", "server-version is missing")
	}
	b.stream, b.fromReplica = v["stream"] == "true", v["from-replica"] == "true"
	b.parent = v["parent-backup-id"]
	b.checksumVersion, _ = strconv.ParseUint(v["checksum-version"], 10, 32)
	b.startLSN, b.stopLSN = parseLSN(v["start-lsn"]), parseLSN(v["stop-lsn"])
	if e := v["external-dirs"]; e != "" {
		b.externals = strings.Split(e, ":")
	}
	start, ok := parseTime(v["start-time"])
	if !ok {
		c.bad(rel, "§3.1", "start-time %q is not a time", v["start-time"])
	}
	b.id = strings.ToUpper(strconv.FormatInt(start, 36))
	if name := filepath.Base(b.dir); b.dir != "." && name != b.id {
		c.bad(rel, "§1.3", "start-time makes ID %s, the directory is %s", b.id, name)
	}
	if p := v["program-version"]; p != "2.4.2" {
		c.foreign(rel, "§3.1", "program-version is %s, want 2.4.2", p)
	}
	if b.openGauss() && v["checksum-version"] != "1" {
		c.foreign(rel, "§3.1", "checksum-version is %s, want 1", v["checksum-version"])
	}
	if (b.mode == "PTRACK") != (b.parent != "") && b.status != "ERROR" {
		c.bad(rel, "§3.1", "backup-mode %s with parent-backup-id %q", b.mode, b.parent)
	}
	if !b.finished() {
		return
	}
	for _, key := range []string{"end-time", "recovery-time", "data-bytes", "uncompressed-bytes", "pgdata-bytes", "content-crc"} {
		if v[key] == "" {
			c.bad(rel, "§3.1", "finished backup has no %s", key)
		}
	}
	if b.stream && v["wal-bytes"] == "" {
		c.bad(rel, "§3.6", "stream backup has no wal-bytes")
	}
	if b.startLSN == 0 || b.stopLSN < b.startLSN {
		c.bad(rel, "§3.1", "start-lsn %s and stop-lsn %s make no range", v["start-lsn"], v["stop-lsn"])
	}
	if end, ok := parseTime(v["end-time"]); ok && end < start {
		c.bad(rel, "§3.1", "end-time lies before start-time")
	}
	if n := v["recovery-name"]; n == "" && b.openGauss() && !b.fromReplica {
		c.note(rel, "§3.1", "no recovery-name")
	} else if n != "" && n != "backup "+b.id && v["merge-time"] == "" {
		c.bad(rel, "§3.1", "recovery-name %q does not name backup %s", n, b.id)
	}
	if v["merge-dest-id"] != "" {
		c.bad(rel, "§3.5", "finished backup has merge-dest-id")
	}
}

func parseTime(text string) (int64, bool) {
	for _, layout := range []string{"2006-01-02 15:04:05-07", "2006-01-02 15:04:05-07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Unix(), true
		}
	}
	return 0, false
}

func parseLSN(text string) uint64 {
	hi, lo, _ := strings.Cut(text, "/")
	h, _ := strconv.ParseUint(hi, 16, 32) // the form was checked before
	l, _ := strconv.ParseUint(lo, 16, 32)
	return h<<32 | l
}
