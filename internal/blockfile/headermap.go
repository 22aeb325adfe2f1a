package blockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"

	"gsprobackup/internal/crc32c"
)

// MapRef says where the header array of one file is in page_header_map: the
// fields n_headers, hdr_crc, hdr_off and hdr_size of its content-list line.
type MapRef struct {
	N    int    // pages; the array has one record more
	CRC  uint32 // CRC32C of the raw array
	Off  int64  // of the zlib stream
	Size int32  // bytes of the zlib stream
}

// MapCRCError tells that an array was read but is not the one recorded.
type MapCRCError struct {
	Ref   MapRef
	Found uint32
}

func (e *MapCRCError) Error() string {
	return fmt.Sprintf("page headers at offset %d: CRC %d, want %d", e.Ref.Off, e.Found, e.Ref.CRC)
}

// MapWriter appends header arrays to a page_header_map. It is safe for
// concurrent use; arrays land in the order of the calls.
type MapWriter struct {
	mu  sync.Mutex
	dst io.Writer
	off int64
	err error
	// packers keeps *packer: a fresh deflate state per file would cost more
	// than packing the few records of a small one.
	packers sync.Pool
}

// NewMapWriter starts a map at offset 0 of dst. Buffering, syncing and
// closing dst are the caller's.
func NewMapWriter(dst io.Writer) *MapWriter { return &MapWriter{dst: dst} }

// Append packs the headers of one stored file of total bytes and writes them.
// headers must not be empty. After a write error the map is unusable and every
// further call returns that error.
func (w *MapWriter) Append(headers []Header, total int64) (MapRef, error) {
	p := w.packer()
	defer w.packers.Put(p)
	packed, err := p.pack(headers, total)
	if err != nil {
		return MapRef{}, err
	}
	return w.Store(packed)
}

// Pack is Append without the writing.
func (w *MapWriter) Pack(headers []Header, total int64) (PackedHeaders, error) {
	p := w.packer()
	defer w.packers.Put(p)
	packed, err := p.pack(headers, total)
	packed.stream = bytes.Clone(packed.stream)
	return packed, err
}

// Store writes an array that is packed already, be it in another map.
func (w *MapWriter) Store(p PackedHeaders) (MapRef, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return MapRef{}, w.err
	}
	ref := MapRef{N: p.n, CRC: p.crc, Off: w.off, Size: int32(len(p.stream))}
	done, err := w.dst.Write(p.stream)
	w.off += int64(done)
	if err != nil {
		w.err = fmt.Errorf("write page headers: %w", err)
		return MapRef{}, w.err
	}
	return ref, nil
}

// Size is the number of bytes written so far.
func (w *MapWriter) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.off
}

// packRecords is how many records are encoded at once on their way into zlib.
const packRecords = 256

// packer packs one header array and sums its raw bytes.
type packer struct {
	z   *zlib.Writer
	out bytes.Buffer
	raw []byte
	crc uint32
}

// packer gives an empty packer, to be put back after use.
func (w *MapWriter) packer() *packer {
	p, _ := w.packers.Get().(*packer)
	if p == nil {
		p = &packer{raw: make([]byte, 0, packRecords*HeaderSize)}
		// The level is a valid constant, the only thing that can be wrong.
		p.z, _ = zlib.NewWriterLevel(&p.out, zlib.BestSpeed)
	}
	p.out.Reset()
	p.z.Reset(&p.out)
	p.crc = 0
	return p
}

// pack packs the headers of one stored file of total bytes. The stream is
// part of p.
func (p *packer) pack(headers []Header, total int64) (PackedHeaders, error) {
	if len(headers) == 0 {
		return PackedHeaders{}, errors.New("write page headers: no headers")
	}
	if err := checkHeaders(headers, total); err != nil {
		return PackedHeaders{}, fmt.Errorf("write page headers: %w", err)
	}
	for rest := headers; len(rest) > 0; {
		n := min(len(rest), packRecords)
		p.raw = p.raw[:0]
		for _, h := range rest[:n] {
			p.raw = appendRecord(p.raw, h)
		}
		if err := p.write(p.raw); err != nil {
			return PackedHeaders{}, err
		}
		rest = rest[n:]
	}
	if err := p.write(appendRecord(p.raw[:0], Header{Pos: int32(total)})); err != nil {
		return PackedHeaders{}, err
	}
	if err := p.z.Close(); err != nil {
		return PackedHeaders{}, fmt.Errorf("pack page headers: %w", err)
	}
	return PackedHeaders{n: len(headers), crc: p.crc, stream: p.out.Bytes()}, nil
}

func (p *packer) write(raw []byte) error {
	p.crc = crc32c.Update(p.crc, raw)
	if _, err := p.z.Write(raw); err != nil {
		return fmt.Errorf("pack page headers: %w", err)
	}
	return nil
}

// PackedHeaders is the header array of one file as a map has it. Its zero value
// is that of a file without pages.
type PackedHeaders struct {
	n      int
	crc    uint32 // of the raw array
	stream []byte
}

// Len is the number of bytes it takes in a map.
func (p PackedHeaders) Len() int { return len(p.stream) }

// ReadHeaders reads, checks and decodes one header array. total is the length
// the stored file must have. Damage is a *CorruptError or a *MapCRCError.
func ReadHeaders(src io.ReaderAt, ref MapRef) (headers []Header, total int64, err error) {
	_, raw, err := readArray(src, ref)
	if err != nil {
		return nil, 0, err
	}
	return ParseHeaders(raw)
}

// ReadPacked is ReadHeaders for an array that is to go into another map.
func ReadPacked(src io.ReaderAt, ref MapRef) (PackedHeaders, error) {
	stream, _, err := readArray(src, ref)
	if err != nil {
		return PackedHeaders{}, err
	}
	return PackedHeaders{n: ref.N, crc: ref.CRC, stream: stream}, nil
}

// readArray reads an array packed and raw, and checks it.
func readArray(src io.ReaderAt, ref MapRef) (stream, raw []byte, err error) {
	want := (int64(ref.N) + 1) * HeaderSize
	// Deflate cannot shrink below 1:1032; a reference that claims more is
	// damaged, and must not make us allocate for its claim. Nor does it grow.
	if ref.N < 1 || ref.Off < 0 || ref.Size < 8 || want > int64(ref.Size)*1032 || want > math.MaxInt32 {
		return nil, nil, corruptf(ref.Off, "impossible page header reference: %d headers in %d bytes", ref.N, ref.Size)
	}
	stream = make([]byte, min(int64(ref.Size), 2*want+64))
	n, err := src.ReadAt(stream, ref.Off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, mapReadError(ref, err)
	}
	stream = stream[:n] // what is missing is told by zlib
	z, err := zlib.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, nil, mapReadError(ref, err)
	}
	defer z.Close()
	raw = make([]byte, want)
	if _, err := io.ReadFull(z, raw); err != nil {
		return nil, nil, mapReadError(ref, err)
	}
	// Reading on to EOF makes zlib verify its own checksum.
	if n, err := z.Read(make([]byte, 1)); n != 0 {
		return nil, nil, corruptf(ref.Off, "more than %d page headers", ref.N)
	} else if err != io.EOF {
		return nil, nil, mapReadError(ref, err)
	}
	if found := crc32c.Sum(raw); found != ref.CRC {
		return nil, nil, &MapCRCError{Ref: ref, Found: found}
	}
	return stream, raw, nil
}

// mapReadError sorts damage (bad zlib stream, short map) from I/O errors.
func mapReadError(ref MapRef, err error) error {
	var bad flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &bad),
		errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary):
		return corruptf(ref.Off, "page headers do not unpack: %v", err)
	}
	return fmt.Errorf("read page headers at offset %d: %w", ref.Off, err)
}
