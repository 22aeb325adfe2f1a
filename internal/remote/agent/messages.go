package agent

import (
	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
)

// kind is what a message is. The numbers are the protocol: never used again
// for another thing.
type kind uint8

// Requests.
const (
	kindAdmit          kind = 1
	kindList           kind = 2
	kindStat           kind = 3
	kindReadFile       kind = 4
	kindReadAt         kind = 5
	kindCompressedInfo kind = 6

	kindReadRun  kind = 10
	kindCopyFile kind = 11
	kindChecksum kind = 12
	kindFileSums kind = 13
	kindPageSums kind = 14

	kindMkdir     kind = 20
	kindMkdirAll  kind = 21
	kindSymlink   kind = 22
	kindReadlink  kind = 23
	kindChmod     kind = 24
	kindRename    kind = 25
	kindRemove    kind = 26
	kindRemoveAll kind = 27
	kindSyncFile  kind = 28
	kindSyncDir   kind = 29
	kindVolume    kind = 30
	kindAlive     kind = 31

	// Of these, only the last two of the file and those of pages are
	// answered; see kindTrouble.
	kindCreateFile kind = 40
	kindFileData   kind = 41
	kindFileHole   kind = 42
	kindTruncate   kind = 43
	kindFileSync   kind = 44
	kindFileClose  kind = 45
	kindWriteRun   kind = 46
	kindWriteEnd   kind = 47
)

// Answers. A request is answered by any number of kindData, kindHole and
// kindEntries, where its method gives such, and one kindDone or kindError.
const (
	kindDone    kind = 128
	kindError   kind = 129
	kindData    kind = 130
	kindHole    kind = 131
	kindEntries kind = 132
	// kindTrouble comes unasked when a request without answer has failed, so
	// that no more is sent in vain. The next answer has the error again.
	kindTrouble kind = 133
)

type empty struct{}

func (*empty) fields(*codec) {}

// pathMessage is a request with a path only.
type pathMessage struct{ Path string }

func (m *pathMessage) fields(c *codec) { c.text(&m.Path) }

// pathsMessage is a request with many.
type pathsMessage struct{ Paths []string }

func (m *pathsMessage) fields(c *codec) { c.texts(&m.Paths) }

// twoPaths is old and new, or target and link.
type twoPaths struct{ From, To string }

func (m *twoPaths) fields(c *codec) { c.text(&m.From); c.text(&m.To) }

// pathMode is a path with permission bits.
type pathMode struct {
	Path string
	Mode uint32
}

func (m *pathMode) fields(c *codec) { c.text(&m.Path); c.u32(&m.Mode) }

// int64Message is one number.
type int64Message struct{ N int64 }

func (m *int64Message) fields(c *codec) { c.i64(&m.N) }

// boolMessage is one truth.
type boolMessage struct{ Yes bool }

func (m *boolMessage) fields(c *codec) { c.bool(&m.Yes) }

// bytesMessage is nothing but bytes.
type bytesMessage struct{ B []byte }

func (m *bytesMessage) fields(c *codec) { c.rest(&m.B) }

type listMessage struct{ remote.ListRequest }

func (m *listMessage) fields(c *codec) {
	c.text(&m.Root)
	c.bool(&m.FollowLinks)
	c.texts(&m.Prune)
	c.bool(&m.PruneHidden) // revision 2
}

type infoMessage struct{ remote.FileInfo }

func (m *infoMessage) fields(c *codec) {
	c.text(&m.Path)
	c.text(&m.LinkTarget)
	c.i64(&m.Size)
	c.time(&m.MTime)
	c.u32(&m.Mode)
	number(c, &m.Kind, 1)
}

// entriesMessage is a piece of a listing.
type entriesMessage struct{ Infos []infoMessage }

// infoSize is the least an infoMessage takes.
const infoSize = 4 + 4 + 8 + 8 + 4 + 4 + 1

func (m *entriesMessage) fields(c *codec) {
	list(c, &m.Infos, maxList, infoSize, func(i *infoMessage) { i.fields(c) })
}

type readFileMessage struct {
	Path string
	Max  int64
}

func (m *readFileMessage) fields(c *codec) { c.text(&m.Path); c.i64(&m.Max) }

type readAtMessage struct {
	Path string
	Off  int64
	N    int
}

func (m *readAtMessage) fields(c *codec) { c.text(&m.Path); c.i64(&m.Off); c.int(&m.N) }

type readAtAnswer struct {
	Size int64
	B    []byte
}

func (m *readAtAnswer) fields(c *codec) { c.i64(&m.Size); c.rest(&m.B) }

type compressedInfoAnswer struct{ remote.CompressedInfo }

func (m *compressedInfoAnswer) fields(c *codec) {
	layoutField(c, &m.Layout)
	c.u32(&m.Blocks)
	c.u16(&m.ChunkSize)
	c.u8(&m.Algorithm)
}

// runMessage is a remote.RunRequest. Of the maps only the blocks of the range
// travel: at most remote.MaxRunPages are wanted.
type runMessage struct{ remote.RunRequest }

func (m *runMessage) fields(c *codec) {
	c.text(&m.Path)
	c.u32(&m.From)
	c.u32(&m.To)
	m.blocks(c, &m.Map)
	number(c, &m.Floor.LSN, 8)
	c.u32(&m.Floor.Known)
	c.bool(&m.Floor.KeepVisible)
	c.u32(&m.FirstBlock)
	rulesFields(c, &m.Rules)
	optional(c, &m.Compressed, func(f *remote.CompressedFile) {
		layoutField(c, &f.Layout)
		c.u32(&f.Rel)
		c.u32(&f.Segno)
		c.text(&f.MoveDir)
	})
	algorithmField(c, &m.Alg)
	c.int(&m.Level)
	m.blocks(c, &m.Floor.Marked) // revision 3
	if c.reading && (m.To > maxBlock || m.From > m.To) {
		c.fail("blocks %d..%d", m.From, m.To)
	}
}

// maxBlock is a bound no segment file comes near: 128 GiB.
const maxBlock = 1 << 24

// blocks handles a map that may be absent.
func (m *runMessage) blocks(c *codec, p **ptrack.PageMap) {
	present := *p != nil
	c.bool(&present)
	if !present {
		return
	}
	var blocks []uint32
	for b := m.From; !c.reading && b < m.To; b++ {
		if (*p).Has(b) {
			blocks = append(blocks, b)
		}
	}
	list(c, &blocks, remote.MaxRunPages, 4, c.u32)
	if !c.reading {
		return
	}
	*p = ptrack.NewPageMap(0)
	for _, b := range blocks {
		if b < m.From || b >= m.To || b > maxBlock {
			c.fail("block %d outside %d..%d", b, m.From, m.To)
			return
		}
		(*p).Add(b)
	}
}

func rulesFields(c *codec, r *pgdata.PageRules) {
	number(c, &r.Family, 1)
	c.bool(&r.Checksums)
	if c.reading && r.Family > pgdata.PostgreSQL {
		c.fail("family %d", r.Family)
	}
}

func layoutField(c *codec, l *pgdata.ExtentLayout) {
	number(c, l, 1)
	if c.reading && *l > pgdata.MixedOf7 {
		c.fail("extent layout %d", *l)
	}
}

func algorithmField(c *codec, a *compress.Algorithm) {
	number(c, a, 1)
	if c.reading && *a > compress.Zstd {
		c.fail("algorithm %d", *a)
	}
}

// runAnswer is a remote.Run; its frames come last so that they are sent from
// where they are.
type runAnswer struct{ *remote.Run }

// headerSize is what a header takes in a runAnswer.
const headerSize = 8 + 4 + 4 + 2

func (m *runAnswer) fields(c *codec) {
	r := m.Run
	c.int(&r.Pages)
	c.int(&r.ZeroPages)
	c.int(&r.Rereads)
	c.bool(&r.EOF)
	c.u32(&r.End)
	c.int(&r.Partial)
	c.u32(&r.CRC)
	list(c, &r.Headers, remote.MaxRunPages, headerSize, func(h *blockfile.Header) {
		number(c, &h.LSN, 8)
		c.u32(&h.Block)
		number(c, &h.Pos, 4)
		c.u16(&h.Checksum)
	})
}

type copyMessage struct{ remote.CopyRequest }

func (m *copyMessage) fields(c *codec) {
	c.text(&m.Path)
	number(c, &m.Units, 1) // with the next one since revision 3
	c.u32(&m.FirstBlock)
}

type copyAnswer = infoMessage

type checksumAnswer struct {
	CRC  uint32
	Size int64
}

func (m *checksumAnswer) fields(c *codec) { c.u32(&m.CRC); c.i64(&m.Size) }

type fileSumsAnswer struct{ Sums []remote.FileSum }

func (m *fileSumsAnswer) fields(c *codec) {
	list(c, &m.Sums, maxList, 8+8+1, func(s *remote.FileSum) {
		number(c, &s.Sum, 8)
		c.i64(&s.Size)
		c.bool(&s.Missing)
	})
}

type sumMessage struct{ remote.SumRequest }

func (m *sumMessage) fields(c *codec) {
	c.text(&m.Path)
	c.u32(&m.From)
	c.u32(&m.To)
	c.u32(&m.FirstBlock)
	rulesFields(c, &m.Rules)
	c.bool(&m.Content)
}

type pageSumsAnswer struct{ *remote.PageSums }

func (m *pageSumsAnswer) fields(c *codec) {
	c.i64(&m.Size)
	list(c, &m.Pages, remote.MaxSumPages, 8+8+2+1, func(s *remote.PageSum) {
		number(c, &s.LSN, 8)
		number(c, &s.Content, 8)
		c.u16(&s.Checksum)
		number(c, &s.Status, 1)
	})
}

type volumeAnswer struct{ remote.Volume }

func (m *volumeAnswer) fields(c *codec) { c.u64(&m.ID); c.i64(&m.Avail) }

type createMessage struct {
	Path string
	remote.CreateOptions
}

func (m *createMessage) fields(c *codec) { c.text(&m.Path); c.u32(&m.Mode); c.bool(&m.Keep) }

// writeMessage is a remote.WriteRequest without its frames, which follow. Of
// the headers only block and position matter.
type writeMessage struct{ *remote.WriteRequest }

func (m *writeMessage) fields(c *codec) {
	c.text(&m.Path)
	algorithmField(c, &m.Alg)
	c.bool(&m.Settle)
	list(c, &m.Headers, maxList, 8, func(h *blockfile.Header) {
		c.u32(&h.Block)
		number(c, &h.Pos, 4)
	})
}
