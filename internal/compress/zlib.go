package compress

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/zlib"
)

// zlibCodec writes what uncompress() reads, and reads what compress2() writes.
// The two header bytes of its streams may differ from compress2's.
type zlibCodec struct {
	level int
	w     *zlib.Writer // made at first use: a reader needs none
	out   appender
	r     io.ReadCloser
	in    bytes.Reader
	past  [1]byte
}

// appender collects output behind the caller's slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func newZlib(level int) (*zlibCodec, error) {
	return &zlibCodec{level: level}, nil
}

func (c *zlibCodec) Compress(dst, src []byte) ([]byte, bool, error) {
	if err := checkSource(Zlib, src); err != nil {
		return dst, false, err
	}
	if c.level == zlib.NoCompression { // stored blocks are never smaller
		return dst, false, nil
	}
	c.out.b = dst
	defer func() { c.out.b = nil }()
	if c.w == nil {
		w, err := zlib.NewWriterLevel(&c.out, c.level)
		if err != nil {
			return dst, false, err
		}
		c.w = w
	} else {
		c.w.Reset(&c.out)
	}
	if _, err := c.w.Write(src); err != nil {
		return dst, false, err
	}
	if err := c.w.Close(); err != nil {
		return dst, false, err
	}
	if len(c.out.b)-len(dst) >= len(src) {
		return dst, false, nil
	}
	return c.out.b, true, nil
}

func (c *zlibCodec) Decompress(dst, src []byte) error {
	n, err := c.inflate(dst, src)
	if err != nil {
		return &CorruptError{Zlib, len(dst), n, err}
	}
	return nil
}

func (c *zlibCodec) inflate(dst, src []byte) (n int, err error) {
	c.in.Reset(src)
	defer c.in.Reset(nil)
	if err := c.resetReader(); err != nil {
		return 0, err
	}
	n, err = io.ReadFull(c.r, dst)
	switch err {
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		// The reader has one error for a stream that ends well but early
		// and for one that is cut off; either way the page is short.
		return n, ErrShort
	default:
		return n, err
	}
	// Only behind the end does the reader check the stream's sum.
	switch m, err := c.r.Read(c.past[:]); {
	case m > 0:
		return n, ErrLong
	case err == nil:
		return n, ErrStream
	case err != io.EOF:
		return n, err
	}
	if c.in.Len() > 0 {
		return n, ErrTrailing
	}
	return n, nil
}

// resetReader starts reading c.in; the reader wants to see a header at once.
func (c *zlibCodec) resetReader() error {
	if c.r != nil {
		return c.r.(zlib.Resetter).Reset(&c.in, nil)
	}
	r, err := zlib.NewReader(&c.in)
	if err != nil {
		return err
	}
	c.r = r
	return nil
}
