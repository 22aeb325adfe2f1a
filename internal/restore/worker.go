package restore

import (
	"context"
	"errors"
	"fmt"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/remote"
)

// worker writes files, one of several.
type worker struct {
	*writeOut
	pages  remote.Writer
	reader remote.Reader // of what is there; nil in a restore from nothing
	buf    []byte
	run    blockfile.Run
	gather gatherer
	sums   remote.PageSums
	codecs compress.Set
}

func (w *writeOut) work(ctx context.Context) (err error) {
	k := &worker{writeOut: w, buf: make([]byte, readRun)}
	if k.pages, err = w.deps.Host.NewWriter(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.pages.Close()) }()
	if w.compares() {
		if k.reader, err = w.deps.Host.NewReader(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, k.reader.Close()) }()
	}
	for {
		j, ok := w.queue.Take()
		if !ok {
			return context.Cause(ctx)
		}
		if j.Open == nil {
			f, err := k.start(ctx, j.Item)
			if f == nil {
				w.queue.Opened(nil, 0)
			} else {
				w.queue.Opened(f, len(f.pieces))
			}
			if err != nil {
				return err
			}
			continue
		}
		f := j.Open.File
		if err := k.piece(ctx, f, f.pieces[j.Piece]); err != nil {
			return err
		}
		if w.queue.Done(j.Open) {
			if err := f.close(); err != nil {
				return fmt.Errorf("close backup file: %w", err)
			}
			w.finished(f.entry, f.target)
		}
	}
}

// start begins a file. A data file with pieces for all workers is returned,
// any other is written at once.
func (k *worker) start(ctx context.Context, item int) (*pageFile, error) {
	e := k.entries[item]
	target := k.target(e)
	here, there := k.present[keyOf(e)]
	var f *pageFile
	var err error
	switch {
	case k.same[item]:
		err = k.fixMode(ctx, e, here)
	case k.empties(e):
		err = k.create(ctx, e, remote.CreateOptions{}, nil)
	case !e.IsDatafile || e.IsCFS:
		err = k.plain(ctx, e, here)
	case isCompressed3(e):
		err = k.compressed3(ctx, e)
	case e.Size == 0:
		err = k.create(ctx, e, remote.CreateOptions{}, nil)
	case e.Compressed != nil:
		err = k.compressed(ctx, e, here)
	default:
		f, err = k.open(ctx, e, here, there)
	}
	if err != nil {
		return nil, err
	}
	if f == nil {
		k.finished(e, target)
	}
	return f, nil
}

// create opens the target of e, lets write fill it, if given, and closes it.
func (k *worker) create(ctx context.Context, e *contentlist.Entry, opts remote.CreateOptions, write func(remote.FileWriter) error) error {
	opts.Mode = e.Mode & 0o7777
	out, err := k.deps.Host.CreateFile(ctx, k.target(e), opts)
	if err != nil {
		return fmt.Errorf("restore file: %w", err)
	}
	if write != nil {
		err = write(out)
	}
	return errors.Join(err, out.Close())
}

// minCompared is the size from which on a file that differs is compared block
// by block, in bytes. Smaller ones are written anew.
const minCompared = 64 << 10

// into writes a file anew or, if it is long enough, over itself. write returns
// the number of bytes that it has handed on.
func (k *worker) into(ctx context.Context, e *contentlist.Entry, here present, write func(remote.FileSink) (int64, error)) error {
	if here.size < minCompared {
		return k.create(ctx, e, remote.CreateOptions{}, func(out remote.FileWriter) error {
			n, err := write(out)
			k.written.Add(n)
			return err
		})
	}
	return k.create(ctx, e, remote.CreateOptions{Keep: true}, func(out remote.FileWriter) error {
		d := newDiffer(ctx, k.reader, out, k.target(e), here.size)
		_, err := write(d)
		if err == nil {
			err = d.finish()
		}
		k.written.Add(d.written)
		return err
	})
}

// plain writes a file that is stored as it is.
func (k *worker) plain(ctx context.Context, e *contentlist.Entry, here present) error {
	return k.into(ctx, e, here, func(out remote.FileSink) (int64, error) {
		return k.writePlain(ctx, e, out, k.buf)
	})
}

// compressed writes a row-compressed relation.
func (k *worker) compressed(ctx context.Context, e *contentlist.Entry, here present) error {
	layout, err := k.extents(e)
	if err != nil {
		return err
	}
	f, err := k.planPages(e, k.target(e))
	if err != nil {
		return err
	}
	err = k.into(ctx, e, here, func(out remote.FileSink) (int64, error) { return f.writeCompressed(ctx, layout, out) })
	return errors.Join(err, f.close())
}

// open plans a data file; nil when nothing is to be written into it.
func (k *worker) open(ctx context.Context, e *contentlist.Entry, here present, there bool) (*pageFile, error) {
	f, err := k.planPages(e, k.target(e))
	if err != nil {
		return nil, err
	}
	if there && here.size > 0 {
		err = k.over(ctx, f, here)
	} else {
		f.cut()
		f.settle = !k.opts.NoSync
		err = k.create(ctx, e, remote.CreateOptions{}, nil)
	}
	if err != nil || len(f.pieces) == 0 {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// piece writes one piece of a data file.
func (k *worker) piece(ctx context.Context, f *pageFile, p pagePiece) error {
	var n int64
	var err error
	if f.old {
		n, err = k.overPiece(ctx, f, p.lo, p.hi)
	} else {
		n, err = f.writePiece(ctx, p, k.pages, &k.gather)
	}
	k.written.Add(n)
	return err
}

// fixMode gives a file that is right but for its mode the mode it had.
func (k *worker) fixMode(ctx context.Context, e *contentlist.Entry, here present) error {
	if here.mode == e.Mode&0o7777 {
		return nil
	}
	return k.deps.Host.Chmod(ctx, k.target(e), e.Mode&0o7777)
}
