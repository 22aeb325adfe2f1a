package restore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// member is one backup of the chain, opened for reading.
type member struct {
	fs        fsx.FS
	backup    *catalog.Backup
	entries   []contentlist.Entry
	byPath    map[fileKey]int32 // nil if it is not needed
	headerMap fsx.File          // nil if it has none
}

// fileKey names a file across the backups of a chain.
type fileKey struct {
	externalDir int
	path        string
}

func keyOf(e *contentlist.Entry) fileKey { return fileKey{e.ExternalDir, e.Path} }

func openMember(fsys fsx.FS, b *catalog.Backup, index bool) (*member, error) {
	m := &member{fs: fsys, backup: b}
	f, err := fsys.Open(b.ContentPath())
	if err != nil {
		return nil, usererr.Wrap(err, "Failed to get file list for backup %s", b.ID)
	}
	defer f.Close() // read only
	var crc uint32
	m.entries, crc, err = contentlist.ReadAll(f, 0)
	if err == nil && b.ContentCRC != 0 && crc != b.ContentCRC {
		err = fmt.Errorf("CRC of the list is %d, want %d", crc, b.ContentCRC)
	}
	if err != nil {
		return nil, usererr.Wrap(err, "Failed to get file list for backup %s", b.ID)
	}
	if index {
		m.byPath = make(map[fileKey]int32, len(m.entries))
		for i := range m.entries {
			e := &m.entries[i]
			if e.IsRegular() {
				m.byPath[keyOf(e)] = int32(i)
			}
		}
	}
	m.headerMap, err = fsys.Open(b.HeaderMapPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open page header map: %w", err)
	}
	return m, nil
}

func (m *member) close() error {
	if m.headerMap == nil {
		return nil
	}
	return m.headerMap.Close()
}

// find returns the entry of a file, nil if the backup does not list it.
func (m *member) find(e *contentlist.Entry) *contentlist.Entry {
	i, ok := m.byPath[keyOf(e)]
	if !ok {
		return nil
	}
	return &m.entries[i]
}

// stored is where an entry's bytes lie.
func (m *member) stored(e *contentlist.Entry) string {
	return path.Join(m.backup.EntryDir(e.ExternalDir), e.Path)
}

// headers reads the page headers of a stored data file; nil when the file has
// none and its frames must be read in order.
func (m *member) headers(e *contentlist.Entry) (headers []blockfile.Header, err error) {
	if e.NHeaders <= 0 {
		return nil, nil
	}
	var total int64
	if m.headerMap == nil {
		err = errors.New("the backup has no header map")
	} else {
		ref := blockfile.MapRef{N: e.NHeaders, CRC: e.HdrCRC, Off: e.HdrOff, Size: int32(e.HdrSize)}
		headers, total, err = blockfile.ReadHeaders(m.headerMap, ref)
	}
	if err == nil && total != e.Size {
		err = fmt.Errorf("header map says %d bytes, list says %d", total, e.Size)
	}
	if err != nil {
		return nil, usererr.Wrap(err, "Failed to get page headers for file \"%s\"", m.stored(e))
	}
	return headers, nil
}

// scanHeaders finds the frames of a stored file by reading through it.
func scanHeaders(src io.Reader) ([]blockfile.Header, int64, error) {
	r := blockfile.NewReader(src)
	var headers []blockfile.Header
	for {
		h, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, r.Size(), nil
		}
		if err != nil {
			return nil, 0, err
		}
		headers = append(headers, h)
	}
}
