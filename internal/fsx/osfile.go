package fsx

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// osFile adds the Linux calls that os.File lacks.
type osFile struct{ *os.File }

// StartWriteback starts write-out with sync_file_range(2).
func (f *osFile) StartWriteback(off, length int64) error {
	return f.control("sync_file_range", func(fd int) error {
		return unix.SyncFileRange(fd, off, length, unix.SYNC_FILE_RANGE_WRITE)
	})
}

// PunchHole implements HolePuncher with fallocate(2).
func (f *osFile) PunchHole(off, length int64) error {
	return f.control("fallocate", func(fd int) error {
		// EOPNOTSUPP and ENOSYS count as errors.ErrUnsupported already.
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, length)
	})
}

// NextData uses lseek(2) with SEEK_DATA and SEEK_HOLE and puts the file
// offset back, so it may be mixed with Read and Write (of one goroutine).
func (f *osFile) NextData(off int64) (start, end int64, err error) {
	err = f.control("seek", func(fd int) error {
		old, err := seek(fd, 0, unix.SEEK_CUR)
		if err != nil {
			return err
		}
		start, end, err = nextData(fd, off)
		if _, serr := seek(fd, old, unix.SEEK_SET); serr != nil {
			return serr
		}
		return err
	})
	if err != nil {
		return 0, 0, unwrapEOF(err)
	}
	return start, end, nil
}

func nextData(fd int, off int64) (start, end int64, err error) {
	start, err = seek(fd, off, unix.SEEK_DATA)
	switch {
	case isAny(err, unix.EINVAL, unix.EOPNOTSUPP):
		return restAsData(fd, off)
	case errors.Is(err, unix.ENXIO):
		return 0, 0, io.EOF
	case err != nil:
		return 0, 0, err
	}
	end, err = seek(fd, start, unix.SEEK_HOLE)
	if errors.Is(err, unix.ENXIO) { // truncated between the two calls
		return 0, 0, io.EOF
	}
	return start, end, err
}

// restAsData is NextData for file systems that cannot tell holes.
func restAsData(fd int, off int64) (start, end int64, err error) {
	var st unix.Stat_t
	if err := retryEINTR(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return 0, 0, err
	}
	if off >= st.Size {
		return 0, 0, io.EOF
	}
	return off, st.Size, nil
}

func seek(fd int, off int64, whence int) (pos int64, err error) {
	err = retryEINTR(func() error {
		pos, err = unix.Seek(fd, off, whence)
		return err
	})
	return pos, err
}

// control runs call on the descriptor, which cannot be closed meanwhile, and
// gives errors the usual *fs.PathError form.
func (f *osFile) control(op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		callErr = retryEINTR(func() error { return call(int(fd)) })
	})
	if err != nil { // Control has no other reason to refuse
		callErr = fs.ErrClosed
	}
	if callErr != nil {
		return &fs.PathError{Op: op, Path: f.Name(), Err: callErr}
	}
	return nil
}

func retryEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func isAny(err error, errnos ...unix.Errno) bool {
	for _, e := range errnos {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unwrapEOF gives io.EOF bare, as the io interfaces want it.
func unwrapEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return err
}
