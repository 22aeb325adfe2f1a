package compress

import (
	"errors"

	"github.com/klauspost/compress/zstd"
)

const (
	// zstdWindow is enough for a page to see all of itself.
	zstdWindow = MaxPage
	// zstdMaxWindow is the largest window a frame may ask for. A frame of a
	// page gives the page's size; only a broken one needs more.
	zstdMaxWindow = 8 << 20
	// zstdDefault is what ZSTD_compress makes of level 0.
	zstdDefault = 3
)

// zstdCodec holds single zstd frames as ZSTD_compress writes them: with the
// content size, without a checksum.
type zstdCodec struct {
	level zstd.EncoderLevel
	enc   *zstd.Encoder // each made at first use
	dec   *zstd.Decoder
}

func newZstd(level int) (*zstdCodec, error) {
	if level == 0 {
		level = zstdDefault
	}
	return &zstdCodec{level: zstd.EncoderLevelFromZstd(level)}, nil
}

func (c *zstdCodec) Compress(dst, src []byte) ([]byte, bool, error) {
	if err := checkSource(Zstd, src); err != nil {
		return dst, false, err
	}
	if c.enc == nil {
		enc, err := zstd.NewWriter(nil,
			zstd.WithEncoderLevel(c.level),
			zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow),
			zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderCRC(false))
		if err != nil {
			return dst, false, err
		}
		c.enc = enc
	}
	out := c.enc.EncodeAll(src, dst)
	if len(out)-len(dst) >= len(src) {
		return dst, false, nil
	}
	return out, true, nil
}

func (c *zstdCodec) Decompress(dst, src []byte) error {
	if c.dec == nil {
		dec, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(zstdMaxWindow),
			// Nothing is ever decoded past the page handed in.
			zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return err
		}
		c.dec = dec
	}
	out, err := c.dec.DecodeAll(src, dst[:0:len(dst)])
	got := min(len(out), len(dst))
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return &CorruptError{Zstd, len(dst), got, ErrLong}
	case err != nil:
		return &CorruptError{Zstd, len(dst), got, err}
	case len(out) < len(dst):
		return &CorruptError{Zstd, len(dst), len(out), ErrShort}
	case len(dst) > 0 && &out[0] != &dst[0]:
		// The library gave another buffer, which the limit forbids.
		copy(dst, out)
	}
	return nil
}
