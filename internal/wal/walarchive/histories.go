package walarchive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

// maxHistory bounds a timeline history file: a line is some 60 bytes.
const maxHistory = 1 << 20

// ReadLineage reads how the archived log came to a timeline. found is false
// when the archive has no history file for it: then nothing is known of its
// ancestors.
func ReadLineage(fsys fsx.FS, dir string, tli wal.Timeline) (l wal.Lineage, found bool, err error) {
	l.TLI = tli
	name := filepath.Join(dir, wal.HistoryName(tli))
	raw, err := readHistory(fsys, name, false)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = readHistory(fsys, name+gzSuffix, true)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return l, false, nil
	}
	if err != nil {
		return l, false, fmt.Errorf("read timeline history: %w", err)
	}
	if l.Ancestors, err = wal.ParseHistory(raw, tli); err != nil {
		return l, false, err
	}
	if len(l.Ancestors) == 0 {
		return l, false, fmt.Errorf("parse history of timeline %d: it names no earlier timeline", tli)
	}
	return l, true, nil
}

// gzSuffix is that of a file which the archive_command has packed with gzip,
// whatever kind it is of.
const gzSuffix = ".gz"

func readHistory(fsys fsx.FS, path string, packed bool) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	r := io.Reader(f)
	if packed {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", path, err)
		}
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxHistory))
	if err != nil && packed {
		err = fmt.Errorf("unpack %s: %w", path, err)
	}
	return raw, err
}

// Lineages reads all history files of the archive, highest timeline first. A
// file that cannot be read is reported through bad and left out.
func Lineages(fsys fsx.FS, dir string, bad func(error)) ([]wal.Lineage, error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list WAL archive: %w", err)
	}
	var all []wal.Lineage
	seen := map[wal.Timeline]bool{} // a file and its packed copy
	for _, e := range entries {
		tli, err := wal.ParseHistoryName(strings.TrimSuffix(e.Name(), gzSuffix))
		if err != nil || seen[tli] {
			continue
		}
		seen[tli] = true
		l, found, err := ReadLineage(fsys, dir, tli)
		switch {
		case err != nil:
			bad(err)
		case found:
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b wal.Lineage) int { return int(int64(b.TLI) - int64(a.TLI)) })
	return all, nil
}
