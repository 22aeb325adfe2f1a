package ogdata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gsprobackup/internal/wal"
)

// MapDir is a pg_cbm directory that a server wrote.
type MapDir struct {
	Dir string
	// VersionDir is the directory of the node's relations in a tablespace,
	// such as PG_9.2_201611171_og1.
	VersionDir string
}

// ChangedBlocks is what pg_cbm_get_changed_block answers from the files alone
// (formats.md §11.2, §11.3).
func (d MapDir) ChangedBlocks(start, end wal.LSN) ([]ChangedRow, error) {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil, fmt.Errorf("read changed block map: %w", err)
	}
	merge := merger{rows: map[forkID]*forkState{}}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "pg_xlog_") && strings.HasSuffix(e.Name(), ".cbm") {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(startOf(a), startOf(b)) })
	var first, last wal.LSN
	for _, name := range names {
		err := d.pages(filepath.Join(d.Dir, name), func(p []byte) {
			le := binary.LittleEndian
			from, to := wal.LSN(le.Uint64(p[8:])), wal.LSN(le.Uint64(p[16:]))
			if to <= start || from >= end {
				return
			}
			if first == 0 {
				first = from
			}
			last = to
			d.merge(&merge, p)
		})
		if err != nil {
			return nil, err
		}
	}
	if first == 0 || first > start || last < end {
		return nil, fmt.Errorf("the map has %s to %s, want %s to %s", first, last, start, end)
	}
	return merge.result(first, last), nil
}

// startOf is the start position in a file name, as text that sorts.
func startOf(name string) string {
	if f := strings.Split(name, "_"); len(f) == 5 {
		return f[3]
	}
	return name
}

// pages gives every page after checking its sum.
func (d MapDir) pages(name string, f func([]byte)) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read changed block map: %w", err)
	}
	defer file.Close() // read only
	page := make([]byte, cbmPage)
	for n := 0; ; n++ {
		_, err := io.ReadFull(file, page)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read changed block map: %w", err)
		}
		if crc32.Checksum(page[4:], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(page) {
			return fmt.Errorf("%s: page %d has a wrong checksum", name, n)
		}
		f(page)
	}
}

// merge adds one page.
func (d MapDir) merge(m *merger, p []byte) {
	le := binary.LittleEndian
	fork := int(int32(le.Uint32(p[40:])))
	id := forkID{spc: le.Uint32(p[24:]), db: le.Uint32(p[28:]), rel: le.Uint32(p[32:]), fork: fork}
	if id.spc == 0 && fork == -1 {
		return // nothing changed in this interval
	}
	id.path = d.path(id)
	first := le.Uint32(p[44:])
	for kind, bit := range map[changeKind]byte{truncated: 1, created: 2, dropped: 4} {
		if p[5]&bit != 0 {
			m.add(change{id, kind, le.Uint32(p[48:])})
		}
	}
	if first == cbmNone {
		return
	}
	for i, b := range p[cbmHeader:] {
		for bit := range 8 {
			if b>>bit&1 != 0 {
				m.add(change{id, modified, first + uint32(8*i+bit)})
			}
		}
	}
}

// path is where the fork's first file lies, as the server's function says it
// (server.md §2.3).
func (d MapDir) path(id forkID) string {
	var p string
	switch {
	case id.spc == spcDefault && (id.db == 9 || id.db == 10):
		return fmt.Sprintf("undo/%d/%d", id.db, id.rel) // no relation: the name does not matter here
	case id.spc == spcGlobal:
		p = "global"
	case id.spc == spcDefault:
		p = fmt.Sprintf("base/%d", id.db)
	default:
		p = fmt.Sprintf("pg_tblspc/%d/%s/%d", id.spc, d.VersionDir, id.db)
	}
	if id.rel == 0 {
		return p
	}
	p = fmt.Sprintf("%s/%d", p, id.rel)
	switch {
	case id.fork > 4:
		return fmt.Sprintf("%s_C%d", p, id.fork-4)
	case id.fork > 0:
		return p + [...]string{"", "_fsm", "_vm", "_bcm", "_init"}[id.fork]
	}
	return p
}
