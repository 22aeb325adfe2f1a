package pagecopy

import (
	"errors"
	"path/filepath"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// copyDoubleWrite stores a double-write file as if it were new: full length,
// nearly all of it a hole, and the same in each backup, so that an increment
// finds it unchanged (spec/server.md §3.4). What is not recognised beyond
// doubt is copied like any file.
func (w *worker) copyDoubleWrite(t *Task) error {
	pages, ok, err := w.emptyDoubleWrite(t)
	switch {
	case errors.Is(err, remote.ErrVanished):
		return w.report(t, Result{Outcome: Vanished, Alg: compress.None})
	case err != nil:
		return err
	case !ok:
		return w.copyPlain(t)
	}
	if t.Known && t.KnownCRC == sumPages(pages, t.Size) {
		return w.report(t, Result{Outcome: Unchanged, CRC: t.KnownCRC, Alg: compress.None})
	}
	sink := plainSink{worker: w, task: t}
	for _, p := range pages {
		if n := p.Offset - sink.off; n > 0 {
			err = sink.Hole(n)
		}
		if err == nil {
			err = sink.Data(p.Data)
		}
		if err != nil {
			break
		}
	}
	if n := t.Size - sink.off; err == nil && n > 0 {
		err = sink.Hole(n)
	}
	return w.finishPlain(&sink, err)
}

// headerAttempts is how often headers are read: the server may be writing one,
// but never all copies of it at a time.
const headerAttempts = 3

func (w *worker) emptyDoubleWrite(t *Task) (pages []pgdata.PageAt, ok bool, err error) {
	name := filepath.Base(t.Path)
	offsets := pgdata.DoubleWriteHeaders(name, t.Size)
	for attempt := 0; offsets != nil && !ok && attempt < headerAttempts; attempt++ {
		var headers [][]byte
		for _, off := range offsets {
			b, size, err := w.Source.ReadAt(w.ctx, t.source(), off, pgdata.BlockSize)
			if err != nil || size != t.Size {
				return nil, false, err
			}
			headers = append(headers, b)
		}
		pages, ok = pgdata.EmptyDoubleWrite(name, t.Size, headers)
	}
	return pages, ok, nil
}

// sumPages is the CRC32C of a file that has only these pages.
func sumPages(pages []pgdata.PageAt, size int64) (crc uint32) {
	at := int64(0)
	for _, p := range pages {
		crc = crc32c.Update(crc32c.Zeros(crc, p.Offset-at), p.Data)
		at = p.Offset + int64(len(p.Data))
	}
	return crc32c.Zeros(crc, size-at)
}
