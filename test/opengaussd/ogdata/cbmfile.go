package ogdata

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Layout of a page in pg_cbm (formats.md §11.2).
const (
	cbmPage       = 512
	cbmHeader     = 56
	cbmBits       = (cbmPage - cbmHeader) * 8
	cbmNone       = 0xFFFFFFFF
	segmentBucket = 16384
)

// writeBatch appends a batch to the map file being written. Nobody reads these
// files but backups, which copy them.
func writeBatch(dir string, b batch, first bool) error {
	pages := batchPages(b)
	name, err := cbmFile(dir)
	if err != nil {
		return err
	}
	if first || name == "" {
		name = filepath.Join(dir, fmt.Sprintf("pg_xlog_1_%016X_%016X.cbm", uint64(b.start), 0))
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("write changed block map: %w", err)
	}
	_, err = f.Write(pages)
	return errors.Join(err, f.Close())
}

// cbmFile is the file whose end is still open.
func cbmFile(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("write changed block map: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_0000000000000000.cbm") {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", nil
}

func batchPages(b batch) []byte {
	if len(b.changes) == 0 {
		return putPage(nil, b, change{id: forkID{fork: -1}, block: cbmNone}, 1, cbmNone, nil)
	}
	bitmaps := map[forkID]map[uint32][]byte{}
	var out []byte
	var ids []forkID
	for _, ch := range b.changes {
		if ch.kind != modified {
			out = putPage(out, b, ch, 0, cbmNone, nil)
			continue
		}
		if bitmaps[ch.id] == nil {
			bitmaps[ch.id] = map[uint32][]byte{}
			ids = append(ids, ch.id)
		}
		first := ch.block - ch.block%cbmBits
		if bitmaps[ch.id][first] == nil {
			bitmaps[ch.id][first] = make([]byte, cbmBits/8)
		}
		bit := ch.block - first
		bitmaps[ch.id][first][bit/8] |= 1 << (bit % 8)
	}
	slices.SortFunc(ids, func(a, b forkID) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.fork, b.fork)) })
	for _, id := range ids {
		for _, first := range slices.Sorted(maps.Keys(bitmaps[id])) {
			out = putPage(out, b, change{id: id}, 0, first, bitmaps[id][first])
		}
	}
	last := out[len(out)-cbmPage:]
	last[4] = 1
	binary.LittleEndian.PutUint32(last, crc32.Checksum(last[4:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

func putPage(out []byte, b batch, ch change, last byte, first uint32, bits []byte) []byte {
	p := make([]byte, cbmPage)
	le := binary.LittleEndian
	p[4] = last
	p[5] = map[changeKind]byte{modified: 0, truncated: 1, created: 2, dropped: 4}[ch.kind]
	le.PutUint64(p[8:], uint64(b.start))
	le.PutUint64(p[16:], uint64(b.end))
	le.PutUint32(p[24:], ch.id.spc)
	le.PutUint32(p[28:], ch.id.db)
	le.PutUint32(p[32:], ch.id.rel)
	le.PutUint16(p[36:], 0xFFFF)
	if ch.id.rel > 0 && ch.id.rel <= 5 {
		le.PutUint16(p[36:], segmentBucket)
	}
	le.PutUint32(p[40:], uint32(int32(ch.id.fork)))
	le.PutUint32(p[44:], first)
	le.PutUint32(p[48:], cbmNone)
	if ch.kind == truncated {
		le.PutUint32(p[48:], ch.block)
	}
	copy(p[cbmHeader:], bits)
	le.PutUint32(p, crc32.Checksum(p[4:], crc32.MakeTable(crc32.Castagnoli)))
	return append(out, p...)
}
