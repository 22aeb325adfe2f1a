package ogdata

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

//go:embed testdata/base.tar.zst
var baseImage []byte

// unpackImage writes the real files below dir; want chooses files by path.
func unpackImage(dir string, want func(path string) bool) error {
	dec, err := zstd.NewReader(bytes.NewReader(baseImage))
	if err != nil {
		return fmt.Errorf("unpack data directory: %w", err)
	}
	defer dec.Close()
	tr := tar.NewReader(dec)
	if _, err := tr.Next(); err != nil { // MANIFEST comes first
		return fmt.Errorf("unpack data directory: %w", err)
	}
	manifest, err := io.ReadAll(tr)
	if err != nil {
		return fmt.Errorf("unpack data directory: %w", err)
	}
	for line := range strings.Lines(string(manifest)) {
		if err := manifestEntry(dir, strings.Fields(line), want); err != nil {
			return err
		}
	}
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack data directory: %w", err)
		}
		name, offset, _ := strings.Cut(h.Name, "@")
		if !want(name) {
			continue
		}
		if err := writeRun(filepath.Join(dir, name), offset, tr); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
}

func manifestEntry(dir string, f []string, want func(string) bool) error {
	if len(f) != 4 {
		return fmt.Errorf("unpack data directory: manifest line %q", f)
	}
	full := filepath.Join(dir, f[3])
	if f[0] == "d" {
		return os.MkdirAll(full, 0o700)
	}
	if !want(f[3]) {
		return nil
	}
	mode, err := strconv.ParseUint(f[1], 8, 32)
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(mode))
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), file.Close())
}

func writeRun(name, offset string, r io.Reader) error {
	off, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(f, off), r)
	return errors.Join(err, f.Close())
}
