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
	page := make([]byte, pgdata.BlockSize)
	for at := firstExtent(path); ; at += pgdata.SegmentExtentPages {
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

// firstExtent is the page of a file at which its first extent begins.
func firstExtent(path string) int64 {
	if _, slice, later := strings.Cut(filepath.Base(path), "."); later && slice != "0" {
		return pgdata.FirstSegmentExtent % pgdata.SegmentExtentPages
	}
	return pgdata.FirstSegmentExtent
}

// inCompressedExtent tells whether what is at off is a piece of a compressed
// extent. Its blocks begin with the header of the page they were made of.
func inCompressedExtent(f fsx.File, path string, off int64) bool {
	page, first := off/pgdata.BlockSize, firstExtent(path)
	if !isSegmentStorage(path) || page < first {
		return false
	}
	last := page + pgdata.SegmentExtentPages - 1 - (page-first)%pgdata.SegmentExtentPages
	header := make([]byte, pgdata.BlockSize)
	_, err := f.ReadAt(header, last*pgdata.BlockSize)
	return err == nil && pgdata.IsExtentHeader(header)
}
