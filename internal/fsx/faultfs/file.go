package faultfs

import (
	"io/fs"

	"gsprobackup/internal/fsx"
)

type file struct {
	fs       *FS
	inner    fsx.File
	writable bool
}

var _ fsx.HolePuncher = (*file)(nil)

func (w *file) op(kind Kind, off, length int64) Op {
	return Op{Kind: kind, Path: w.inner.Name(), Off: off, Len: length}
}

func (w *file) Read(p []byte) (n int, err error) {
	err = w.fs.do(w.op(Read, -1, int64(len(p))), func() error {
		n, err = w.inner.Read(p)
		return err
	})
	return n, err
}

func (w *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = w.fs.do(w.op(Read, off, int64(len(p))), func() error {
		n, err = w.inner.ReadAt(p, off)
		return err
	})
	return n, err
}

func (w *file) Write(p []byte) (int, error) {
	return w.write(-1, p, w.inner.Write)
}

func (w *file) WriteAt(p []byte, off int64) (int, error) {
	return w.write(off, p, func(p []byte) (int, error) { return w.inner.WriteAt(p, off) })
}

// write leaves half of the bytes behind when a fault hits it, as a full disk
// does, or a kill between two pages.
func (w *file) write(off int64, p []byte, call func([]byte) (int, error)) (n int, err error) {
	step, torn, err := w.fs.begin(w.op(Write, off, int64(len(p))))
	switch {
	case err == nil:
		n, err = call(p)
	case torn:
		n, _ = call(p[:len(p)/2]) // the injected error is the one to tell
	}
	w.fs.end(step, err)
	return n, err
}

func (w *file) Close() error {
	if !w.writable {
		return w.inner.Close()
	}
	err := w.fs.do(w.op(Close, 0, 0), w.inner.Close)
	if err != nil {
		// The descriptor is gone whatever close(2) says.
		_ = w.inner.Close()
	}
	return err
}

func (w *file) Sync() error { return w.fs.do(w.op(Sync, 0, 0), w.inner.Sync) }

func (w *file) Truncate(size int64) error {
	return w.fs.do(w.op(Truncate, 0, size), func() error { return w.inner.Truncate(size) })
}

func (w *file) Chmod(mode fs.FileMode) error {
	op := w.op(Chmod, 0, 0)
	op.Mode = mode
	return w.fs.do(op, func() error { return w.inner.Chmod(mode) })
}

func (w *file) PunchHole(off, length int64) error {
	return w.fs.do(w.op(Punch, off, length), func() error { return fsx.PunchHole(w.inner, off, length) })
}

func (w *file) Stat() (fi fs.FileInfo, err error) {
	err = w.fs.do(w.op(Stat, 0, 0), func() error {
		fi, err = w.inner.Stat()
		return err
	})
	return fi, err
}

func (w *file) NextData(off int64) (start, end int64, err error) {
	err = w.fs.do(w.op(Extents, off, 0), func() error {
		start, end, err = w.inner.NextData(off)
		return err
	})
	return start, end, err
}

func (w *file) Name() string                                 { return w.inner.Name() }
func (w *file) Seek(offset int64, whence int) (int64, error) { return w.inner.Seek(offset, whence) }
func (w *file) StartWriteback(off, length int64) error       { return w.inner.StartWriteback(off, length) }
