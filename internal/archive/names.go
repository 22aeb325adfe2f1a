package archive

import (
	"strings"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// kind is what the server calls a file.
type kind int

const (
	segment     kind = iota // 24 digits
	partial                 // 24 digits.partial: the end of an abandoned timeline
	history                 // 8 digits.history
	backupLabel             // 24 digits.8 digits.backup
)

// kindOf tells the kind of a name that the server gives for %f. Other names are
// refused: they end up in paths.
func kindOf(name string) (kind, error) {
	const digits = 24
	switch {
	case wal.IsSegmentName(name):
		return segment, nil
	case len(name) > digits && wal.IsSegmentName(name[:digits]):
		rest := name[digits:]
		if rest == wal.PartialSuffix {
			return partial, nil
		}
		offset, ok := strings.CutSuffix(rest, ".backup")
		if ok && len(offset) == 9 && offset[0] == '.' && strings.Trim(offset[1:], "0123456789ABCDEF") == "" {
			return backupLabel, nil
		}
	}
	if _, err := wal.ParseHistoryName(name); err == nil {
		return history, nil
	}
	return 0, usererr.New("\"%s\" is not the name of a WAL file", name)
}

// isWAL tells whether files of the kind hold WAL pages.
func (k kind) isWAL() bool { return k == segment || k == partial }

const (
	gzSuffix   = ".gz"
	partSuffix = ".part"
)
