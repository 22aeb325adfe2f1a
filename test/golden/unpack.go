package golden

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// Unpack lays a zstd-packed tar archive below dir. keep chooses the files by
// their name in the archive; nil keeps all. Runs of zeros become holes: the
// recordings are mostly that.
func Unpack(dir string, packed io.Reader, keep func(name string) bool) error {
	z, err := zstd.NewReader(packed, zstd.WithDecoderMaxWindow(1<<31), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return fmt.Errorf("unpack archive: %w", err)
	}
	defer z.Close()
	modes := map[string]fs.FileMode{} // of directories, set at the end
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("unpack archive: %w", err)
		}
		name := filepath.Clean(h.Name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("unpack archive: name %q leads out of it", h.Name)
		}
		if keep != nil && !keep(name) {
			continue
		}
		full := filepath.Join(dir, name)
		switch h.Typeflag {
		case tar.TypeDir:
			modes[full] = h.FileInfo().Mode().Perm()
			err = os.MkdirAll(full, 0o700)
		case tar.TypeReg:
			if err = os.MkdirAll(filepath.Dir(full), 0o700); err == nil {
				err = unpackFile(full, h.FileInfo().Mode().Perm(), r)
			}
		default:
			err = fmt.Errorf("entry %q is of type %q", h.Name, h.Typeflag)
		}
		if err != nil {
			return fmt.Errorf("unpack archive: %w", err)
		}
	}
	for name, mode := range modes {
		if err := os.Chmod(name, mode); err != nil {
			return fmt.Errorf("unpack archive: %w", err)
		}
	}
	return nil
}

func unpackFile(name string, perm fs.FileMode, in io.Reader) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const unit = 64 << 10
	var buf, zeros [unit]byte
	off := int64(0)
	for {
		n, err := io.ReadFull(in, buf[:])
		if n > 0 && !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := f.WriteAt(buf[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(f.Truncate(off), f.Chmod(perm))
}
