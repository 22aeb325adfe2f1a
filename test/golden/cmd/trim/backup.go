package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// backup is one backup being cut.
type backup struct {
	*cut
	src, dst string

	list                    bytes.Buffer
	headers                 bytes.Buffer
	dirs                    []string
	files                   []storedFile
	data, wal, uncompressed int64
}

type storedFile struct {
	rel  string // to the backup directory
	mode int64
}

// lineRE has the parts of a list line that matter here (spec/formats.md §4.1).
var (
	lineRE   = regexp.MustCompile(`^\{"path":"([^"]*)", "size":"(-?\d+)", "mode":"(\d+)", "is_datafile":"([01])".* "external_dir_num":"(\d+)"`)
	regionRE = regexp.MustCompile(`"n_headers":"(\d+)".*"hdr_off":"(\d+)","hdr_size":"(\d+)"`)
	offsetRE = regexp.MustCompile(`"hdr_off":"\d+"`)
	walRE    = regexp.MustCompile(`(^|/)[0-9A-F]{24}$`)
)

func (b *backup) pack(p *packer) error {
	control, err := os.ReadFile(filepath.Join(b.src, "backup.control"))
	if err != nil {
		return err
	}
	if err := b.choose(); err != nil {
		return err
	}
	if control, err = b.recount(control); err != nil {
		return err
	}
	for _, dir := range append([]string{""}, b.dirs...) {
		if err := p.dir(path.Join(b.dst, dir)); err != nil {
			return err
		}
	}
	if err := p.file(b.dst+"/backup.control", 0o600, control); err != nil {
		return err
	}
	if err := p.file(b.dst+"/backup_content.control", 0o600, b.list.Bytes()); err != nil {
		return err
	}
	if b.headers.Len() > 0 {
		if err := p.file(b.dst+"/page_header_map", 0o600, b.headers.Bytes()); err != nil {
			return err
		}
	}
	for _, f := range b.files {
		content, err := os.ReadFile(filepath.Join(b.src, f.rel))
		if err != nil {
			return err
		}
		if err := p.file(path.Join(b.dst, f.rel), f.mode, content); err != nil {
			return err
		}
	}
	return nil
}

// choose fills the new list, the new header map and what goes with them.
func (b *backup) choose() error {
	text, err := os.ReadFile(filepath.Join(b.src, "backup_content.control"))
	if err != nil {
		return err
	}
	headerMap, err := os.ReadFile(filepath.Join(b.src, "page_header_map"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // no page has changed
		return err
	}
	b.dirs = []string{"database"}
	externals := map[string]bool{}
	for _, line := range strings.SplitAfter(string(text), "\n") {
		m := lineRE.FindStringSubmatch(line)
		if m == nil {
			if line != "" {
				return fmt.Errorf("unknown line %q", line)
			}
			continue
		}
		rel := "database/" + m[1]
		if m[5] != "0" {
			root := "external_directories/externaldir" + m[5]
			if !externals[root] {
				externals[root] = true
				b.dirs = append(b.dirs, "external_directories", root)
			}
			rel = root + "/" + m[1]
		}
		if err := b.line(line, m, rel, headerMap); err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) line(line string, m []string, rel string, headerMap []byte) error {
	size, _ := strconv.ParseInt(m[2], 10, 64)
	mode, _ := strconv.ParseInt(m[3], 10, 64)
	isDir := mode&0o170000 == 0o040000
	if !isDir && m[5] == "0" && !b.keep.MatchString(m[1]) {
		return nil
	}
	if size > 0 {
		_, err := os.Stat(filepath.Join(b.src, rel))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // not in the recording
		}
		if err != nil {
			return err
		}
	}
	uncompressed := size
	if r := regionRE.FindStringSubmatch(line); r != nil {
		n, _ := strconv.ParseInt(r[1], 10, 64)
		off, _ := strconv.Atoi(r[2])
		length, _ := strconv.Atoi(r[3])
		line = offsetRE.ReplaceAllString(line, fmt.Sprintf(`"hdr_off":"%d"`, b.headers.Len()))
		b.headers.Write(headerMap[off : off+length])
		uncompressed = n * 8192
	}
	b.list.WriteString(line)
	switch {
	case isDir:
		b.dirs = append(b.dirs, rel)
		b.data += 4096
		b.uncompressed += 4096
		return nil
	case size <= 0:
		return nil
	case m[5] == "0" && walRE.MatchString(m[1]):
		b.wal += size
	default:
		b.data += size
		if m[1] != "database_map" {
			b.uncompressed += uncompressed
		}
	}
	perm := mode & 0o777
	if m[4] == "1" {
		perm = 0o600
	}
	b.files = append(b.files, storedFile{rel, perm})
	return nil
}

// recount sets the sums of the control file (spec/formats.md §3.6, §3.7).
func (b *backup) recount(control []byte) ([]byte, error) {
	crc := crc32.Checksum(b.list.Bytes(), crc32.MakeTable(crc32.Castagnoli))
	for key, n := range map[string]int64{
		"data-bytes": b.data, "wal-bytes": b.wal, "uncompressed-bytes": b.uncompressed, "content-crc": int64(crc),
	} {
		re := regexp.MustCompile(`(?m)^` + key + ` = \d+$`)
		if len(re.FindAll(control, -1)) != 1 {
			return nil, fmt.Errorf("control file has no %s", key)
		}
		control = re.ReplaceAll(control, []byte(fmt.Sprintf("%s = %d", key, n)))
	}
	return control, nil
}
