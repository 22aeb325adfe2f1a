package merge

import "gsprobackup/internal/fsx"

// output collects what is written into a new file one after the other: the
// pages that increments have cut the FULL's into short runs.
type output struct {
	fsx.File
	buf []byte
	off int64 // of buf
}

// outputSize is the size of one write, in bytes.
const outputSize = 1 << 20

// WriteAt is io.WriterAt for the end of the file only.
func (o *output) WriteAt(p []byte, off int64) (int, error) {
	if off != o.off+int64(len(o.buf)) || len(o.buf)+len(p) > outputSize {
		if err := o.flush(); err != nil {
			return 0, err
		}
		o.off = off
	}
	o.buf = append(o.buf, p...)
	return len(p), nil
}

// flush writes what is collected and has the kernel bring it to the disk.
func (o *output) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	if _, err := o.File.WriteAt(o.buf, o.off); err != nil {
		return err
	}
	fsx.WriteBehind(o.File, o.off, int64(len(o.buf)))
	o.off += int64(len(o.buf))
	o.buf = o.buf[:0]
	return nil
}
