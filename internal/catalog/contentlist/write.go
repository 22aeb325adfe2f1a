package contentlist

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"gsprobackup/internal/crc32c"
)

// UnstorableError tells that an entry has no line that can be read back.
type UnstorableError struct {
	Path   string
	Reason string
}

func (e *UnstorableError) Error() string {
	return fmt.Sprintf("list file %q: %s", e.Path, e.Reason)
}

// Writer writes entries to a list and keeps the CRC over it.
type Writer struct {
	w   io.Writer
	buf []byte
	crc uint32
	n   int
}

// NewWriter returns a Writer. It writes line by line, so w should be buffered.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write appends one entry. Segno and Compressed are only stored for data
// files. An *UnstorableError leaves the list as it was.
func (w *Writer) Write(e *Entry) error {
	w.buf = appendLine(w.buf[:0], e)
	if err := checkLine(w.buf, e); err != nil {
		return err
	}
	if _, err := w.w.Write(w.buf); err != nil {
		return fmt.Errorf("write content list: %w", err)
	}
	w.crc = crc32c.Update(w.crc, w.buf)
	w.n++
	return nil
}

// CRC is the CRC32C of all bytes written so far, the content-crc of
// backup.control (spec/formats.md §3.7).
func (w *Writer) CRC() uint32 { return w.crc }

// Count is the number of entries written so far.
func (w *Writer) Count() int { return w.n }

// checkLine refuses what the reader would not give back. Only a line break
// and pathological texts with quotes can do that.
func checkLine(line []byte, e *Entry) error {
	switch {
	case e.Path == "":
		return &UnstorableError{Path: e.Path, Reason: "the path is empty"}
	case strings.ContainsRune(e.Path, '\n') || strings.ContainsRune(e.Linked, '\n'):
		return &UnstorableError{Path: e.Path, Reason: "a name with a line feed cannot be stored in this format"}
	case len(line) > maxLine:
		return &UnstorableError{Path: e.Path, Reason: "the name is too long"}
	case strings.ContainsRune(e.Path, '"') || strings.ContainsRune(e.Linked, '"'):
		back, ok := parseFixed(line)
		if !ok || back.Path != e.Path || back.Linked != e.Linked {
			return &UnstorableError{Path: e.Path, Reason: "the name looks like list syntax"}
		}
	}
	return nil
}

func appendLine(b []byte, e *Entry) []byte {
	b = append(b, `{"path":"`...)
	b = append(b, e.Path...)
	b = appendInt(b, `", "size":"`, e.Size)
	b = appendInt(b, `", "mode":"`, int64(e.Mode))
	b = appendInt(b, `", "is_datafile":"`, bit(e.IsDatafile))
	b = appendInt(b, `", "is_cfs":"`, bit(e.IsCFS))
	b = appendInt(b, `", "crc":"`, int64(e.CRC))
	b = append(b, `", "compress_alg":"`...)
	b = append(b, e.CompressAlg.String()...)
	b = appendInt(b, `", "external_dir_num":"`, int64(e.ExternalDir))
	b = appendInt(b, `", "dbOid":"`, int64(e.DBOid))
	b = appendInt(b, `", "file_type":"`, int64(e.FileType))
	if e.IsDatafile {
		b = appendInt(b, `","segno":"`, int64(e.Segno))
		if c := e.Compressed; c != nil {
			b = append(b, `","compressedFile":"1`...)
			b = appendInt(b, `","compressedChunkSize":"`, int64(c.ChunkSize))
			b = appendInt(b, `","compressedAlgorithm":"`, int64(c.Algorithm))
			if c.ExtentPages != 0 {
				b = appendInt(b, `","compressedExtentPages":"`, int64(c.ExtentPages))
			}
		}
	}
	if e.Linked != "" {
		b = append(b, `","linked":"`...)
		b = append(b, e.Linked...)
	}
	if e.NBlocks > 0 {
		b = appendInt(b, `","n_blocks":"`, int64(e.NBlocks))
	}
	if e.NHeaders > 0 {
		b = appendInt(b, `","n_headers":"`, int64(e.NHeaders))
		b = appendInt(b, `","hdr_crc":"`, int64(e.HdrCRC))
		b = appendInt(b, `","hdr_off":"`, e.HdrOff)
		b = appendInt(b, `","hdr_size":"`, int64(e.HdrSize))
	}
	return append(b, "\"}\n"...)
}

func appendInt(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(b, key...), n, 10)
}

func bit(v bool) int64 {
	if v {
		return 1
	}
	return 0
}
