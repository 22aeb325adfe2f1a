package walarchive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

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
	name := wal.HistoryName(tli)
	f, err := fsys.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return l, false, nil
	}
	if err != nil {
		return l, false, fmt.Errorf("open timeline history: %w", err)
	}
	defer f.Close() // read only
	raw, err := io.ReadAll(io.LimitReader(f, maxHistory))
	if err != nil {
		return l, false, fmt.Errorf("read timeline history %s: %w", name, err)
	}
	if l.Ancestors, err = wal.ParseHistory(raw, tli); err != nil {
		return l, false, err
	}
	if len(l.Ancestors) == 0 {
		return l, false, fmt.Errorf("parse history of timeline %d: it names no earlier timeline", tli)
	}
	return l, true, nil
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
	for _, e := range entries {
		tli, err := wal.ParseHistoryName(e.Name())
		if err != nil {
			continue
		}
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
