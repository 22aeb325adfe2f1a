package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gsprobackup/internal/fsx"
)

func (h *local) Mkdir(ctx context.Context, path string, mode uint32) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	err := h.fs.Mkdir(path, goPerm(mode))
	if errors.Is(err, fs.ErrExist) {
		if fi, serr := h.fs.Stat(path); serr == nil && fi.IsDir() {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := h.adopt(path); err != nil {
		return err
	}
	return h.fs.Chmod(path, goPerm(mode)) // the umask has had its say
}

// adopt gives a new file, directory or link to the owner of its directory.
func (h *local) adopt(path string) error {
	chowner, ok := h.fs.(fsx.Chowner)
	if !h.adopts || !ok {
		return nil
	}
	fi, err := h.fs.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() {
		return nil
	}
	return chowner.Lchown(path, int(st.Uid), int(st.Gid))
}

// isNew tells whether path is about to be made, where that matters.
func (h *local) isNew(path string) bool {
	if !h.adopts {
		return false
	}
	_, err := h.fs.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func (h *local) MkdirAll(ctx context.Context, path string, mode uint32) error {
	err := h.Mkdir(ctx, path, mode)
	parent := filepath.Dir(path)
	if !errors.Is(err, fs.ErrNotExist) || parent == path {
		return err
	}
	if err := h.MkdirAll(ctx, parent, mode); err != nil {
		return err
	}
	return h.Mkdir(ctx, path, mode)
}

func (h *local) Symlink(ctx context.Context, target, path string) error {
	return do(ctx, func() error {
		if err := h.fs.Symlink(target, path); err != nil {
			return err
		}
		return h.adopt(path)
	})
}

func (h *local) Readlink(ctx context.Context, path string) (target string, err error) {
	err = do(ctx, func() error {
		target, err = h.fs.Readlink(path)
		return err
	})
	return target, err
}

func (h *local) Chmod(ctx context.Context, path string, mode uint32) error {
	return do(ctx, func() error { return h.fs.Chmod(path, goPerm(mode)) })
}

func (h *local) Rename(ctx context.Context, oldPath, newPath string) error {
	return do(ctx, func() error { return h.fs.Rename(oldPath, newPath) })
}

func (h *local) Remove(ctx context.Context, path string) error {
	err := do(ctx, func() error { return h.fs.Remove(path) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (h *local) SyncDir(ctx context.Context, path string) error {
	return do(ctx, func() error { return h.fs.SyncDir(path) })
}

func (h *local) SyncFile(ctx context.Context, path string) error {
	return do(ctx, func() error {
		// fsync works on any descriptor of the file; read-only also does
		// for files whose mode forbids writing.
		f, err := h.fs.Open(path)
		if err != nil {
			return err
		}
		err = f.Sync()
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	})
}

func (h *local) RemoveAll(ctx context.Context, paths []string) error {
	for _, p := range paths {
		if err := h.Remove(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (h *local) Volume(ctx context.Context, path string) (v Volume, err error) {
	err = do(ctx, func() error {
		for {
			fi, err := h.fs.Stat(path)
			if parent := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && parent != path {
				path = parent
				continue
			}
			if err != nil {
				return err
			}
			if st, ok := fi.Sys().(*syscall.Stat_t); ok {
				v.ID = st.Dev
			}
			s, err := h.fs.Statfs(path)
			v.Avail = s.Avail()
			return err
		}
	})
	return v, err
}

func (h *local) Alive(ctx context.Context, pid int) (alive bool, err error) {
	err = do(ctx, func() error {
		switch err := syscall.Kill(pid, 0); {
		case err == nil, errors.Is(err, syscall.EPERM): // somebody else's
			alive = true
		case !errors.Is(err, syscall.ESRCH):
			return fmt.Errorf("look for process %d: %w", pid, err)
		}
		return nil
	})
	return alive, err
}

func do(ctx context.Context, call func() error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return call()
}

func (h *local) CreateFile(ctx context.Context, path string, opts CreateOptions) (FileWriter, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	flags := os.O_WRONLY | os.O_CREATE
	if !opts.Keep {
		flags |= os.O_TRUNC
	}
	isNew := h.isNew(path)
	f, err := h.fs.OpenFile(path, flags, goPerm(opts.Mode))
	if err != nil {
		return nil, err
	}
	if isNew {
		if err := h.adopt(path); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	if err := f.Chmod(goPerm(opts.Mode)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileWriter{file: f}, nil
}

// fileWriter implements FileWriter. Holes are made by not writing: a hole at
// the end becomes real with the next Data, Sync or Close.
type fileWriter struct {
	file    fsx.File
	off     int64 // where the next bytes go
	written int64 // end of the last bytes
}

func (w *fileWriter) Data(p []byte) error {
	n, err := w.file.WriteAt(p, w.off)
	w.off += int64(n)
	w.written = w.off
	return err
}

func (w *fileWriter) Hole(n int64) error {
	if n < 0 {
		return fmt.Errorf("write hole of %d bytes", n)
	}
	w.off += n
	return nil
}

func (w *fileWriter) Truncate(size int64) error {
	w.off, w.written = size, size
	return w.file.Truncate(size)
}

func (w *fileWriter) Sync() error {
	if err := w.settle(); err != nil {
		return err
	}
	return w.file.Sync()
}

func (w *fileWriter) Close() error {
	err := w.settle()
	if cerr := w.file.Close(); err == nil {
		err = cerr
	}
	return err
}

func (w *fileWriter) settle() error {
	if w.off == w.written {
		return nil
	}
	w.written = w.off
	return w.file.Truncate(w.off)
}
