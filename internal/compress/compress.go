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
package compress

// Algorithm is a page compression algorithm, numbered as the C tool does.
type Algorithm int

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

// Codec compresses and decompresses single pages. A Codec keeps state and
// buffers, so each worker owns one; it is not safe for concurrent use.
type Codec interface {
	// Compress appends the compressed form of src to dst and returns the
	// extended slice. ok is false when the codec could not make src smaller
	// than itself; dst is then returned unchanged.
	Compress(dst, src []byte) (out []byte, ok bool, err error)
	// Decompress decodes src into dst, which must be filled exactly. Any
	// other outcome (short, long, trailing input, bad stream) is an error.
	Decompress(dst, src []byte) error
}
