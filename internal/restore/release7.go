package restore

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"sync"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
)

// Row-compressed relations of openGauss 7.0 have other extents than those of
// the releases before, and C's lists do not tell which. But the pages in the
// backup do: pg_class of template1 has the names of the system catalogs that
// 7.0 brought, in upgraded clusters, too.

// catalogOf7 is a system catalog that is new in 7.0, as pg_class has its name.
var catalogOf7 = []byte("gs_matview_log\x00")

// templateDir is the directory of template1.
const templateDir = "base/1"

// extents finds the layout of a row-compressed relation.
func (w *writeOut) extents(e *contentlist.Entry) (pgdata.ExtentLayout, error) {
	if pages := e.Compressed.ExtentPages; pages != 0 {
		layout, ok := pgdata.ExtentsOf(pages)
		if !ok {
			return 0, usererr.New("restore file %s: extents of %d pages are not known", w.target(e), pages)
		}
		return layout, nil
	}
	of7, err := w.isOf7()
	if err != nil || !of7 {
		return pgdata.Extents129, err
	}
	return pgdata.Extents128, nil
}

// findRelease makes isOf7, which looks once and only when it is asked.
func (w *writeOut) findRelease() {
	w.isOf7 = sync.OnceValues(func() (bool, error) {
		class, err := w.classFile()
		if class == nil || err != nil {
			return false, err
		}
		f, err := w.planPages(class, w.target(class))
		if err != nil {
			return false, err
		}
		found, err := f.contains(catalogOf7)
		return found, errors.Join(err, f.close())
	})
}

// classFile is the entry of pg_class of template1; nil if the backup has none.
func (w *writeOut) classFile() (*contentlist.Entry, error) {
	e := w.entryAt(path.Join(templateDir, pgdata.RelMapName))
	if e == nil {
		return nil, nil
	}
	m, stored, err := w.fullCopy(e)
	if err != nil {
		return nil, err
	}
	raw, err := fsx.ReadFile(m.fs, m.stored(stored), 1<<16)
	if err != nil {
		return nil, fmt.Errorf("read backup file: %w", err)
	}
	node, err := pgdata.MappedFile(raw, pgdata.PgClassOid)
	if err != nil {
		return nil, nil //nolint:nilerr // it says nothing of the release then
	}
	if e = w.entryAt(path.Join(templateDir, strconv.FormatUint(uint64(node), 10))); e == nil || !e.IsDatafile {
		return nil, nil
	}
	return e, nil
}

// entryAt finds a regular file of the data directory in the list.
func (w *writeOut) entryAt(name string) *contentlist.Entry {
	entries := w.destMember().entries
	for i := range entries {
		if e := &entries[i]; e.ExternalDir == 0 && e.Path == name && e.IsRegular() {
			return e
		}
	}
	return nil
}

// contains tells whether a page of the file has these bytes.
func (f *pageFile) contains(text []byte) (bool, error) {
	var run blockfile.Run
	var codecs compress.Set
	page := make([]byte, blockfile.PageSize)
	for i := range f.sources {
		s := &f.sources[i]
		codec, err := codecs.Get(s.alg, 0)
		if err != nil {
			return false, err
		}
		for at, h := range s.headers {
			if !f.wants(i, h.Block) {
				continue
			}
			err := blockfile.ReadFrames(s.file, s.headers, s.total, at, at+1, &run)
			if err == nil {
				err = blockfile.Decode(codec, page, run.Payload(0))
			}
			if err != nil {
				return false, fmt.Errorf("read block %d of backup file %s: %w", h.Block, s.path, err)
			}
			if bytes.Contains(page, text) {
				return true, nil
			}
		}
	}
	return false, nil
}
