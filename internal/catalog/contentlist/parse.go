package contentlist

import (
	"bytes"
	"math"
	"strconv"

	"gsprobackup/internal/compress"
)

// parseFixed reads a line with its keys in the order every release writes
// them. The end of the path is the last place from which the rest of the line
// makes sense; so a path may contain quotes and commas.
func parseFixed(line []byte) (Entry, bool) {
	const sizeKey = `", "size":"`
	rest, ok := bytes.CutPrefix(line, []byte(`{"path":"`))
	if !ok {
		return Entry{}, false
	}
	for end := len(rest); ; {
		end = bytes.LastIndex(rest[:end], []byte(sizeKey))
		if end <= 0 {
			return Entry{}, false
		}
		if e, ok := parseBehindPath(rest[end+len(sizeKey):]); ok {
			e.Path = string(rest[:end])
			return e, true
		}
	}
}

// parseBehindPath reads the line from the value of "size" on.
func parseBehindPath(rest []byte) (e Entry, ok bool) {
	c := cursor{rest: rest, ok: true}
	e.Size = c.num(math.MinInt64, math.MaxInt64)
	c.want(`", "mode":"`)
	e.Mode = uint32(c.num(0, math.MaxUint32))
	c.want(`", "is_datafile":"`)
	e.IsDatafile = c.num(0, 1) == 1
	c.want(`", "is_cfs":"`)
	e.IsCFS = c.num(0, 1) == 1
	c.want(`", "crc":"`)
	e.CRC = uint32(c.num(0, math.MaxUint32))
	c.want(`", "compress_alg":"`)
	e.CompressAlg = c.algorithm()
	c.want(`", "external_dir_num":"`)
	e.ExternalDir = int(c.num(0, math.MaxInt32))
	c.want(`", "dbOid":"`)
	e.DBOid = uint32(c.num(0, math.MaxUint32))
	if c.has(`", "file_type":"`) { // since 5.0
		e.FileType = int(c.num(0, math.MaxInt32))
	}
	if c.has(`","segno":"`) {
		e.Segno = int(c.num(0, math.MaxInt32))
	}
	if c.has(`","compressedFile":"1","compressedChunkSize":"`) {
		e.Compressed = &CompressedInfo{ChunkSize: int(c.num(0, math.MaxInt32))}
		c.want(`","compressedAlgorithm":"`)
		e.Compressed.Algorithm = int(c.num(0, math.MaxInt32))
		if c.has(`","compressedExtentPages":"`) {
			e.Compressed.ExtentPages = int(c.num(0, math.MaxInt32))
		}
	}
	if c.has(`","linked":"`) {
		return c.linked(e)
	}
	return c.blocks(e)
}

// cursor walks over a line; after the first mismatch ok stays false.
type cursor struct {
	rest []byte
	ok   bool
}

func (c *cursor) has(lit string) bool {
	if !c.ok || !bytes.HasPrefix(c.rest, []byte(lit)) {
		return false
	}
	c.rest = c.rest[len(lit):]
	return true
}

func (c *cursor) want(lit string) { c.ok = c.has(lit) }

// num reads a decimal number up to the next quote.
func (c *cursor) num(lo, hi int64) int64 {
	end := bytes.IndexByte(c.rest, '"')
	if !c.ok || end < 0 {
		c.ok = false
		return 0
	}
	n, err := strconv.ParseInt(string(c.rest[:end]), 10, 64)
	c.ok = err == nil && n >= lo && n <= hi
	c.rest = c.rest[end:]
	return n
}

func (c *cursor) algorithm() compress.Algorithm {
	end := bytes.IndexByte(c.rest, '"')
	if !c.ok || end < 0 {
		c.ok = false
		return compress.None
	}
	alg, err := compress.Parse(string(c.rest[:end]))
	c.ok = err == nil
	c.rest = c.rest[end:]
	return alg
}

// linked reads a link target up to the last place from which the rest of the
// line makes sense.
func (c *cursor) linked(e Entry) (Entry, bool) {
	for end := len(c.rest); c.ok; {
		end = bytes.LastIndexByte(c.rest[:end], '"')
		if end < 0 {
			break
		}
		tail := cursor{rest: c.rest[end:], ok: true}
		e.Linked = string(c.rest[:end])
		if done, ok := tail.blocks(e); ok && looksLast(c.rest[:end]) {
			return done, true
		}
	}
	return e, false
}

// looksLast refuses a target that has swallowed the optional keys behind it.
func looksLast(target []byte) bool {
	return !bytes.Contains(target, []byte(`","n_blocks":"`)) && !bytes.Contains(target, []byte(`","n_headers":"`))
}

// blocks reads the optional keys at the end and the end itself.
func (c *cursor) blocks(e Entry) (Entry, bool) {
	if c.has(`","n_blocks":"`) {
		e.NBlocks = int(c.num(0, math.MaxInt32))
	}
	if c.has(`","n_headers":"`) {
		e.NHeaders = int(c.num(0, math.MaxInt32))
		c.want(`","hdr_crc":"`)
		e.HdrCRC = uint32(c.num(0, math.MaxUint32))
		c.want(`","hdr_off":"`)
		e.HdrOff = c.num(0, math.MaxInt64)
		c.want(`","hdr_size":"`)
		e.HdrSize = int(c.num(0, math.MaxInt32))
	}
	c.want(`"}`)
	return e, c.ok && len(bytes.TrimRight(c.rest, "\r\n")) == 0
}
