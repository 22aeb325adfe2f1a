package remote

import (
	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/wal"
)

// MaxRunPages is the largest number of pages a run may read: 1 MiB of pages.
// Large enough for the disk, small enough to pass from the read through the
// checks to the write within a CPU's own cache.
const MaxRunPages = 128

// RunRequest asks for pages From..To-1 of a data file.
type RunRequest struct {
	Path string
	// From and To are block numbers inside the file. At most MaxRunPages of
	// them may be marked in Map (nil marks all).
	From, To uint32
	Map      *ptrack.PageMap
	// Floor drops pages that have not changed; the zero Floor keeps all.
	Floor Floor
	// FirstBlock is the number of the file's block 0 in its relation:
	// segment number times blocks per segment. The page checksum covers it.
	FirstBlock uint32
	Rules      pgdata.PageRules
	// Compressed is set for a row-compressed relation. Alg must not be None
	// then: the format wants its images packed.
	Compressed *CompressedFile
	// Alg and Level choose the codec; None and Undefined store raw pages.
	Alg   compress.Algorithm
	Level int
}

// Floor tells unchanged pages by their LSN, for increments without help of the
// server. A page is dropped when its LSN is a WAL position before LSN, unless
// one of the other fields keeps it. Zero pages are always kept: they may stand
// where another page was before. So are pages with a made-up LSN, which some
// index builds leave on disk.
type Floor struct {
	// LSN is the start position of the parent backup; 0 drops nothing.
	LSN wal.LSN
	// Known is the number of blocks the parent knew of; pages behind them
	// are kept. Copying a database gives its files pages with old LSNs.
	Known uint32
	// KeepVisible keeps pages that are marked all-visible. Where hint bits
	// are not logged, the mark is set without a new LSN, and a page without
	// it but with its bit in the visibility map gives wrong answers.
	KeepVisible bool
	// Marked, if there is one, has the blocks to keep whatever their pages
	// say, and KeepVisible means nothing. Set that all the same: an agent
	// that does not know Marked goes by it.
	Marked *ptrack.PageMap
}

// drops tells whether a page is left out.
func (f Floor) drops(block uint32, page []byte, check pgdata.PageCheck) bool {
	return f.LSN != 0 && check.Status != pgdata.PageZero &&
		check.LSN < f.LSN && check.LSN >= pgdata.FirstLSN && block < f.Known &&
		!f.keeps(block, page)
}

func (f Floor) keeps(block uint32, page []byte) bool {
	if f.Marked != nil {
		return f.Marked.Has(block)
	}
	return f.KeepVisible && pgdata.PageAllVisible(page)
}

// Run is the answer to a RunRequest: the stored frames of the pages that were
// wanted, and what was met on the way.
type Run struct {
	blockfile.Run
	// Pages is the number of pages read and checked, dropped ones included.
	Pages int
	// ZeroPages is how many of them were all zero.
	ZeroPages int
	// Rereads counts the extra reads that torn pages took.
	Rereads int
	// EOF tells that the file ended before a wanted block of the range; End
	// is then the first block it does not have. A server may truncate a
	// relation at any time, so this is no error.
	EOF bool
	End uint32
	// Partial is the number of bytes after the last complete page when EOF
	// is set, normally 0.
	Partial int
}

// Reset empties the run and keeps its memory.
func (r *Run) Reset() {
	r.Run.Reset()
	*r = Run{Run: r.Run}
}

// WriteRequest asks to write pages into a data file.
type WriteRequest struct {
	Path string
	// Frames are stored frames as blockfile reads them. Headers choose the
	// ones to write; Pos counts from the start of Frames, blocks ascend.
	Frames  []byte
	Headers []blockfile.Header
	// Alg is the algorithm the frames were packed with.
	Alg compress.Algorithm
	// Settle asks that the system begins to write the pages to disk, for a
	// file that will be synced. It is a hint.
	Settle bool
}
