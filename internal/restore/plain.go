package restore

import (
	"context"
	"fmt"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// writePlain copies a file that was stored as it is, from the newest backup
// that has its content (spec/formats.md §5.7). The CRC is compared on the way:
// what was damaged since the validation must not pass for good.
func (w *writeOut) writePlain(ctx context.Context, e *contentlist.Entry, out remote.FileSink, buf []byte) (int64, error) {
	m, se, err := w.fullCopy(e)
	if err != nil || se.Size == 0 {
		return 0, err
	}
	f, err := m.fs.Open(m.stored(se))
	if err != nil {
		return 0, fmt.Errorf("open backup file: %w", err)
	}
	defer f.Close() // read only
	crc := uint32(0)
	n, err := fsx.WalkSparse(ctx, f, buf, fsx.Walker{
		Data: func(_ int64, p []byte) error { crc = crc32c.Update(crc, p); return out.Data(p) },
		Hole: func(_, n int64) error { crc = crc32c.Zeros(crc, n); return out.Hole(n) },
	})
	switch {
	case err != nil:
		return n, fmt.Errorf("restore file %s: %w", w.target(e), err)
	case n != se.Size:
		return n, usererr.New("Invalid size of backup file \"%s\" : %d. Expected %d", m.stored(se), n, se.Size)
	case crc != se.CRC && e.Path != pgdata.ControlPath && !w.opts.Force:
		return n, usererr.New("Invalid CRC of backup file \"%s\" : %X. Expected %X", m.stored(se), crc, se.CRC).
			WithHint("with --force it is restored as it is")
	}
	return n, nil
}

// fullCopy finds the newest backup of the chain with the content of a file.
func (w *writeOut) fullCopy(e *contentlist.Entry) (*member, *contentlist.Entry, error) {
	last := len(w.members) - 1
	for i := last; i >= 0; i-- {
		m, se := w.members[i], e
		if i < last {
			if se = w.unchanged(m, e); se == nil {
				return nil, nil, usererr.New("Failed to locate nonedata file \"%s\" in backup %s", e.Path, m.backup.ID)
			}
		}
		if se.Size >= 0 {
			return m, se, nil
		}
	}
	return nil, nil, usererr.New("Failed to locate a full copy of nonedata file \"%s\"", e.Path)
}

// unchanged finds what an entry without content stands for in an older backup.
// Both tools compare a file of an external directory with the parent's of the
// same number, whatever directory that was there.
func (w *writeOut) unchanged(m *member, e *contentlist.Entry) *contentlist.Entry {
	numbered := m.find(e)
	dirs := w.dest.Externals()
	if e.ExternalDir <= 0 || e.ExternalDir > len(dirs) {
		return catalog.SameContent(e, numbered)
	}
	n := slices.Index(m.backup.Externals(), dirs[e.ExternalDir-1]) + 1
	if i, ok := m.byPath[fileKey{n, e.Path}]; ok && n > 0 {
		return catalog.SameContent(e, numbered, &m.entries[i])
	}
	return catalog.SameContent(e, numbered)
}
