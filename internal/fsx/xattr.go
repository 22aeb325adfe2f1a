package fsx

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrNoXattr says that a file has no such extended attribute, or that its
// file system keeps none.
var ErrNoXattr = errors.New("no such extended attribute")

// XattrFile is a File whose file system may keep extended attributes.
type XattrFile interface {
	SetXattr(name string, value []byte) error
	GetXattr(name string) ([]byte, error)
}

// SetXattr sets an extended attribute such as user.x; ErrNoXattr is inside the
// error where that cannot be.
func SetXattr(f File, name string, value []byte) error {
	x, ok := f.(XattrFile)
	if !ok {
		return ErrNoXattr
	}
	return x.SetXattr(name, value)
}

// GetXattr reads an extended attribute of at most 256 bytes; ErrNoXattr is
// inside the error when there is none.
func GetXattr(f File, name string) ([]byte, error) {
	x, ok := f.(XattrFile)
	if !ok {
		return nil, ErrNoXattr
	}
	return x.GetXattr(name)
}

func (f *osFile) SetXattr(name string, value []byte) error {
	return xattrError(name, f.control("setxattr", func(fd int) error {
		return unix.Fsetxattr(fd, name, value, 0)
	}))
}

func (f *osFile) GetXattr(name string) ([]byte, error) {
	buf := make([]byte, 256)
	n := 0
	err := f.control("getxattr", func(fd int) (err error) {
		n, err = unix.Fgetxattr(fd, name, buf)
		return err
	})
	if err != nil {
		return nil, xattrError(name, err)
	}
	return buf[:n], nil
}

func xattrError(name string, err error) error {
	if isAny(err, unix.ENODATA, unix.ENOTSUP, unix.EPERM, unix.ENOSYS) {
		return fmt.Errorf("%w: %s", ErrNoXattr, name)
	}
	return err
}
