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
	if len(headers) == 0 {
		return MapRef{}, errors.New("write page headers: no headers")
	}
	if err := checkHeaders(headers, total); err != nil {
		return MapRef{}, fmt.Errorf("write page headers: %w", err)
	}
	p := w.packer()
	defer w.packers.Put(p)
	for rest := headers; len(rest) > 0; {
		n := min(len(rest), packRecords)
		p.raw = p.raw[:0]
		for _, h := range rest[:n] {
			p.raw = appendRecord(p.raw, h)
		}
		if err := p.write(p.raw); err != nil {
			return MapRef{}, err
		}
		rest = rest[n:]
	}
	if err := p.write(appendRecord(p.raw[:0], Header{Pos: int32(total)})); err != nil {
		return MapRef{}, err
	}
	return w.store(p, len(headers))
}

// AppendRaw is Append for an array that is already encoded, such as one kept
// by a merge.
func (w *MapWriter) AppendRaw(raw []byte) (MapRef, error) {
	p := w.packer()
	defer w.packers.Put(p)
	if err := p.write(raw); err != nil {
		return MapRef{}, err
	}
	return w.store(p, len(raw)/HeaderSize-1)
}

// store writes what p has packed, an array for n pages.
func (w *MapWriter) store(p *packer, n int) (MapRef, error) {
	if err := p.z.Close(); err != nil {
		return MapRef{}, fmt.Errorf("pack page headers: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return MapRef{}, w.err
	}
	ref := MapRef{N: n, CRC: p.crc, Off: w.off, Size: int32(p.out.Len())}
	done, err := w.dst.Write(p.out.Bytes())
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

func (p *packer) write(raw []byte) error {
	p.crc = crc32c.Update(p.crc, raw)
	if _, err := p.z.Write(raw); err != nil {
		return fmt.Errorf("pack page headers: %w", err)
	}
	return nil
}

// ReadHeaders reads, checks and decodes one header array. total is the length
// the stored file must have. Damage is a *CorruptError or a *MapCRCError.
func ReadHeaders(src io.ReaderAt, ref MapRef) (headers []Header, total int64, err error) {
	raw, err := ReadRawHeaders(src, ref)
	if err != nil {
		return nil, 0, err
	}
	return ParseHeaders(raw)
}

// ReadRawHeaders is ReadHeaders without decoding.
func ReadRawHeaders(src io.ReaderAt, ref MapRef) ([]byte, error) {
	want := (int64(ref.N) + 1) * HeaderSize
	// Deflate cannot shrink below 1:1032; a reference that claims more is
	// damaged, and must not make us allocate for its claim.
	if ref.N < 1 || ref.Off < 0 || ref.Size < 8 || want > int64(ref.Size)*1032 || want > math.MaxInt32 {
		return nil, corruptf(ref.Off, "impossible page header reference: %d headers in %d bytes", ref.N, ref.Size)
	}
	section := io.NewSectionReader(src, ref.Off, int64(ref.Size))
	z, err := zlib.NewReader(section)
	if err != nil {
		return nil, mapReadError(ref, err)
	}
	defer z.Close()
	raw := make([]byte, want)
	if _, err := io.ReadFull(z, raw); err != nil {
		return nil, mapReadError(ref, err)
	}
	// Reading on to EOF makes zlib verify its own checksum.
	if n, err := z.Read(make([]byte, 1)); n != 0 {
		return nil, corruptf(ref.Off, "more than %d page headers", ref.N)
	} else if err != io.EOF {
		return nil, mapReadError(ref, err)
	}
	if found := crc32c.Sum(raw); found != ref.CRC {
		return nil, &MapCRCError{Ref: ref, Found: found}
	}
	return raw, nil
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
