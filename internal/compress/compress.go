// Package compress holds the page codecs of the backup format.
//
// It owns the algorithm names and numbers of spec/formats.md §5.3 and one
// Codec per algorithm (pglz per §6). It leaves to blockfile what is compressed
// when, and to internal/cli the option syntax.
//
//	name  number  payload in a page stream
//	none  1       raw
//	pglz  2       raw pglz stream, no length header
//	zlib  3       zlib stream (RFC 1950)
//	lz4   4       one LZ4 block, no frame
//	zstd  5       one zstd frame
//
// A Codec works on single pages (at most MaxPage bytes), needs one buffer set
// (see New) and allocates nothing per page once it is warm. Decoders take any
// bytes: what is not exactly one page is a *CorruptError.
package compress

import (
	"errors"
	"fmt"
)

// MaxPage is the largest input of a Codec in bytes, the largest block size a
// server can be built with.
const MaxPage = 32 << 10

// ErrLevel is inside the error of New for a level outside 0..9.
var ErrLevel = errors.New("level is not in the range from 0 to 9")

// Algorithm is a page compression algorithm, numbered as the C tool does.
type Algorithm uint8

// The algorithms of spec/formats.md §5.3.
const (
	Undefined Algorithm = iota
	None
	PGLZ
	Zlib
	LZ4
	Zstd
)

// String returns the canonical lower-case name; Undefined prints "none", as
// the C tool does.
func (a Algorithm) String() string {
	switch a {
	case PGLZ:
		return "pglz"
	case Zlib:
		return "zlib"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return "none"
}

// Parse returns the algorithm with a canonical lower-case name. It knows no
// abbreviations; those are option syntax.
func Parse(name string) (Algorithm, error) {
	for a := None; a <= Zstd; a++ {
		if a.String() == name {
			return a, nil
		}
	}
	return Undefined, fmt.Errorf("parse compression algorithm: unknown name %q", name)
}

// New returns a codec. level is 0..9; zlib takes it as it is (0 never makes a
// page smaller), zstd takes 0 as its default 3, the others ignore it.
// Undefined behaves as None. Memory per codec: pglz 90 KiB, lz4 140
// KiB, zlib 0.8-1.4 MiB, zstd 0.3-4.4 MiB by level; under 100 KiB when it only
// decompresses.
func New(alg Algorithm, level int) (Codec, error) {
	if level < 0 || level > 9 {
		return nil, fmt.Errorf("make %s codec: %w: %d", alg, ErrLevel, level)
	}
	switch alg {
	case Undefined, None:
		return raw{}, nil
	case PGLZ:
		return new(pglz), nil
	case Zlib:
		return newZlib(level)
	case LZ4:
		return new(lz4Codec), nil
	case Zstd:
		return newZstd(level)
	}
	return nil, fmt.Errorf("make codec: unknown algorithm %d", int(alg))
}

// CorruptError tells that a payload is not one compressed page.
type CorruptError struct {
	Algorithm Algorithm
	Want      int   // size of a page in bytes
	Got       int   // bytes decoded before the problem, at most Want
	Err       error // what the decoder said
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("decompress %s page: %v (%d of %d bytes)", e.Algorithm, e.Err, e.Got, e.Want)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// What a CorruptError can hold, besides the errors of the libraries.
var (
	ErrShort    = errors.New("page ends early")
	ErrLong     = errors.New("more data than a page")
	ErrTrailing = errors.New("bytes after the end of the stream")
	ErrStream   = errors.New("bad stream")
)

// Codec compresses and decompresses single pages. A Codec keeps state and
// buffers, so each worker owns one; it is not safe for concurrent use.
type Codec interface {
	// Compress appends the compressed form of src to dst and returns the
	// extended slice; it may also use the spare capacity of dst. src is at
	// most MaxPage bytes and does not overlap dst. ok is false when the codec could not make src smaller
	// than itself; dst is then returned unchanged.
	Compress(dst, src []byte) (out []byte, ok bool, err error)
	// Decompress decodes src into dst, which must be filled exactly. Any
	// other outcome (short, long, trailing input, bad stream) is an error.
	Decompress(dst, src []byte) error
}
