package ogdata

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// sparseSum identifies a file's content without reading its holes: the sum
// covers the pages that are not all zero, with their offsets, and the length.
func sparseSum(name string) (out [sha256.Size]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return out, fmt.Errorf("read file: %w", err)
	}
	h := sha256.New()
	fi, err := f.Stat()
	if err != nil {
		return out, errors.Join(err, f.Close())
	}
	zero := make([]byte, blockSize)
	page := make([]byte, blockSize)
	for off := int64(0); off < fi.Size(); {
		data, serr := f.Seek(off, 3) // SEEK_DATA; an error means no more data
		if serr != nil {
			break
		}
		off = data - data%blockSize
		n, rerr := f.ReadAt(page, off)
		if rerr != nil && !errors.Is(rerr, io.EOF) {
			err = errors.Join(err, rerr)
			break
		}
		if string(page[:n]) != string(zero[:n]) {
			h.Write(binary.LittleEndian.AppendUint64(nil, uint64(off)))
			h.Write(page[:n])
		}
		off += blockSize
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(fi.Size())))
	return [sha256.Size]byte(h.Sum(nil)), errors.Join(err, f.Close())
}
