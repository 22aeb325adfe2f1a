package checker

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Models of the C tool's own readers, written from formats.md §2.3, §3.3 and
// §4.4: every release must find in our files what we put there.

// cReader is what differs between the releases.
type cReader struct {
	release string
	// unknown are keys of backup.control that it warns about and skips.
	unknown []string
	// fileType is mandatory in a list since 5.0.
	fileType bool
}

var cReaders = []cReader{
	{"1.1 to 3.x", []string{"storage-type", "s3-status"}, false},
	{"5.x", []string{"s3-status"}, true},
	{"6.0 and later", nil, true},
}

// scanC takes the value of a key from a line of the list as the C tool does: a
// scanner that knows quotes and commas, and no JSON. A key that is a proper
// prefix of the wanted one counts as it. ok is false where C ends with "invalid
// format".
func scanC(line, key string) (value string, found, ok bool) {
	i := 0
	for i < len(line) {
		if line[i] != '"' {
			if isLetter(line[i]) {
				return "", false, false
			}
			i++
			continue
		}
		i++
		k := 0
		for i < len(line) && k < len(key) && line[i] == key[k] {
			i, k = i+1, k+1
		}
		if i < len(line) && line[i] == '"' {
			return valueC(line[i+1:])
		}
		i++ // what does not match is passed over, even a comma
		for i < len(line) && line[i] != ',' {
			i++
		}
	}
	return "", false, true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func valueC(rest string) (value string, found, ok bool) {
	rest, okColon := strings.CutPrefix(rest, ":")
	rest, okQuote := strings.CutPrefix(rest, `"`)
	value, _, closed := strings.Cut(rest, `"`)
	if !okColon || !okQuote || !closed {
		return "", false, false
	}
	return value, true, true
}

// listAsC reads a line with each of the readers and compares.
func (c *check) listAsC(rel string, n int, line string, e *entry) {
	want := map[string]string{
		"path": e.path, "size": strconv.FormatInt(e.size, 10), "mode": strconv.FormatUint(uint64(e.mode), 10),
		"is_datafile": "0", "crc": strconv.FormatUint(uint64(e.crc), 10), "compress_alg": e.alg,
		"external_dir_num": strconv.Itoa(e.external), "dbOid": strconv.FormatUint(e.dbOid, 10), "file_type": "0",
	}
	if e.data {
		want["is_datafile"], want["segno"] = "1", strconv.FormatUint(e.segno, 10)
	}
	if e.hasBlocks {
		want["n_blocks"] = strconv.FormatInt(e.nBlocks, 10)
	}
	if e.hasHeader {
		want["n_headers"], want["hdr_crc"] = strconv.FormatInt(e.nHeaders, 10), strconv.FormatUint(uint64(e.hdrCRC), 10)
		want["hdr_off"], want["hdr_size"] = strconv.FormatInt(e.hdrOff, 10), strconv.FormatInt(e.hdrSize, 10)
	}
	if e.compressed {
		want["compressedFile"] = "1"
		want["compressedChunkSize"], want["compressedAlgorithm"] = strconv.FormatUint(e.chunkSize, 10), strconv.FormatUint(e.chunkAlg, 10)
	}
	for key, value := range want {
		got, found, ok := scanC(line, key)
		switch {
		case !ok:
			c.bad(rel, "§4.4", "line %d: C cannot read key %s", n, key)
		case !found && key == "file_type": // told by the form of the line
		case got != value:
			c.bad(rel, "§4.4", "line %d: C reads %q for %s", n, got, key)
		}
	}
}

// parseC reads a control file by §2.3: a buffer of 1024 bytes for a line,
// quotes doubled inside quotes.
func parseC(text []byte) (map[string]string, error) {
	values := map[string]string{}
	for n, line := range bytes.Split(text, []byte("\n")) {
		if len(line) >= 1023 {
			return nil, fmt.Errorf("line %d has %d bytes and is read in two", n+1, len(line))
		}
		s := strings.TrimRight(string(line), " \t\r\v\f")
		if s = strings.TrimLeft(s, " \t\v"); s == "" || s[0] == '#' {
			continue
		}
		end := strings.IndexAny(s, "=# \t\v")
		if end < 0 {
			return nil, fmt.Errorf("line %d has no =", n+1)
		}
		key := s[:end]
		s = strings.TrimLeft(s[end:], " \t")
		if s == "" || s[0] != '=' {
			return nil, fmt.Errorf("line %d has no =", n+1)
		}
		value, rest, err := valueOf(strings.TrimLeft(s[1:], " \t"))
		if err != nil || strings.TrimLeft(rest, " \t") != "" && strings.TrimLeft(rest, " \t")[0] != '#' {
			return nil, fmt.Errorf("line %d: syntax error", n+1)
		}
		values[strings.ReplaceAll(strings.ToLower(key), "_", "-")] = value
	}
	return values, nil
}

func valueOf(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, "'") {
		value, _, _ = strings.Cut(s, "#")
		return strings.TrimRight(value, " "), "", nil
	}
	var b strings.Builder
	for s = s[1:]; ; {
		before, after, closed := strings.Cut(s, "'")
		if !closed {
			return "", "", errors.New("no closing quote")
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, "'") {
			return b.String(), after, nil
		}
		b.WriteByte('\'')
		s = after[1:]
	}
}

// controlAsC reads the control file with each of the readers.
func (c *check) controlAsC(rel string, text []byte, b *backup) {
	values, err := parseC(text)
	if err != nil {
		c.bad(rel, "§2.3", "C cannot read it: %v", err)
		return
	}
	for key, value := range values {
		// What was read before keeps doubled quotes.
		if want := strings.ReplaceAll(b.values[key], "''", "'"); value != want {
			c.bad(rel, "§2.3", "C reads %q for %s, want %q", value, key, want)
		}
	}
	for _, r := range cReaders {
		known := map[string]bool{}
		for _, l := range controlLayout {
			known[l.key] = true
		}
		for _, key := range r.unknown {
			delete(known, key)
		}
		for key := range values {
			if !known[key] && !slices.Contains(r.unknown, key) {
				c.bad(rel, "§3.3", "%s does not know key %s", r.release, key)
			}
		}
		for _, key := range []string{"backup-mode", "status", "start-time"} {
			if values[key] == "" {
				c.bad(rel, "§3.3", "%s finds no %s", r.release, key)
			}
		}
		if r.fileType && values["storage-type"] == "" {
			c.foreign(rel, "§3.3", "%s finds no storage-type", r.release)
		}
	}
}
