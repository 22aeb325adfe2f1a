package contentlist

import (
	"bytes"
	"math"
	"strconv"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/usererr"
)

// scanKeys reads a line whose keys stand in another order, as the C tool
// would: by name, values up to the next quote. It is also what finds the
// words for a damaged line.
func scanKeys(line []byte) (e Entry, err error) {
	values, ok := splitKeys(line)
	if !ok {
		return Entry{}, badFormat(line)
	}
	f := fields{line: line, values: values}
	e.Path = f.text("path", true)
	e.Size = f.num("size", true, math.MinInt64, math.MaxInt64)
	e.Mode = uint32(f.num("mode", true, 0, math.MaxUint32))
	e.IsDatafile = f.num("is_datafile", true, 0, 1) == 1
	e.IsCFS = f.num("is_cfs", false, 0, 1) == 1
	e.CRC = uint32(f.num("crc", true, 0, math.MaxUint32))
	e.CompressAlg = f.algorithm()
	e.ExternalDir = int(f.num("external_dir_num", false, 0, math.MaxInt32))
	e.DBOid = uint32(f.num("dbOid", false, 0, math.MaxUint32))
	e.FileType = int(f.num("file_type", false, 0, math.MaxInt32))
	e.Segno = int(f.num("segno", false, 0, math.MaxInt32))
	if f.num("compressedFile", false, 0, 1) == 1 {
		e.Compressed = &CompressedInfo{
			Algorithm: int(f.num("compressedAlgorithm", true, 0, math.MaxInt32)),
			ChunkSize: int(f.num("compressedChunkSize", true, 0, math.MaxInt32)),

			ExtentPages: int(f.num("compressedExtentPages", false, 0, math.MaxInt32)),
		}
	}
	e.Linked = f.text("linked", false)
	e.NBlocks = int(f.num("n_blocks", false, 0, math.MaxInt32))
	if e.NHeaders = int(f.num("n_headers", false, 0, math.MaxInt32)); e.NHeaders > 0 {
		e.HdrCRC = uint32(f.num("hdr_crc", true, 0, math.MaxUint32))
		e.HdrOff = f.num("hdr_off", true, 0, math.MaxInt64)
		e.HdrSize = int(f.num("hdr_size", true, 0, math.MaxInt32))
	}
	if f.err == nil && e.Path == "" {
		f.err = badFormat(line)
	}
	return e, f.err
}

// splitKeys cuts {"key":"value", ...} apart; the first of equal keys wins.
func splitKeys(line []byte) (map[string]string, bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("{"))
	if !ok {
		return nil, false
	}
	values := make(map[string]string)
	for {
		parts := bytes.SplitN(rest, []byte{'"'}, 5) // "key":"value" rest
		if len(parts) < 5 || len(bytes.Trim(parts[0], ", ")) != 0 || string(bytes.TrimSpace(parts[2])) != ":" {
			return values, len(values) > 0 && string(bytes.TrimSpace(rest)) == "}"
		}
		if _, twice := values[string(parts[1])]; !twice {
			values[string(parts[1])] = string(parts[3])
		}
		rest = parts[4]
	}
}

// fields gives access to the values of a line and keeps the first error.
type fields struct {
	line   []byte
	values map[string]string
	err    error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *fields) text(key string, mandatory bool) string {
	v, ok := f.values[key]
	if !ok && mandatory {
		f.fail(missingField(key, f.line))
	}
	return v
}

// num refuses a number that does not fit; the C tool takes one beyond 64 bits
// for -1, which means "unchanged".
func (f *fields) num(key string, mandatory bool, lo, hi int64) int64 {
	v, ok := f.values[key]
	if !ok {
		if mandatory {
			f.fail(missingField(key, f.line))
		}
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < lo || n > hi {
		f.fail(outOfRange(key, f.line))
		return 0
	}
	return n
}

func (f *fields) algorithm() compress.Algorithm {
	v := f.values["compress_alg"]
	if v == "" {
		f.fail(usererr.Wrap(ErrFormat, "compress algorithm is empty"))
		return compress.None
	}
	alg, err := compress.Parse(v)
	if err != nil {
		f.fail(usererr.Wrap(ErrFormat, `invalid compress algorithm value "%s"`, v))
	}
	return alg
}
