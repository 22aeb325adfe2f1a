package remote

import (
	"errors"
	"io"
	"path/filepath"
	"strings"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
)

// isSegmentStorage tells the files of segment-page storage that may hold
// compressed extents, by name: 3, 4 and 5 with their slices. Extents of one and
// eight pages (1, 2) are never compressed.
func isSegmentStorage(path string) bool {
	name, slice, _ := strings.Cut(filepath.Base(path), ".")
	return len(name) == 1 && name >= "3" && name <= "5" && strings.Trim(slice, "0123456789") == ""
}

// mixedInfo tells by Blocks, 1 or 0, whether a segment-page file of openGauss 7.0
// has compressed extents. Such a file has pages and extents of chunks side by side, and
// only the page at the end of an extent tells which it is.
func mixedInfo(f fsx.File, path string) (CompressedInfo, error) {
	info := CompressedInfo{Layout: pgdata.MixedOf7}
	_, slice, later := strings.Cut(filepath.Base(path), ".")
	first := pgdata.FirstSegmentExtent
	if later && slice != "0" {
		first %= pgdata.SegmentExtentPages
	}
	page := make([]byte, pgdata.BlockSize)
	for at := first; ; at += pgdata.SegmentExtentPages {
		_, err := f.ReadAt(page, (at+pgdata.SegmentExtentPages-1)*pgdata.BlockSize)
		if errors.Is(err, io.EOF) {
			return info, nil
		}
		if err != nil {
			return info, err
		}
		if pgdata.IsExtentHeader(page) {
			info.Blocks = 1
			return info, nil
		}
	}
}
