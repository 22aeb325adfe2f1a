package contentlist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/usererr"
)

// maxLine bounds a line; paths of the operating system have 4 KiB.
const maxLine = 64 << 10

// ErrFormat is inside the error for a line that is no entry.
var ErrFormat = errors.New("bad content list line")

// Reader reads entries one by one and keeps the CRC over what it has read.
type Reader struct {
	r   *bufio.Reader
	crc uint32
}

// NewReader returns a Reader with a buffer of its own.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, maxLine)} }

// Next returns the next entry, or io.EOF. A bad line gives a *usererr.Error
// with the C tool's text and ErrFormat inside.
func (r *Reader) Next() (Entry, error) {
	line, err := r.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return Entry{}, badFormat(line)
	case errors.Is(err, io.EOF) && len(line) == 0:
		return Entry{}, io.EOF
	case err != nil && !errors.Is(err, io.EOF):
		return Entry{}, fmt.Errorf("read content list: %w", err)
	}
	r.crc = crc32c.Update(r.crc, line)
	if e, ok := parseFixed(line); ok {
		return e, nil
	}
	return scanKeys(line)
}

// CRC is the CRC32C of all bytes read so far; after io.EOF it is to be
// compared with the content-crc of backup.control.
func (r *Reader) CRC() uint32 { return r.crc }

// ReadAll reads a whole list. sizeHint is the number of bytes expected, 0 to ask
// src if it is a file; it only saves memory.
func ReadAll(src io.Reader, sizeHint int64) (entries []Entry, crc uint32, err error) {
	// A directory has at least that, a data file up to 300. Too many slots
	// cost address space only, one too few a second copy of all.
	const bytesPerLine = 150
	if f, ok := src.(interface{ Stat() (fs.FileInfo, error) }); ok && sizeHint <= 0 {
		if fi, err := f.Stat(); err == nil {
			sizeHint = fi.Size()
		}
	}
	r := NewReader(src)
	entries = make([]Entry, 0, min(max(sizeHint, 0), 1<<30)/bytesPerLine)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, r.CRC(), nil
		}
		if err != nil {
			return nil, r.CRC(), err
		}
		entries = append(entries, e)
	}
}

func badFormat(line []byte) error {
	return usererr.Wrap(ErrFormat, "%s file has invalid format in line %s", FileName, line)
}

func missingField(key string, line []byte) error {
	return usererr.Wrap(ErrFormat, `field "%s" is not found in the line %s of the file %s`, key, line, FileName)
}

func outOfRange(key string, line []byte) error {
	return usererr.Wrap(ErrFormat, `field "%s" is out of range in the line %s of the file %s`, key, line, FileName)
}
