package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"gsprobackup/internal/fsx"
)

// Local returns the host for files of this machine.
//
// The superuser's new files, directories and links get the owner of the
// directory they are made in: a server does not start on what is root's.
func Local(fsys fsx.FS) Host {
	return &local{fs: fsys, wait: rereadWait, adopts: os.Geteuid() == 0}
}

type local struct {
	fs fsx.FS
	// wait is how long to wait before reading a torn page again.
	wait func(attempt int) time.Duration
	// adopts gives what is made to the owner of its directory.
	adopts bool
}

func (*local) Close() error { return nil }

// Admit has nothing to do: what this process may touch, it may.
func (*local) Admit(context.Context, ...string) error { return nil }

func (h *local) Stat(ctx context.Context, path string) (FileInfo, error) {
	if err := context.Cause(ctx); err != nil {
		return FileInfo{}, err
	}
	fi, err := h.fs.Stat(path)
	if err != nil {
		return FileInfo{}, vanished(err)
	}
	return fileInfo("", fi), nil
}

func (h *local) ReadFile(ctx context.Context, path string, max int64) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	b, err := fsx.ReadFile(h.fs, path, max)
	if err != nil {
		return nil, vanished(err)
	}
	return b, nil
}

func (h *local) ReadAt(ctx context.Context, path string, off int64, n int) ([]byte, int64, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, 0, err
	}
	f, err := h.fs.Open(path)
	if err != nil {
		return nil, 0, vanished(err)
	}
	defer f.Close() // read only
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	b := make([]byte, n)
	n, err = f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], fi.Size(), err
}

// vanished marks the errors that mean "gone" with ErrVanished.
func vanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrVanished, err)
	}
	return err
}

// fileInfo converts what the file system says.
func fileInfo(rel string, fi fs.FileInfo) FileInfo {
	info := FileInfo{Path: rel, Size: fi.Size(), MTime: fi.ModTime(), Mode: stMode(fi.Mode())}
	switch {
	case fi.Mode().IsRegular():
		info.Kind = KindFile
	case fi.IsDir():
		info.Kind = KindDir
	case fi.Mode()&fs.ModeSymlink != 0:
		info.Kind = KindSymlink
	default:
		info.Kind = KindOther
	}
	return info
}

// stMode gives the st_mode of a Go file mode, which is what content lists keep
// (spec/formats.md §4.1).
func stMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	switch m.Type() {
	case 0:
		mode |= syscall.S_IFREG
	case fs.ModeDir:
		mode |= syscall.S_IFDIR
	case fs.ModeSymlink:
		mode |= syscall.S_IFLNK
	case fs.ModeNamedPipe:
		mode |= syscall.S_IFIFO
	case fs.ModeSocket:
		mode |= syscall.S_IFSOCK
	case fs.ModeDevice:
		mode |= syscall.S_IFBLK
	case fs.ModeDevice | fs.ModeCharDevice:
		mode |= syscall.S_IFCHR
	}
	for _, bit := range []struct {
		go_ fs.FileMode
		st  uint32
	}{{fs.ModeSetuid, syscall.S_ISUID}, {fs.ModeSetgid, syscall.S_ISGID}, {fs.ModeSticky, syscall.S_ISVTX}} {
		if m&bit.go_ != 0 {
			mode |= bit.st
		}
	}
	return mode
}

// goPerm is the permission part of stMode's inverse.
func goPerm(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	if mode&syscall.S_ISUID != 0 {
		m |= fs.ModeSetuid
	}
	if mode&syscall.S_ISGID != 0 {
		m |= fs.ModeSetgid
	}
	if mode&syscall.S_ISVTX != 0 {
		m |= fs.ModeSticky
	}
	return m
}
