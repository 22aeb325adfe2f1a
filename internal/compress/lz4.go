package compress

import (
	"slices"

	"github.com/pierrec/lz4/v4"
)

// lz4Codec holds single LZ4 blocks, as LZ4_compress_default writes and
// LZ4_decompress_safe reads them: no frame, no length.
type lz4Codec struct {
	c *lz4.Compressor // made at first use: a reader needs none
}

func (c *lz4Codec) Compress(dst, src []byte) ([]byte, bool, error) {
	if err := checkSource(LZ4, src); err != nil {
		return dst, false, err
	}
	if c.c == nil {
		c.c = new(lz4.Compressor)
	}
	bound := lz4.CompressBlockBound(len(src))
	out := slices.Grow(dst, bound)
	n, err := c.c.CompressBlock(src, out[len(dst):len(dst)+bound])
	if err != nil {
		return dst, false, err
	}
	if n == 0 || n >= len(src) {
		return dst, false, nil
	}
	return out[:len(dst)+n], true, nil
}

func (c *lz4Codec) Decompress(dst, src []byte) error {
	n, err := lz4.UncompressBlock(src, dst)
	switch {
	case err != nil:
		return &CorruptError{LZ4, len(dst), 0, err}
	case n < len(dst):
		return &CorruptError{LZ4, len(dst), n, ErrShort}
	}
	return nil
}
