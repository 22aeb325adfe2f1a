package contentlist

import "strings"

// pageSize is the size of a logical block in bytes.
const pageSize = 8192

// dirBytes is what a directory entry counts (spec/formats.md §3.6).
const dirBytes = 4096

// Counters are the byte counts of backup.control over a list.
type Counters struct {
	DataBytes         int64
	WALBytes          int64 // of WAL files in the list; meaningful for stream backups
	UncompressedBytes int64
}

// Add counts one entry. ownFile marks a file that the program itself wrote
// into the backup in this run, database_map and a replica's tablespace_map:
// the C tool leaves it out of the uncompressed size.
func (c *Counters) Add(e *Entry, ownFile bool) {
	switch {
	case e.IsDir():
		c.DataBytes += dirBytes
		c.UncompressedBytes += dirBytes
	case !e.IsRegular() || e.Size <= 0:
	case e.ExternalDir == 0 && isWALName(e.Path):
		c.WALBytes += e.Size
	default:
		c.DataBytes += e.Size
		switch {
		case ownFile:
		case e.IsDatafile && !e.IsCFS:
			c.UncompressedBytes += int64(e.NHeaders) * pageSize
		default:
			c.UncompressedBytes += e.Size
		}
	}
}

// isWALName tells whether the base name is a WAL segment's: 24 upper-case hex
// digits and nothing more, so that a .partial segment counts as data.
func isWALName(path string) bool {
	base := path[strings.LastIndexByte(path, '/')+1:]
	return len(base) == 24 && strings.Trim(base, "0123456789ABCDEF") == ""
}
