package merge

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// fileKey names a file across the backups of a chain, with the number its
// external directory has in the destination.
type fileKey struct {
	externalDir int
	path        string
}

// member is one backup of the chain, opened for reading.
type member struct {
	fs        fsx.FS
	backup    *catalog.Backup
	entries   []catalog.Entry
	byPath    map[fileKey]int32
	byNumber  map[fileKey]int32 // with the numbers of external directories it has here; nil if they are the same
	headerMap fsx.File          // nil if it has none
	// foreign marks a FULL that somebody else has begun to merge: its files
	// need not be those of its list.
	foreign bool
	// mixed is the destination's algorithm, for files that are not.
	mixed func(*catalog.Entry) compress.Algorithm
}

// openMember reads a backup's list. dirs are the destination's external
// directories: the same directory may have another number here.
func openMember(fsys fsx.FS, b *catalog.Backup, dirs []string) (*member, error) {
	m := &member{fs: fsys, backup: b}
	var err error
	if m.entries, err = catalog.LoadContent(fsys, b); err != nil {
		return nil, usererr.Wrap(err, "Failed to get file list for backup %s", b.ID)
	}
	numbers := renumber(b.Externals(), dirs)
	m.byPath = make(map[fileKey]int32, len(m.entries))
	if !slices.Equal(b.Externals(), dirs) {
		m.byNumber = map[fileKey]int32{}
	}
	for i := range m.entries {
		e := &m.entries[i]
		if !e.IsRegular() {
			continue
		}
		n := e.ExternalDir
		if n > 0 {
			if m.byNumber != nil {
				m.byNumber[fileKey{n, e.Path}] = int32(i)
			}
			if n > len(numbers) || numbers[n-1] == 0 {
				continue // not in the destination
			}
			n = numbers[n-1]
		}
		m.byPath[fileKey{n, e.Path}] = int32(i)
	}
	m.headerMap, err = fsys.Open(b.HeaderMapPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open page header map: %w", err)
	}
	return m, nil
}

// isResult tells whether a FULL's list is that of its merge with the backup that
// has the list dest. C writes it before the control file with its CRC.
func isResult(list, dest []catalog.Entry) bool {
	if len(list) != len(dest) {
		return false
	}
	files := make(map[fileKey]*catalog.Entry, len(dest))
	for i := range dest {
		files[keyOf(&dest[i])] = &dest[i]
	}
	for i := range list {
		e := &list[i]
		d := files[keyOf(e)]
		if d == nil || e.Size < 0 || e.Mode != d.Mode || e.IsDatafile != d.IsDatafile || e.NBlocks != d.NBlocks || e.Segno != d.Segno {
			return false
		}
		delete(files, keyOf(e))
	}
	return true
}

// renumber gives for each directory of own its number in dest, 0 for none.
func renumber(own, dest []string) []int {
	numbers := make([]int, len(own))
	for i, dir := range own {
		numbers[i] = slices.Index(dest, dir) + 1
	}
	return numbers
}

func (m *member) close() error {
	if m == nil || m.headerMap == nil {
		return nil
	}
	return m.headerMap.Close()
}

// find returns the entry of a file of the destination, nil if there is none.
func (m *member) find(e *catalog.Entry) *catalog.Entry {
	i, ok := m.byPath[fileKey{e.ExternalDir, e.Path}]
	if !ok {
		return nil
	}
	return &m.entries[i]
}

// unchanged finds what an entry of a newer backup without content stands for.
// Both tools compare a file of an external directory with the parent's of the
// same number, whatever directory that was there.
func (m *member) unchanged(e *catalog.Entry) *catalog.Entry {
	var numbered *catalog.Entry
	if i, ok := m.byNumber[fileKey{e.ExternalDir, e.Path}]; ok {
		numbered = &m.entries[i]
	}
	return catalog.SameContent(e, numbered, m.find(e))
}

// stored is where an entry's bytes lie.
func (m *member) stored(e *catalog.Entry) string {
	return path.Join(m.backup.EntryDir(e.ExternalDir), e.Path)
}

// source is the stored data file of one backup.
type source struct {
	file    fsx.File
	path    string
	alg     compress.Algorithm
	headers []blockfile.Header
	total   int64
	// limit is the shortest length, in blocks, that a newer backup recorded:
	// blocks from there on are not those the file has now.
	limit uint32
	// bare marks headers that were taken from the frames and have neither
	// LSN nor checksum.
	bare bool
}

// open opens a stored data file with its page headers.
func (m *member) open(e *catalog.Entry) (*source, error) {
	s := &source{path: m.stored(e), alg: algorithm(e.CompressAlg), total: e.Size}
	f, err := m.fs.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("open backup file: %w", err)
	}
	s.file = f
	if err := m.load(s, e); err != nil {
		return nil, errors.Join(fmt.Errorf("read backup file %s: %w", s.path, err), f.Close())
	}
	return s, nil
}

func (m *member) load(s *source, e *catalog.Entry) error {
	if m.foreign {
		old, err := isListed(s.file, e)
		if err != nil {
			return err
		}
		if !old {
			s.alg = m.mixed(e)
		}
	}
	if m.foreign || e.NHeaders <= 0 {
		fi, err := s.file.Stat()
		if err != nil {
			return err
		}
		s.total, s.bare = fi.Size(), true
		if !m.foreign && s.total != e.Size {
			return fmt.Errorf("it has %d bytes, the list says %d", s.total, e.Size)
		}
		s.headers, err = scan(io.NewSectionReader(s.file, 0, s.total))
		return err
	}
	if m.headerMap == nil {
		return m.noHeaders(e, nil)
	}
	var err error
	if s.headers, s.total, err = blockfile.ReadHeaders(m.headerMap, mapRef(e)); err != nil {
		return m.noHeaders(e, err)
	}
	if s.total != e.Size {
		return fmt.Errorf("header map says %d bytes, list says %d", s.total, e.Size)
	}
	return nil
}

// packedHeaders reads the header array of a file as it is.
func (m *member) packedHeaders(e *catalog.Entry) (blockfile.PackedHeaders, error) {
	if m.headerMap == nil {
		return blockfile.PackedHeaders{}, m.noHeaders(e, nil)
	}
	packed, err := blockfile.ReadPacked(m.headerMap, mapRef(e))
	if err != nil {
		return packed, m.noHeaders(e, err)
	}
	return packed, nil
}

func (m *member) noHeaders(e *catalog.Entry, err error) error {
	return usererr.Wrap(err, "Failed to get page headers for file \"%s\"", m.stored(e))
}

func mapRef(e *catalog.Entry) blockfile.MapRef {
	return blockfile.MapRef{N: e.NHeaders, CRC: e.HdrCRC, Off: e.HdrOff, Size: int32(e.HdrSize)}
}

// isListed tells whether a stored file is the one of its list.
func isListed(f fsx.File, e *catalog.Entry) (bool, error) {
	fi, err := f.Stat()
	if err != nil || fi.Size() != e.Size {
		return false, err
	}
	crc, buf := uint32(0), make([]byte, 256<<10)
	r := io.NewSectionReader(f, 0, e.Size)
	for {
		n, err := r.Read(buf)
		crc = crc32c.Update(crc, buf[:n])
		if errors.Is(err, io.EOF) {
			return crc == e.CRC, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// scan finds the frames of a stored file by reading through it.
func scan(src io.Reader) ([]blockfile.Header, error) {
	r := blockfile.NewReader(src)
	var headers []blockfile.Header
	for {
		h, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, nil
		}
		if err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
}

// algorithm makes one of the two names of no compression.
func algorithm(a compress.Algorithm) compress.Algorithm {
	if a == compress.Undefined {
		return compress.None
	}
	return a
}
