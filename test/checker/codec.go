package checker

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// unpack gives the 8192 bytes of a stored page. A payload of full length is a
// raw page whatever the algorithm (§5.1).
func unpack(alg string, payload []byte) ([]byte, error) {
	if len(payload) == blockSize {
		return payload, nil
	}
	var page []byte
	var err error
	switch alg {
	case "zlib":
		page, err = unzlib(payload)
	case "zstd":
		page, err = unzstd(payload)
	case "lz4":
		page = make([]byte, blockSize)
		var n int
		n, err = lz4.UncompressBlock(payload, page)
		page = page[:max(n, 0)]
	case "pglz":
		page, err = unpglz(payload)
	default:
		err = errors.New("short payload without compression")
	}
	if err != nil {
		return nil, err
	}
	if len(page) != blockSize {
		return nil, fmt.Errorf("unpacks to %d bytes", len(page))
	}
	return page, nil
}

// zlibReaders are used again: making one costs more than a page.
var zlibReaders sync.Pool

func unzlib(payload []byte) ([]byte, error) {
	in := bytes.NewReader(payload)
	z, ok := zlibReaders.Get().(io.ReadCloser)
	var err error
	if ok {
		err = z.(zlib.Resetter).Reset(in, nil)
	} else {
		z, err = zlib.NewReader(in)
	}
	if err != nil {
		return nil, err
	}
	defer zlibReaders.Put(z)
	page, err := io.ReadAll(io.LimitReader(z, blockSize+1))
	if err == nil && in.Len() != 0 {
		err = fmt.Errorf("%d bytes after the zlib stream", in.Len())
	}
	return page, err
}

func unzstd(payload []byte) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(payload, nil)
}

var errPGLZ = errors.New("pglz stream is damaged")

// unpglz decodes §6: groups of a control byte and 8 items, a literal for a 0
// bit, a copy for a 1 bit.
func unpglz(in []byte) ([]byte, error) {
	out := make([]byte, 0, blockSize)
	for len(in) > 0 {
		control := in[0]
		in = in[1:]
		for bit := 0; bit < 8 && len(in) > 0; bit++ {
			if control>>bit&1 == 0 {
				out = append(out, in[0])
				in = in[1:]
				continue
			}
			if len(in) < 2 {
				return nil, errPGLZ
			}
			length, offset := int(in[0]&0x0F)+3, int(in[0]&0xF0)<<4|int(in[1])
			in = in[2:]
			if length == 18 {
				if len(in) == 0 {
					return nil, errPGLZ
				}
				length += int(in[0])
				in = in[1:]
			}
			if offset == 0 || offset > len(out) || len(out)+length > blockSize {
				return nil, errPGLZ
			}
			for range length {
				out = append(out, out[len(out)-offset])
			}
		}
	}
	return out, nil
}
