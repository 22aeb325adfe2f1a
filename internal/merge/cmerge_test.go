package merge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/pgdata"
)

// cMerge merges as the C tool does, one file after the other in the FULL's
// directory (spec/formats.md §1.6, §3.5, §5.8), and dies behind a step.
type cMerge struct {
	*chainMaker
	chain   []*catalog.Backup
	lists   []map[string]*catalog.Entry
	result  []*catalog.Entry
	headers bytes.Buffer
	arrays  *blockfile.MapWriter

	left int    // steps until it dies
	at   string // the last one
}

// step reports one, and that the process is dead.
func (c *cMerge) step(format string, args ...any) {
	c.left--
	c.at = fmt.Sprintf(format, args...)
	if c.left < 0 {
		panic(errKilled)
	}
}

func (c *cMerge) full() *catalog.Backup { return c.chain[0] }
func (c *cMerge) dest() *catalog.Backup { return c.chain[len(c.chain)-1] }

// run is false when it died.
func (c *cMerge) run() (done bool) {
	defer func() {
		if r := recover(); r != nil && r != errKilled {
			panic(r)
		}
	}()
	c.mark()
	c.mergeFiles()
	c.seal()
	c.clean()
	return true
}

func (c *cMerge) mark() {
	must(c.t, c.inst.UpdateControl(c.full(), func(b *catalog.Backup) { b.Status, b.MergeDestID = catalog.StatusMerging, c.dest().ID }))
	c.step("FULL says MERGING")
	for _, b := range c.chain[1:] {
		must(c.t, c.inst.SetStatus(b, catalog.StatusMerging))
		c.step("%s says MERGING", b.ID)
	}
}

func (c *cMerge) mergeFiles() {
	for _, b := range c.chain {
		list, err := catalog.LoadContent(c.fs, b)
		must(c.t, err)
		files := map[string]*catalog.Entry{}
		for i := range list {
			files[list[i].Path] = &list[i]
		}
		c.lists = append(c.lists, files)
	}
	list, err := catalog.LoadContent(c.fs, c.dest())
	must(c.t, err)
	c.arrays = blockfile.NewMapWriter(&c.headers)
	for i := range list {
		e := &list[i]
		name := filepath.Join(c.full().DatabaseDir(), e.Path)
		must(c.t, fsx.MkdirAll(c.fs, filepath.Dir(name), 0o700))
		switch {
		case !e.IsRegular(), e.Size == 0:
		case e.IsDatafile:
			c.pages(e, name)
		default:
			c.copy(e, name)
		}
		c.result = append(c.result, e)
	}
}

// inPlace tells whether the FULL's file stays.
func (c *cMerge) inPlace(e *catalog.Entry) bool {
	f := c.lists[0][e.Path]
	if f == nil || f.Size <= 0 || f.IsDatafile != e.IsDatafile || c.full().CompressAlg != c.dest().CompressAlg {
		return false
	}
	return !slices.ContainsFunc(c.lists[1:], func(list map[string]*catalog.Entry) bool {
		x := list[e.Path]
		return x == nil || x.Size != contentlist.SizeUnchanged || x.NBlocks != f.NBlocks
	})
}

// wanted is what the destination has of a file.
func (c *cMerge) wanted(e *catalog.Entry) []byte {
	text := c.want[len(c.chain)-1][place{"", e.Path}]
	return []byte(text[len("pages "):])
}

func (c *cMerge) copy(e *catalog.Entry, name string) {
	content := c.wanted(e)
	if !c.inPlace(e) {
		c.replace(name, "_tmp", content)
	}
	e.Size, e.CRC = int64(len(content)), crc32c.Sum(content)
}

func (c *cMerge) pages(e *catalog.Entry, name string) {
	content := c.wanted(e)
	if len(content) == 0 {
		e.Size = 0
		return
	}
	codec, err := compress.New(c.dest().CompressAlg, 1)
	must(c.t, err)
	var frames []byte
	var headers []blockfile.Header
	for n := range len(content) / blockfile.PageSize {
		page := content[n*blockfile.PageSize:][:blockfile.PageSize]
		headers = append(headers, blockfile.Header{
			Block: uint32(n), Pos: int32(len(frames)), LSN: pgdata.DecodePageHeader(page).LSN, Checksum: pageSum(page, e.Path, n),
		})
		frames = appendPage(c.t, frames, codec, page, n)
	}
	if !c.inPlace(e) {
		c.write(name+"_tmp1", content)
		c.replace(name, "_tmp2", frames)
		must(c.t, c.fs.Remove(name+"_tmp1"))
	}
	e.Size, e.CRC, e.CompressAlg = int64(len(frames)), crc32c.Sum(frames), c.dest().CompressAlg
	ref, err := c.arrays.Append(headers, e.Size)
	must(c.t, err)
	e.NHeaders, e.HdrCRC, e.HdrOff, e.HdrSize = ref.N, ref.CRC, ref.Off, int(ref.Size)
	c.write(c.tempMap(), c.headers.Bytes())
	c.step("page headers of %s written", e.Path)
}

func (c *cMerge) tempMap() string { return c.full().HeaderMapPath() + "_tmp" }

func (c *cMerge) replace(name, suffix string, content []byte) {
	c.write(name+suffix, content[:len(content)/2])
	c.step("%s half written", name+suffix)
	c.write(name+suffix, content)
	must(c.t, c.fs.Rename(name+suffix, name))
	c.step("%s replaced", name)
}

func (c *cMerge) write(name string, content []byte) {
	f, err := c.fs.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	must(c.t, err)
	_, err = f.Write(content)
	must(c.t, errors.Join(err, f.Close()))
}

func (c *cMerge) seal() {
	full := c.full()
	if c.headers.Len() > 0 {
		must(c.t, c.fs.Rename(c.tempMap(), full.HeaderMapPath()))
		c.step("header map renamed")
	}
	list := *full
	must(c.t, catalog.SaveContent(c.fs, &list, false, slices.Values(c.result)))
	c.step("list written")
	var sums contentlist.Counters
	for _, e := range c.result {
		sums.Add(e, false)
	}
	must(c.t, c.inst.UpdateControl(full, func(b *catalog.Backup) {
		b.ContentCRC, b.RecoveryTime, b.CompressAlg = list.ContentCRC, c.dest().RecoveryTime, c.dest().CompressAlg
		b.DataBytes, b.WALBytes, b.UncompressedBytes = sums.DataBytes, sums.WALBytes, sums.UncompressedBytes
	}))
	c.step("control file written")
	for name, e := range c.lists[0] {
		if c.lists[len(c.lists)-1][name] == nil && e.IsRegular() {
			c.remove(filepath.Join(full.DatabaseDir(), name))
		}
	}
	c.step("rest removed")
	must(c.t, c.inst.SetStatus(full, catalog.StatusMerged))
	c.step("FULL says MERGED")
}

func (c *cMerge) remove(name string) {
	if err := c.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
}

func (c *cMerge) clean() {
	for _, b := range c.chain[1:] {
		must(c.t, c.inst.SetStatus(b, catalog.StatusDeleting))
		c.step("%s says DELETING", b.ID)
		c.remove(b.HeaderMapPath())
		must(c.t, fsx.RemoveTree(context.Background(), c.fs, b.DatabaseDir()))
		c.step("files of %s deleted", b.ID)
		c.remove(b.ContentPath())
		c.remove(b.ControlPath())
		c.step("control file of %s deleted", b.ID)
		must(c.t, fsx.RemoveTree(context.Background(), c.fs, b.Dir))
		c.step("%s deleted", b.ID)
	}
	full, dest := c.full(), c.dest()
	must(c.t, c.fs.Rename(full.Dir, dest.Dir))
	c.step("directory renamed")
	full.Dir = dest.Dir
	must(c.t, c.inst.UpdateControl(full, func(b *catalog.Backup) { b.ID, b.Status, b.MergeDestID = dest.ID, catalog.StatusOK, 0 }))
}

// Wherever a merge of the C tool was killed, ours finishes it, called with
// either ID.
func TestFinishEachStepOfC(t *testing.T) {
	for seed := range *chains / 10 {
		m := newChainMaker(t, seed)
		m.inside = true
		n := 2 + m.rnd.IntN(3)
		start := m.take(n)
		list, d := m.list, 1+m.rnd.IntN(n-1)
		for steps, done := 0, false; !done; steps++ {
			mem := start.AfterCrash(crashfs.Best)
			m.fs, m.inst = mem, m.on(mem)
			c := &cMerge{chainMaker: m, left: steps}
			for _, b := range list[:d+1] {
				x := *b
				c.chain = append(c.chain, &x)
			}
			done = c.run()
			what := fmt.Sprintf("chain %d, C killed at step %d, %s", seed, steps, c.at)
			if !done {
				left, err := m.inst.Backups(context.Background())
				must(t, err)
				id := list[d].ID
				if left.ByID(list[0].ID) != nil && steps%2 == 1 {
					id = list[0].ID
				}
				if err := m.merge(mem, id); err != nil {
					t.Errorf("%s: %v", what, err)
					continue
				}
			}
			m.check(what, mem)
		}
	}
}
