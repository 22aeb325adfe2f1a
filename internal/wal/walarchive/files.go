package walarchive

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// Kind is what a file of the archive is (spec/formats.md §10.6).
type Kind int

// The kinds. Only a Segment counts as archived WAL.
const (
	Segment Kind = iota // NAME, NAME.gz
	Partial             // NAME.partial, NAME.gz.partial
	Temp                // NAME.part, NAME.gz.part: being written
	History             // NAME.XXXXXXXX.backup
)

// File is one file of the archive.
type File struct {
	Name       string // the whole file name
	Segment    string // its first 24 digits
	Kind       Kind
	Compressed bool
	Size       int64 // bytes on disk
}

// Files lists every file that belongs to a segment, in the order of names. A
// missing directory is an empty archive; other names are an UnexpectedFile.
func Files(fsys fsx.FS, dir string, sink event.Sink) ([]File, error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usererr.Wrap(err, `Cannot open directory "%s": %s`, dir, usererr.SystemText(err))
	}
	var files []File
	for _, e := range entries {
		f, ok := parseFile(e.Name())
		if !ok || !e.Type().IsRegular() {
			sink.Emit(UnexpectedFile{Name: e.Name()})
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // purged meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("inspect WAL archive: %w", err)
		}
		f.Size = info.Size()
		files = append(files, f)
	}
	return files, nil
}

// parseFile takes a file name apart.
func parseFile(name string) (File, bool) {
	const digits = 24
	if len(name) < digits || !wal.IsSegmentName(name[:digits]) {
		return File{}, false
	}
	f := File{Name: name, Segment: name[:digits]}
	suffix := name[digits:]
	if rest, ok := strings.CutPrefix(suffix, ".gz"); ok {
		f.Compressed, suffix = true, rest
	}
	switch suffix {
	case "":
		f.Kind = Segment
	case wal.PartialSuffix:
		f.Kind = Partial
	case ".part":
		f.Kind = Temp
	default:
		f.Kind = History
		offset, ok := strings.CutSuffix(suffix, ".backup")
		return f, ok && !f.Compressed && len(offset) == len(".00000028") && offset[0] == '.' &&
			strings.Trim(offset[1:], "0123456789ABCDEF") == ""
	}
	return f, true
}
