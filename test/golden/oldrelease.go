package golden

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// Releases are the shapes a catalog has had, oldest first; the recordings are
// of 6.0 (spec/formats.md §3.1, §4.1, §5.2, and the writers in the sources of
// 1.1.0, 2.0.0, 3.0.0 and 5.0.0).
var Releases = []string{"1.1", "2.0", "3.0", "5.0"}

// AsRelease gives a catalog the shape in which an older release wrote it:
//
//	5.0  no s3-status group
//	3.0  nor the storage-type group; no file_type in lists
//	2.0  the same: its differences are elsewhere
//	1.1  checksum-version 0; page headers without checksums
func AsRelease(t testing.TB, m Machine, c Catalog, release string) {
	t.Helper()
	at := slices.Index(Releases, release)
	if at < 0 {
		t.Fatalf("no release %s", release)
	}
	for _, id := range c.Backups {
		dir := m.Path(c.BackupDir(id))
		var sum uint32
		rewrite(t, dir+"/backup_content.control", func(list []byte) []byte {
			if release == "1.1" {
				list = withoutChecksums(t, dir+"/page_header_map", list)
			}
			if release != "5.0" {
				list = bytes.ReplaceAll(list, []byte(`, "file_type":"0"`), nil)
			}
			sum = crc32.Checksum(list, crc32.MakeTable(crc32.Castagnoli))
			return list
		})
		rewrite(t, dir+"/backup.control", func(b []byte) []byte {
			group := "\n#Database Storage type\n"
			if release == "5.0" {
				group = "\n#S3 Storage status\n"
			}
			b, _, ok := bytes.Cut(b, []byte(group))
			if !ok {
				t.Fatalf("backup %s has no group %q", id, group)
			}
			if release == "1.1" {
				b = bytes.Replace(b, []byte("checksum-version = 1"), []byte("checksum-version = 0"), 1)
			}
			return regexp.MustCompile(`content-crc = \d+`).ReplaceAll(b, fmt.Appendf(nil, "content-crc = %d", sum))
		})
	}
}

func rewrite(t testing.TB, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var headerKeys = regexp.MustCompile(`"hdr_crc":"\d+","hdr_off":"(\d+)","hdr_size":"(\d+)"`)

// withoutChecksums makes the header map anew without page checksums, and
// returns the list with the new places.
func withoutChecksums(t testing.TB, name string, list []byte) []byte {
	t.Helper()
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	list = headerKeys.ReplaceAllFunc(list, func(keys []byte) []byte {
		f := headerKeys.FindSubmatch(keys)
		off, _ := strconv.Atoi(string(f[1])) // digits by the pattern
		size, _ := strconv.Atoi(string(f[2]))
		r, err := zlib.NewReader(bytes.NewReader(old[off : off+size]))
		if err != nil {
			t.Fatal(err)
		}
		array, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(array); at += 24 {
			clear(array[at+16 : at+18])
		}
		start := packed.Len()
		w, err := zlib.NewWriterLevel(&packed, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(array); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		crc := crc32.Checksum(array, crc32.MakeTable(crc32.Castagnoli))
		return fmt.Appendf(nil, `"hdr_crc":"%d","hdr_off":"%d","hdr_size":"%d"`, crc, start, packed.Len()-start)
	})
	if err := os.WriteFile(name, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return list
}
