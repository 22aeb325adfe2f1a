package fsx

import (
	"errors"
	"io"
	"io/fs"
)

// ErrTooLarge is inside the error of ReadFile for a file over the limit.
var ErrTooLarge = errors.New("file too large")

// ReadFile reads a whole file of at most limit bytes. A longer file gives an
// *fs.PathError with ErrTooLarge inside, so that a damaged or wrong file
// cannot make the program use unbounded memory.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing can be lost
	return ReadAll(f, limit)
}

// ReadAll is ReadFile for a file that is open, from where it stands.
func ReadAll(f File, limit int64) ([]byte, error) {
	tooLarge := &fs.PathError{Op: "read", Path: f.Name(), Err: ErrTooLarge}
	size := int64(0)
	if fi, err := f.Stat(); err == nil {
		size = fi.Size()
	}
	if size > limit {
		return nil, tooLarge
	}
	// The size is only a hint for the buffer: the file may change, and some
	// special files tell 0. One byte more than limit is enough to see it.
	buf := make([]byte, 0, min(size, limit)+1)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		room := buf[len(buf):cap(buf)]
		if left := limit + 1 - int64(len(buf)); int64(len(room)) > left {
			room = room[:left]
		}
		n, err := f.Read(room)
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return nil, tooLarge
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
