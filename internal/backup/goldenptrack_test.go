package backup

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/wal"
	"gsprobackup/test/golden"
	"gsprobackup/test/opengaussd/ogdata"
)

// A PTRACK backup of a directory that was restored from C's PTRACK backup, on
// C's parent and with the changed blocks of the server's own map, is C's
// again, but for what docs/deviations.md says it holds besides.
func TestGoldenPtrack(t *testing.T) {
	for _, c := range golden.Small {
		for _, id := range c.Backups[1:] {
			t.Run(c.Name+"/"+id, func(t *testing.T) {
				t.Parallel()
				m, c := golden.Start(t, c.Name)
				a := newAgain(t, m, c, id)
				if n := a.compare(t); n < 15 {
					t.Errorf("compared %d files", n)
				}
				a.checkSkipped(t)
			})
		}
	}
}

// followParent prepares an increment on C's parent: what the parent holds, and
// what the server's map (pg_cbm, stored by C) says has changed since.
func (a *again) followParent(t *testing.T, list catalog.List) {
	t.Helper()
	r := a.ours
	chain, err := list.ChainTo(a.theirs)
	if err != nil {
		t.Fatal(err)
	}
	r.opts.Mode = catalog.ModePtrack
	r.parent = &parent{Backup: chain[len(chain)-2], chain: chain[:len(chain)-1]}
	if err := r.readParent(); err != nil {
		t.Fatal(err)
	}
	r.diff = &difference{anew: map[uint32]bool{}}
	a.setTimes(t)
	r.findYounger(a.listing)
	src := recordedMap{
		ogdata.MapDir{Dir: a.m.Path(againData + "/pg_cbm"), VersionDir: "PG_9.2_201611171_og1"}, a.theirs.StartLSN,
	}
	q := ptrack.Query{
		Range: ptrack.Range{Timeline: a.theirs.Timeline, Start: r.parent.StartLSN, End: a.theirs.StartLSN},
		Wait:  ptrack.Wait{Timeout: time.Second}, Keep: r.sharedPaths(a.listing),
	}
	if r.diff.changes, err = ptrack.FromCBM(context.Background(), src, q, func(string) {}); err != nil {
		t.Fatal(err)
	}
}

// recordedMap answers from the files in pg_cbm.
type recordedMap struct {
	ogdata.MapDir
	tracked wal.LSN
}

func (m recordedMap) CBMTrackedLocation(context.Context) (wal.LSN, string, error) {
	return m.tracked, m.tracked.String(), nil
}

func (m recordedMap) CBMChangedBlocks(_ context.Context, start wal.LSN, end string, f func(ptrack.CBMRow) error) error {
	to, err := wal.ParseLSN(end)
	if err != nil {
		return err
	}
	rows, err := m.ChangedBlocks(start, to)
	for _, r := range rows {
		blocks, _ := r.BlockList()
		err = errors.Join(err, f(ptrack.CBMRow{
			Path: r.Path, Dropped: r.Dropped, Created: r.Created, Truncated: r.Truncated, TruncateBlock: r.TruncatedTo,
			Count: uint64(len(r.Blocks)), Blocks: []byte(blocks),
		}))
	}
	return err
}

// setTimes gives files the age they must have had: no recording has the
// server's times, but C leaves out what is older than the parent and has its
// sum.
func (a *again) setTimes(t *testing.T) {
	t.Helper()
	theirs := a.entries(t)
	for _, it := range a.listing.items {
		it.modified = int64(a.theirs.ID)
		if e, ok := theirs[fileKey{it.ExternalDir, it.Path}]; ok && e.Size == contentlist.SizeUnchanged || path.Base(it.Path) == versionFile {
			it.modified = int64(a.ours.parent.ID) - 2*settleTime
		}
	}
}

// entries is C's list.
func (a *again) entries(t *testing.T) map[fileKey]*contentlist.Entry {
	t.Helper()
	f, err := a.m.FS().Open(a.theirs.ContentPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, _, err := contentlist.ReadAll(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[fileKey]*contentlist.Entry{}
	for i := range list {
		out[fileKey{list[i].ExternalDir, list[i].Path}] = &list[i]
	}
	return out
}

// allowMore settles the entries in which ours may hold more than C's: files
// that are always stored, and blocks that C's rules miss (docs/deviations.md,
// Increments). It tells whether nothing is left to compare, and evens out what
// may differ.
func (a *again) allowMore(t *testing.T, want, got *contentlist.Entry) (done bool) {
	t.Helper()
	switch {
	case want.Size == contentlist.SizeUnchanged && got.Size > 0 && alwaysStored(got.Path):
		want.Size = got.Size
	case want.Size == contentlist.SizeUnchanged && got.Size > 0 && a.ours.isDoubleWrite(&listed{Entry: *got}):
		want.Size, want.CRC = got.Size, got.CRC // the parent has pages in it; once
	case want.Size == contentlist.SizeUnchanged && a.isUnlogged(t, want.Path):
		want.NBlocks = got.NBlocks // its growth is in no backup (formats.md §14 row 8)
	case want.IsDatafile && got.IsDatafile:
		return a.allowMoreBlocks(t, want, got)
	}
	return false
}

func (a *again) isUnlogged(t *testing.T, p string) bool {
	_, ok := a.entries(t)[fileKey{0, p + "_init"}]
	return ok
}

// allowMoreBlocks is for data files: C's blocks must all be there with the
// same content, and any other block must be one that C's rules miss.
func (a *again) allowMoreBlocks(t *testing.T, want, got *contentlist.Entry) bool {
	t.Helper()
	theirs, ours := a.blocks(t, a.theirs, want), a.blocks(t, a.ours.backup, got)
	if slices.Equal(theirs.numbers, ours.numbers) {
		return false
	}
	known, ok := a.ours.parent.files[fileKey{want.ExternalDir, want.Path}]
	if !ok {
		t.Errorf("%s is new and has blocks %v, want %v", want.Path, ours.numbers, theirs.numbers)
		return true
	}
	wrongMap := strings.HasSuffix(want.Path, "_compress") && want.Segno > 0 // formats.md §14 row 2
	for _, n := range theirs.numbers {
		if _, ok := ours.pages[n]; !ok && !wrongMap {
			t.Errorf("%s: block %d is missing", want.Path, n)
		}
	}
	cut := a.ours.diff.changes.Map(ptrack.File{
		Relation: pgdata.RelationOf(want.Path, a.ours.layout.Classify(want.Path)), Blocks: uint32(got.NBlocks), Known: uint32(got.NBlocks),
		First: a.ours.layout.AbsoluteBlock(a.ours.layout.Classify(want.Path), 0),
	})
	for _, n := range ours.numbers {
		page, ok := theirs.pages[n]
		switch {
		case ok && page != ours.pages[n]:
			t.Errorf("%s: block %d differs", want.Path, n)
		case !ok && n < known.blocks && cut != nil && !wrongMap:
			t.Errorf("%s: block %d is too much, the parent has %d blocks", want.Path, n, known.blocks)
		}
	}
	if want.NBlocks != got.NBlocks && !wrongMap || want.Mode != got.Mode || want.Segno != got.Segno || want.DBOid != got.DBOid {
		t.Errorf("%s: list has %+v, want %+v", want.Path, got, want)
	}
	a.skipped = append(a.skipped, want.Path)
	return true
}

// checkSkipped keeps allowMoreBlocks the exception.
func (a *again) checkSkipped(t *testing.T) {
	t.Helper()
	t.Logf("%d data files have more blocks than C's: %v", len(a.skipped), a.skipped)
	if len(a.skipped) > len(a.listing.items)/20+2 {
		t.Errorf("%d of %d files differ in their blocks", len(a.skipped), len(a.listing.items))
	}
}

// storedBlocks are the pages of a stored file.
type storedBlocks struct {
	numbers []uint32
	pages   map[uint32]string
}

func (a *again) blocks(t *testing.T, b *catalog.Backup, e *contentlist.Entry) storedBlocks {
	t.Helper()
	out := storedBlocks{pages: map[uint32]string{}}
	if e.Size <= 0 {
		return out
	}
	r, done := a.frames(t, b, e)
	defer done()
	c := codec(t, max(e.CompressAlg, compress.None))
	for {
		h, payload, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		page := make([]byte, blockfile.PageSize)
		if err == nil {
			err = blockfile.Decode(c, page, payload)
		}
		if err != nil {
			t.Fatalf("%s: %v", e.Path, err)
		}
		out.numbers = append(out.numbers, h.Block)
		out.pages[h.Block] = string(page)
	}
}
