package crashfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/fsx"
)

// hole is the unit in which NextData finds holes: aligned blocks of zeros.
const hole = 4096

type file struct {
	fs     *FS
	node   *node
	name   string
	flag   int
	off    int64
	closed bool
}

var _ fsx.HolePuncher = (*file)(nil)

func (f *FS) Open(name string) (fsx.File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.openNode(name, flag, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &file{fs: f, node: n, name: name, flag: flag}, nil
}

func (f *FS) openNode(name string, flag int, perm fs.FileMode) (*node, error) {
	exclusive := flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0
	at, err := f.find(name, !exclusive && flag&fsx.NoFollow == 0)
	if err != nil {
		return nil, err
	}
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch n := at.node; {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, unix.ENOENT
	case n == nil:
		n = newNode(perm.Perm())
		at.dir.apply(change{at.base: n})
		return n, nil
	case exclusive:
		return nil, unix.EEXIST
	case n.mode.Type() == fs.ModeSymlink:
		return nil, unix.ELOOP
	case n.mode.IsDir() && (writes || flag&os.O_CREATE != 0):
		return nil, unix.EISDIR
	case flag&os.O_TRUNC != 0:
		n.resize(0)
	}
	return at.node, nil
}

// resize keeps what is cut off from coming back.
func (n *node) resize(size int64) {
	if old := int64(len(n.data)); size < old {
		clear(n.data[size:])
		n.data = n.data[:size]
	} else if size > old {
		n.data = append(n.data, make([]byte, size-old)...)
	}
	n.touch()
}

// run runs call under the lock if the file is usable; access is the mode of
// opening it needs (O_RDONLY, O_WRONLY or -1 for any).
func (w *file) run(op string, access int, call func() error) error {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	opened := w.flag & (os.O_WRONLY | os.O_RDWR)
	var err error
	switch {
	case w.fs.dead:
		err = ErrCrashed
	case w.closed:
		err = fs.ErrClosed
	case access >= 0 && opened != os.O_RDWR && opened != access:
		err = unix.EBADF
	case access >= 0 && w.node.mode.IsDir():
		err = unix.EISDIR
	default:
		err = call()
	}
	if errors.Is(err, io.EOF) {
		return err
	}
	return pathError(op, w.name, err)
}

func (w *file) Read(p []byte) (n int, err error) {
	err = w.run("read", os.O_RDONLY, func() error {
		if w.off < int64(len(w.node.data)) {
			n = copy(p, w.node.data[w.off:])
		} else if len(p) > 0 {
			return io.EOF
		}
		w.off += int64(n)
		return nil
	})
	return n, err
}

func (w *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = w.run("read", os.O_RDONLY, func() error {
		if off < 0 {
			return unix.EINVAL
		}
		if off < int64(len(w.node.data)) {
			n = copy(p, w.node.data[off:])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (w *file) Write(p []byte) (n int, err error) {
	err = w.run("write", os.O_WRONLY, func() error {
		if w.flag&os.O_APPEND != 0 {
			w.off = int64(len(w.node.data))
		}
		n = w.node.write(p, w.off)
		w.off += int64(n)
		return nil
	})
	return n, err
}

func (w *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = w.run("write", os.O_WRONLY, func() error {
		if off < 0 || w.flag&os.O_APPEND != 0 {
			return unix.EINVAL
		}
		n = w.node.write(p, off)
		return nil
	})
	return n, err
}

func (n *node) write(p []byte, off int64) int {
	if end := off + int64(len(p)); len(p) > 0 && end > int64(len(n.data)) {
		n.resize(end)
	}
	n.touch()
	return copy(n.data[min(off, int64(len(n.data))):], p)
}

func (w *file) Seek(offset int64, whence int) (pos int64, err error) {
	err = w.run("seek", -1, func() error {
		switch whence {
		case io.SeekCurrent:
			offset += w.off
		case io.SeekEnd:
			offset += int64(len(w.node.data))
		}
		if offset < 0 {
			return unix.EINVAL
		}
		w.off, pos = offset, offset
		return nil
	})
	return pos, err
}

func (w *file) Sync() error {
	return w.run("sync", -1, func() error {
		w.node.sync()
		return nil
	})
}

func (w *file) Truncate(size int64) error {
	return w.run("truncate", -1, func() error {
		if size < 0 || w.flag&(os.O_WRONLY|os.O_RDWR) == 0 {
			return unix.EINVAL
		}
		w.node.resize(size)
		return nil
	})
}

func (w *file) Chmod(mode fs.FileMode) error {
	return w.run("chmod", -1, func() error {
		w.node.mode = w.node.mode.Type() | mode.Perm()
		return nil
	})
}

func (w *file) Close() error {
	return w.run("close", -1, func() error {
		w.closed = true
		return nil
	})
}

func (w *file) Stat() (fi fs.FileInfo, err error) {
	err = w.run("stat", -1, func() error {
		fi = w.node.info(filepath.Base(w.name))
		return nil
	})
	return fi, err
}

func (w *file) Name() string { return w.name }

// StartWriteback makes nothing durable, as promised.
func (w *file) StartWriteback(off, length int64) error {
	return w.run("writeback", -1, func() error { return nil })
}

func (w *file) PunchHole(off, length int64) error {
	return w.run("punch", os.O_WRONLY, func() error {
		size := int64(len(w.node.data))
		clear(w.node.data[min(off, size):min(off+length, size)])
		w.node.touch()
		return nil
	})
}

func (w *file) NextData(off int64) (start, end int64, err error) {
	err = w.run("seek", -1, func() error {
		size := int64(len(w.node.data))
		for start = off; start < size && w.node.isHole(start); {
			start = (start/hole + 1) * hole
		}
		if start >= size {
			return io.EOF
		}
		for end = start; end < size && !w.node.isHole(end); {
			end = (end/hole + 1) * hole
		}
		end = min(end, size)
		return nil
	})
	return start, end, err
}

// isHole tells whether the block of offset off is all zeros.
func (n *node) isHole(off int64) bool {
	from := off / hole * hole
	for _, b := range n.data[from:min(from+hole, int64(len(n.data)))] {
		if b != 0 {
			return false
		}
	}
	return true
}
