package merge_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/merge"
)

// bring is what a chain restores to, by a naive reading.
func bring(t *testing.T, fsys fsx.FS, chain catalog.List) map[place]string {
	t.Helper()
	got := map[place]string{}
	lists := make([]map[place]catalog.Entry, len(chain)) // externals by number
	for i, b := range chain {
		entries, err := catalog.LoadContent(fsys, b)
		must(t, err)
		lists[i] = map[place]catalog.Entry{}
		for _, e := range entries {
			if e.IsRegular() {
				lists[i][place{fmt.Sprint(e.ExternalDir), e.Path}] = e
			}
		}
	}
	last := len(chain) - 1
	for key, e := range lists[last] {
		at := place{"", key.path}
		if e.ExternalDir > 0 {
			at.dir = chain[last].Externals()[e.ExternalDir-1]
		}
		if !e.IsDatafile {
			got[at] = "plain " + bringPlain(t, fsys, chain, lists, e, at)
			continue
		}
		pages := make([]byte, e.NBlocks*blockfile.PageSize)
		done, limit := map[uint32]bool{}, e.NBlocks
		for i := last; i >= 0; i-- {
			x, ok := lists[i][key]
			if !ok || !x.IsDatafile {
				break
			}
			limit = min(limit, x.NBlocks)
			if x.Size <= 0 {
				continue
			}
			raw, err := fsx.ReadFile(fsys, filepath.Join(chain[i].DatabaseDir(), x.Path), 1<<30)
			must(t, err)
			codec, err := compress.New(x.CompressAlg, 1)
			must(t, err)
			for len(raw) > 0 {
				block, n := blockfile.FrameHeader(raw)
				if int(block) < limit && !done[block] {
					must(t, blockfile.Decode(codec, pages[block*blockfile.PageSize:][:blockfile.PageSize], raw[8:8+n]))
					done[block] = true
				}
				raw = raw[8+n:]
			}
		}
		got[at] = "pages " + string(pages)
	}
	return got
}

func bringPlain(t *testing.T, fsys fsx.FS, chain catalog.List, lists []map[place]catalog.Entry, e catalog.Entry, at place) string {
	t.Helper()
	for i := len(chain) - 1; i >= 0; i-- {
		x, ok := lists[i][place{fmt.Sprint(e.ExternalDir), e.Path}]
		if !ok || x.CRC != e.CRC {
			n := slices.Index(chain[i].Externals(), at.dir) + 1
			x = lists[i][place{fmt.Sprint(n), e.Path}]
		}
		if x.Size < 0 {
			continue
		}
		if x.Size == 0 {
			return ""
		}
		raw, err := fsx.ReadFile(fsys, filepath.Join(chain[i].EntryDir(x.ExternalDir), x.Path), 1<<30)
		must(t, err)
		return string(raw)
	}
	t.Errorf("no full copy of %v", at)
	return ""
}

// check expects every backup that is left to bring back what it should.
func (m *chainMaker) check(what string, fsys fsx.FS) {
	m.t.Helper()
	list, err := m.on(fsys).Backups(context.Background())
	must(m.t, err)
	for i, b := range m.list {
		x := list.ByID(b.ID)
		if x == nil {
			continue
		}
		if !x.Status.Usable() {
			m.t.Errorf("%s: backup %d is %s", what, i, x.Status)
			continue
		}
		chain, err := list.ChainTo(x)
		must(m.t, err)
		got := bring(m.t, fsys, chain)
		for at, text := range m.want[i] {
			if got[at] != text {
				m.t.Errorf("%s: backup %d has %v: %d bytes %.8q, want %d %.8q", what, i, at, len(got[at]), got[at], len(text), text)
			}
		}
		for at := range got {
			if _, ok := m.want[i][at]; !ok {
				m.t.Errorf("%s: backup %d has %v", what, i, at)
			}
		}
	}
}

func (m *chainMaker) on(fsys fsx.FS) *catalog.Instance {
	inst, err := catalog.Open(fsys, "/b", catalog.Options{Location: time.UTC}).Instance("n1")
	must(m.t, err)
	return inst
}

func (m *chainMaker) merge(fsys fsx.FS, id catalog.ID) error {
	deps := merge.Deps{FS: fsys, Instance: m.on(fsys), Sink: event.Discard, Now: func() time.Time { return time.Unix(1800000000, 0) }}
	return merge.Run(context.Background(), deps, merge.Options{ID: id, Threads: 2})
}

// chains is how many random chains are merged.
var chains = flag.Uint64("chains", 40, "number of random chains")

// take makes a chain of n backups, in one codec or in several.
func (m *chainMaker) take(n int) *crashfs.FS {
	m.t.Helper()
	one, mixed := chainCodecs[m.rnd.IntN(len(chainCodecs))], m.rnd.IntN(2) == 0
	for i := range n {
		m.live()
		alg := one
		if mixed {
			alg = chainCodecs[m.rnd.IntN(len(chainCodecs))]
		}
		m.backup(catalog.ID(1_790_000_000+1000*i), alg, m.rnd.IntN(2) == 0)
	}
	m.check("before", m.fs)
	if m.t.Failed() {
		m.t.Fatal("the chain is not sound")
	}
	mem := m.fs.(*crashfs.FS)
	mem.SyncAll()
	return mem
}

// unlock removes the lock files of merges that were killed: here the process
// lives.
func (m *chainMaker) unlock(fsys fsx.FS) {
	for _, b := range m.list {
		_ = fsys.Remove(filepath.Join(m.inst.Dir(), b.ID.String(), lock.FileName))
	}
}

// Whatever a chain has been through, each of its backups brings the same back
// after some were merged, at times in two attempts, without much room, or both.
func TestRandomChains(t *testing.T) {
	for seed := range *chains {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newChainMaker(t, seed)
			n := 2 + m.rnd.IntN(4)
			mem := m.take(n)
			for d := 1 + m.rnd.IntN(n-1); d < n; d += 1 + m.rnd.IntN(n) {
				var fsys fsx.FS = mem
				if m.rnd.IntN(2) == 0 {
					faulty := faultfs.New(mem)
					faulty.FailFrom(1+m.rnd.IntN(120), errKilled)
					fsys = faulty
				}
				if m.rnd.IntN(4) == 0 {
					fsys = noRoom{fsys, 17<<20 + int64(m.rnd.IntN(1<<21))}
				}
				id := m.list[d].ID
				err := m.merge(fsys, id)
				m.unlock(mem)
				list, lerr := m.on(mem).Backups(context.Background())
				must(t, lerr)
				if x := list.ByID(id); err != nil && (x == nil || x.Mode != catalog.ModeFull) {
					must(t, m.merge(mem, id))
				}
				m.check(fmt.Sprintf("merged %d (%v)", d, err), mem)
			}
		})
	}
}

// A chain that cannot be restored, since the list of the FULL has lost a file,
// is not merged into one that can and is empty there.
func TestLostFile(t *testing.T) {
	m := newChainMaker(t, 1)
	lost := place{"", dataPaths[0]}
	m.now[lost] = &thing{data: true, anew: true, pages: [][]byte{m.page(lost.path, 0)}}
	m.now[place{"", "PG_VERSION"}] = &thing{plain: []byte("17")}
	for i := range 2 {
		m.backup(catalog.ID(1_790_000_000+1000*i), compress.None, false)
	}
	full := m.list[0]
	list, err := catalog.LoadContent(m.fs, full)
	must(t, err)
	var rest []*catalog.Entry
	var sums contentlist.Counters
	for i := range list {
		if list[i].Path != lost.path {
			rest = append(rest, &list[i])
			sums.Add(&list[i], false)
		}
	}
	must(t, catalog.SaveContent(m.fs, full, false, slices.Values(rest)))
	full.DataBytes, full.UncompressedBytes = sums.DataBytes, sums.UncompressedBytes
	must(t, m.inst.SaveControl(full))
	err = m.merge(m.fs, m.list[1].ID)
	if err == nil || !strings.Contains(err.Error(), `Failed to locate a full copy of file "`+lost.path+`"`) {
		t.Errorf("merged: %v", err)
	}
	left, err := m.inst.Backups(context.Background())
	must(t, err)
	if len(left) != 2 || !left[0].Status.Usable() || !left[1].Status.Usable() {
		t.Errorf("left: %v", left)
	}
}
