package checker

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// files compares the list with what is stored: nothing missing, nothing
// foreign, sizes, modes, CRCs, and every page of data files.
func (c *check) files(b *backup) {
	listed := map[string]*entry{}
	for _, e := range b.entries {
		c.stats.Files++
		rel := filepath.Join(b.place(e.external), e.path)
		listed[rel] = e
		switch {
		case e.dir():
			c.mode(rel, true, 0o700)
		case e.size <= 0:
		case e.data:
			c.mode(rel, false, 0o600)
			c.dataFile(b, e, rel)
		default:
			c.mode(rel, false, os.FileMode(e.mode).Perm())
			c.plainFile(b, e, rel)
		}
	}
	roots := []string{b.place(0)}
	for n := range b.externals {
		roots = append(roots, b.place(n+1))
	}
	for _, root := range roots {
		c.mode(root, true, 0o700)
		err := filepath.WalkDir(c.abs(root), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(c.root, path)
			if err != nil || rel == root {
				return err
			}
			e := listed[rel]
			switch {
			case e == nil:
				c.bad(rel, "§1.1", "stored but not listed")
			case e.dir() != d.IsDir():
				c.bad(rel, "§4.1", "stored as %v, listed with mode %o", d.Type(), e.mode)
			case !d.IsDir() && e.size <= 0:
				c.bad(rel, "§4.3", "stored although its size is listed as %d", e.size)
			}
			return nil
		})
		if err != nil {
			c.bad(root, "§1.1", "%v", err)
		}
	}
}

// stored reads a file whose length the list gives.
func (c *check) stored(e *entry, rel string) ([]byte, bool) {
	data, ok := c.read(rel, "§12")
	if ok && int64(len(data)) != e.size {
		c.bad(rel, "§12", "has %d bytes, listed with %d", len(data), e.size)
		return nil, false
	}
	c.stats.Bytes += int64(len(data))
	return data, ok
}

func (c *check) plainFile(b *backup, e *entry, rel string) {
	if e.size > 1<<20 { // WAL, double-write and undo files; none of those with a form of their own
		c.bigFile(e, rel)
		return
	}
	data, ok := c.stored(e, rel)
	if !ok {
		return
	}
	if e.external == 0 && filepath.Base(e.path) == "pg_control" {
		c.controlFile(b, e, rel, data)
		return
	}
	if crc := crc32.Checksum(data, crcTable); crc != e.crc {
		c.bad(rel, "§5.4", "CRC32C is %d, listed with %d", crc, e.crc)
	}
	if e.external == 0 {
		switch e.path {
		case "database_map":
			c.lines(rel, "§8.3", data, databaseMapRE)
		case "tablespace_map":
			c.lines(rel, "§8.2", data, tablespaceMapRE)
			c.tablespaces(b, rel, data)
		case "backup_label":
			c.backupLabel(b, rel, data)
		}
	}
}

func (c *check) bigFile(e *entry, rel string) {
	f, err := os.Open(c.abs(rel))
	if err != nil {
		c.bad(rel, "§12", "%v", err)
		return
	}
	defer f.Close()
	hash := crc32.New(crcTable)
	n, err := io.CopyBuffer(hash, f, make([]byte, 1<<18))
	c.stats.Bytes += n
	switch {
	case err != nil:
		c.bad(rel, "§12", "%v", err)
	case n != e.size:
		c.bad(rel, "§12", "has %d bytes, listed with %d", n, e.size)
	case hash.Sum32() != e.crc:
		c.bad(rel, "§5.4", "CRC32C is %d, listed with %d", hash.Sum32(), e.crc)
	}
}

var (
	databaseMapRE   = regexp.MustCompile(`^(\{"dbOid":"[1-9][0-9]*", "datname":".+"\}\n)*$`)
	tablespaceMapRE = regexp.MustCompile(`^([1-9][0-9]* /.*\n)*$`)
	tablespaceRE    = regexp.MustCompile(`(?m)^([0-9]+) (.*)$`)
	labelRE         = regexp.MustCompile(`^START WAL LOCATION: (` + lsnRE + `) \(file [0-9A-F]{24}\)\nCHECKPOINT LOCATION: ` + lsnRE + `\nBACKUP METHOD: (pg_start_backup|streamed)\n` +
		`BACKUP FROM: (master|primary|standby)\nSTART TIME: .+\nLABEL: .* with pg_probackup\n(START TIMELINE: [0-9]+\n)?$`)
)

func (c *check) lines(rel, rule string, data []byte, re *regexp.Regexp) {
	if !re.Match(data) {
		c.bad(rel, rule, "has not the form %s", re)
	}
}

// tablespaces: each tablespace of the map must be in the list, with content
// unless the C tool wrote it. That of a relative tablespace is listed below
// pg_location (§7.7).
func (c *check) tablespaces(b *backup, rel string, data []byte) {
	for _, m := range tablespaceRE.FindAllSubmatch(data, -1) {
		dir, found, inside := "pg_tblspc/"+string(m[1]), false, false
		for _, e := range b.entries {
			parent := filepath.Dir(e.path)
			relative := strings.HasPrefix(parent, "pg_location/") && strings.HasSuffix(string(m[2]), "/"+parent)
			found = found || e.external == 0 && e.path == dir
			inside = inside || e.external == 0 && (parent == dir || relative)
		}
		if !found {
			c.bad(rel, "§8.2", "%s is not listed", dir)
		} else if !inside {
			c.foreign(rel, "§7.7", "%s is listed without content", dir)
		}
	}
}

func (c *check) backupLabel(b *backup, rel string, data []byte) {
	m := labelRE.FindSubmatch(data)
	if m == nil {
		c.bad(rel, "§8.1", "has not the form of a backup label: %q", data)
		return
	}
	if parseLSN(string(m[1])) != b.startLSN && b.values["merge-time"] == "" {
		c.bad(rel, "§8.1", "starts at %s, start-lsn is %s", m[1], b.values["start-lsn"])
	}
}

// controlFile checks pg_control: its own CRC, which is also the listed one, the
// minimum recovery point of a backup from a standby, and zeros after the data.
func (c *check) controlFile(b *backup, e *entry, rel string, data []byte) {
	if len(data) != 8192 {
		c.bad(rel, "§9.2", "has %d bytes, want 8192", len(data))
		return
	}
	at := controlCRCOffset(data, b.openGauss())
	if at == 0 {
		c.bad(rel, "§9.1", "no CRC of the control data found")
		return
	}
	if crc := binary.LittleEndian.Uint32(data[at:]); crc != e.crc {
		c.bad(rel, "§9.2", "holds crc %d, listed with %d", crc, e.crc)
	}
	end := (at + 4 + 7) &^ 7
	for i, x := range data[end:] {
		if x != 0 {
			c.foreign(rel, "§9.2", "byte %d after the control data is not zero", end+i)
			break
		}
	}
	b.systemID = binary.LittleEndian.Uint64(data)
	// C sets stop-lsn; the end of the record there is as good and safer.
	if got := binary.LittleEndian.Uint64(data[136:]); b.fromReplica && got < b.stopLSN {
		c.bad(rel, "§9.3", "minRecoveryPoint is %X/%X, before stop-lsn %s", got>>32, uint32(got), b.values["stop-lsn"])
	}
}

// controlCRCOffset finds where the control data ends. openGauss has one
// layout; PostgreSQL's differ by version, and the place is the one where the
// CRC of everything before it stands.
func controlCRCOffset(data []byte, openGauss bool) int {
	from, to := 200, 508
	if openGauss {
		from, to = 224, 224
	}
	for at := from; at <= to; at += 4 {
		if crc32.Checksum(data[:at], crcTable) == binary.LittleEndian.Uint32(data[at:]) {
			return at
		}
	}
	return 0
}

var segmentRE = regexp.MustCompile(`^[0-9A-F]{24}$`)

// counters recomputes the byte sums of the control file (§3.6).
func (c *check) counters(b *backup) {
	var data, wal, uncompressed int64
	var optional []int64 // may or may not be counted in uncompressed-bytes
	for _, e := range b.entries {
		switch {
		case e.dir():
			data += 4096
			uncompressed += 4096
		case e.size <= 0:
		case b.stream && e.external == 0 && segmentRE.MatchString(filepath.Base(e.path)):
			wal += e.size
		default:
			data += e.size
			switch {
			case e.data:
				uncompressed += e.nHeaders * 8192
			case e.external == 0 && e.path == "database_map":
				if b.values["merge-time"] != "" {
					uncompressed += e.size
				}
			case e.external == 0 && (e.path == "tablespace_map" || e.path == "backup_label") && (b.fromReplica || !b.openGauss()):
				optional = append(optional, e.size)
			default:
				uncompressed += e.size
			}
		}
	}
	rel := filepath.Join(b.dir, "backup.control")
	c.counter(rel, b, "data-bytes", data, nil)
	if b.stream {
		c.counter(rel, b, "wal-bytes", wal, nil)
	}
	c.counter(rel, b, "uncompressed-bytes", uncompressed, optional)
}

func (c *check) counter(rel string, b *backup, key string, want int64, optional []int64) {
	for set := range 1 << len(optional) {
		sum := want
		for i, size := range optional {
			if set&(1<<i) != 0 {
				sum += size
			}
		}
		if strconv.FormatInt(sum, 10) == b.values[key] {
			return
		}
	}
	c.bad(rel, "§3.6", "%s is %s, the list adds up to %d", key, b.values[key], want)
}
