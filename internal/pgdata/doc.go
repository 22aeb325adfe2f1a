// Package pgdata knows a data directory of either server family: openGauss
// (all releases) and PostgreSQL 12 to 18.
//
// It owns the page header and page checksum (page.go, checksum.go), the files
// of row-compressed relations (compressed.go, extent.go, pca.go), pg_control
// (control.go), the meaning of file names and what a backup leaves out
// (layout.go, classify.go), and the small text files backup_label,
// tablespace_map and postmaster.pid.
//
// It leaves opening, walking and writing files to internal/remote, page
// streams of a backup to internal/blockfile, and WAL to internal/wal. Apart
// from io.ReaderAt it works on bytes and names only.
package pgdata

import "strconv"

// Family is the kind of server a data directory belongs to.
type Family int

// The families. The zero value is openGauss, which the tool is for.
const (
	OpenGauss Family = iota
	PostgreSQL
)

func (f Family) String() string {
	switch f {
	case OpenGauss:
		return "openGauss"
	case PostgreSQL:
		return "PostgreSQL"
	}
	return "Family(" + strconv.Itoa(int(f)) + ")"
}

// Sizes that the catalog format fixes (spec/formats.md §5, §12): other block
// sizes cannot be stored in a catalog at all.
const (
	// BlockSize is the size of a page in bytes.
	BlockSize = 8192
	// DefaultRelSegBlocks is the number of blocks in a full 1 GiB segment
	// file of an ordinary relation; pg_control tells the real number.
	DefaultRelSegBlocks = 131072
	// CompressedSegBlocks is the number of logical blocks in a full
	// `_compress` file: 1016 extents of 128 blocks (spec/formats.md §7.8).
	CompressedSegBlocks = 130048
)
