package validate

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/wal"
)

// pieceBytes is how much of a stored file one worker checks at a time. A
// larger file is shared between the workers.
const pieceBytes = 16 << 20

// dataFile is a stored data file under check. Workers check pieces of it; the
// last one to finish closes it.
type dataFile struct {
	path    string
	entry   *contentlist.Entry
	src     fsx.File
	headers []blockfile.Header
	total   int64
	pieces  []piece
	bad     atomic.Bool
	// unread is set when some bytes could not be summed up.
	unread atomic.Bool
}

// piece is a range of frames and, once checked, the CRC of its bytes.
type piece struct {
	lo, hi int
	crc    uint32
	bytes  int64
}

// pageSettings are what a page check needs to know of the cluster.
type pageSettings struct {
	Rules        pgdata.PageRules
	RelSegBlocks uint32
	StopLSN      wal.LSN
	// CRCOnly leaves out the pages and compares the file's CRC
	// (--skip-block-validation).
	CRCOnly bool
}

// absolute is the block number a page checksum was made with.
func (s pageSettings) absolute(e *contentlist.Entry, block uint32) uint32 {
	seg := s.RelSegBlocks
	if e.Compressed != nil {
		seg = pgdata.ImageFormatOf(e.Path).SegBlocks()
	}
	return uint32(e.Segno)*seg + block
}

// openDataFile reads the page headers of a file and cuts it into pieces. A
// nil result means that damage was reported.
func openDataFile(path string, e *contentlist.Entry, mapPath string, headerMap io.ReaderAt, src fsx.File, sink event.Sink) *dataFile {
	d := &dataFile{path: path, entry: e, src: src}
	if e.NHeaders <= 0 {
		// Only the frames themselves tell where pages are: one piece, read
		// in order.
		d.pieces = []piece{{}}
		return d
	}
	ref := blockfile.MapRef{N: e.NHeaders, CRC: e.HdrCRC, Off: e.HdrOff, Size: int32(e.HdrSize)}
	if headerMap == nil {
		sink.Emit(HeadersUnreadable{Path: path, MapPath: mapPath, Err: syscall.ENOENT})
		return nil
	}
	headers, total, err := blockfile.ReadHeaders(headerMap, ref)
	var crc *blockfile.MapCRCError
	var damage *blockfile.CorruptError
	switch {
	case errors.As(err, &crc):
		sink.Emit(HeadersCRC{Path: path, MapPath: mapPath, Offset: e.HdrOff, Size: int64(e.HdrSize), Found: crc.Found, Expected: e.HdrCRC})
		return nil
	case errors.As(err, &damage):
		sink.Emit(HeadersDamaged{Path: path, File: e.Path, Err: err})
		return nil
	case err != nil:
		sink.Emit(HeadersUnreadable{Path: path, MapPath: mapPath, Err: err})
		return nil
	case total != e.Size:
		sink.Emit(HeadersDamaged{Path: path, File: e.Path, Err: fmt.Errorf("header map says %d bytes, list says %d", total, e.Size)})
		return nil
	}
	d.headers, d.total = headers, total
	d.cut()
	return d
}

// cut divides the headers into pieces of about pieceBytes.
func (d *dataFile) cut() {
	lo := 0
	for lo < len(d.headers) {
		hi := lo + 1
		limit := int64(d.headers[lo].Pos) + pieceBytes
		for hi < len(d.headers) && blockfile.EndOf(d.headers, hi, d.total) <= limit {
			hi++
		}
		d.pieces = append(d.pieces, piece{lo: lo, hi: hi})
		lo = hi
	}
}

// crc combines the pieces' CRCs in order.
func (d *dataFile) crc() uint32 {
	sum := uint32(0)
	for _, p := range d.pieces {
		sum = crc32c.Combine(sum, p.crc, p.bytes)
	}
	return sum
}

// pageChecker is one worker's state: codecs, page buffer and read buffer.
type pageChecker struct {
	codecs map[compress.Algorithm]compress.Codec
	page   []byte
	run    blockfile.Run
	reader *blockfile.Reader
	sink   event.Sink
}

func newPageChecker(sink event.Sink) *pageChecker {
	return &pageChecker{codecs: map[compress.Algorithm]compress.Codec{}, page: make([]byte, blockfile.PageSize), sink: sink}
}

func (c *pageChecker) codec(alg compress.Algorithm) (compress.Codec, error) {
	if codec, ok := c.codecs[alg]; ok {
		return codec, nil
	}
	codec, err := compress.New(alg, 1)
	if err != nil {
		return nil, err
	}
	c.codecs[alg] = codec
	return codec, nil
}

// readRun is the size of one read while a piece is checked.
const readRun = 1 << 20

// checkPiece checks one piece and records its CRC; it reports whether all was
// well.
func (c *pageChecker) checkPiece(d *dataFile, p *piece, s pageSettings) (bool, error) {
	codec, err := c.codec(d.entry.CompressAlg)
	if err != nil {
		return false, err
	}
	if d.headers == nil {
		return c.checkStream(d, p, codec, s)
	}
	good := true
	for lo := p.lo; lo < p.hi; {
		hi := lo + 1
		limit := int64(d.headers[lo].Pos) + readRun
		for hi < p.hi && blockfile.EndOf(d.headers, hi, d.total) <= limit {
			hi++
		}
		if err := blockfile.ReadFrames(d.src, d.headers, d.total, lo, hi, &c.run); err != nil {
			d.unread.Store(true)
			c.sink.Emit(FrameDamaged{Path: d.path, Err: err})
			return false, nil //nolint:nilerr // damage is reported, not an error
		}
		p.crc = crc32c.Update(p.crc, c.run.Frames)
		p.bytes += int64(len(c.run.Frames))
		if !s.CRCOnly {
			for i, h := range c.run.Headers {
				good = c.checkPage(d, h.Block, c.run.Payload(i), codec, s) && good
			}
		}
		lo = hi
	}
	return good, nil
}

// checkStream checks a file that has no entry in the header map.
func (c *pageChecker) checkStream(d *dataFile, p *piece, codec compress.Codec, s pageSettings) (bool, error) {
	src := io.NewSectionReader(d.src, 0, d.entry.Size)
	if c.reader == nil {
		c.reader = blockfile.NewReader(src)
	} else {
		c.reader.Reset(src, nil, 0)
	}
	good := true
	for {
		h, payload, err := c.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			d.unread.Store(true)
			c.sink.Emit(FrameDamaged{Path: d.path, Err: err})
			return false, nil //nolint:nilerr // damage is reported, not an error
		}
		if !s.CRCOnly {
			good = c.checkPage(d, h.Block, payload, codec, s) && good
		}
	}
	p.crc, p.bytes = c.reader.CRC(), c.reader.Size()
	return good, nil
}

// checkPage decodes one stored page and checks it as the server would.
func (c *pageChecker) checkPage(d *dataFile, block uint32, payload []byte, codec compress.Codec, s pageSettings) bool {
	page := payload
	if len(payload) != blockfile.PageSize {
		page = c.page
		if err := blockfile.Decode(codec, page, payload); err != nil {
			c.sink.Emit(PageUndecodable{Path: d.path, Block: block, Err: err})
			return false
		}
	}
	blkno := s.absolute(d.entry, block)
	var pc pgdata.PageCheck
	if d.entry.Compressed != nil {
		pc = pgdata.ImageFormatOf(d.entry.Path).Check(page, blkno).Page
	} else {
		pc = pgdata.CheckPage(page, blkno, s.Rules)
	}
	switch pc.Status {
	case pgdata.PageHeaderInvalid:
		c.sink.Emit(PageInsane{Path: d.path, File: d.entry.Path, Block: block, Reason: pc.Reason})
		return false
	case pgdata.PageChecksumMismatch:
		c.sink.Emit(PageChecksum{Path: d.path, File: d.entry.Path, Block: block, Found: pc.Computed, Expected: pc.Found})
		return false
	case pgdata.PageValid:
		if s.StopLSN != 0 && pc.LSN > s.StopLSN {
			c.sink.Emit(PageFuture{Path: d.path, File: d.entry.Path, Block: block, ChecksumKnown: s.Rules.Checksums, PageLSN: pc.LSN, Stop: s.StopLSN})
		}
	}
	return true
}
