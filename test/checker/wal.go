package checker

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

var walNameRE = regexp.MustCompile(`^[0-9A-F]{24}(\.partial)?$|^[0-9A-F]{8}\.history$`)

// wal checks that a stream backup holds the segments from start-lsn to
// stop-lsn under their right names, each with the header of its first page
// (§10.1, §10.2, §10.5).
func (c *check) wal(b *backup) {
	if !b.stream {
		return
	}
	dir := b.walDir()
	tli, err := strconv.ParseUint(b.values["timelineid"], 10, 32)
	if err != nil {
		c.bad(b.dir, "§3.1", "timelineid: %v", err)
		return
	}
	segments := map[string]*entry{}
	var segSize uint64
	for _, e := range b.entries {
		if e.external != 0 || filepath.Dir(e.path) != dir || !e.regular() {
			continue
		}
		name := filepath.Base(e.path)
		if !walNameRE.MatchString(name) {
			c.bad(filepath.Join(b.place(0), e.path), "§7.6", "does not belong into a backup's WAL directory")
			continue
		}
		if len(name) < 24 {
			continue
		}
		segments[name[:24]] = e
		if e.mode&0o777 != 0o600 {
			c.bad(filepath.Join(b.place(0), e.path), "§1.1", "WAL segment is listed with mode %o", e.mode)
		}
		if size := uint64(e.size); segSize == 0 || size == segSize {
			segSize = size
		} else {
			c.bad(filepath.Join(b.place(0), e.path), "§4.3", "WAL segment of %d bytes beside one of %d", size, segSize)
		}
	}
	if segSize < 1<<20 || segSize&(segSize-1) != 0 {
		c.bad(filepath.Join(b.place(0), dir), "§10.1", "segment size %d", segSize)
		return
	}
	if b.stopLSN <= b.startLSN {
		return // told already
	}
	last := (b.stopLSN - 1) / segSize
	if last-b.startLSN/segSize > 1<<20 {
		c.bad(filepath.Join(b.dir, "backup.control"), "§3.1", "start-lsn and stop-lsn are too far apart")
		return
	}
	for segno := b.startLSN / segSize; segno <= last; segno++ {
		name := fmt.Sprintf("%08X%08X%08X", tli, segno/(1<<32/segSize), segno%(1<<32/segSize))
		e := segments[name]
		if e == nil {
			c.bad(filepath.Join(b.place(0), dir), "§10.5", "segment %s, between start-lsn and stop-lsn, is missing", name)
			continue
		}
		delete(segments, name)
		c.walHeader(b, filepath.Join(b.place(0), e.path), segno*segSize, segSize)
	}
	for name := range segments {
		c.note(filepath.Join(b.place(0), dir, name), "§10.5", "segment lies outside start-lsn and stop-lsn")
	}
}

func (c *check) walHeader(b *backup, rel string, addr, segSize uint64) {
	f, err := os.Open(c.abs(rel))
	if err != nil {
		return // told already
	}
	defer f.Close()
	data := make([]byte, 40)
	if _, err := io.ReadFull(f, data); err != nil {
		return
	}
	le := binary.LittleEndian
	magic, info, pageAddr, sysID := le.Uint16(data), le.Uint16(data[2:]), le.Uint64(data[8:]), le.Uint64(data[24:])
	wantMagic := magic == 0xD074
	if !b.openGauss() {
		wantMagic = magic>>8 == 0xD1
	}
	if !wantMagic || info&2 == 0 || pageAddr != addr || uint64(le.Uint32(data[32:])) != segSize || le.Uint32(data[36:]) != blockSize {
		c.bad(rel, "§10.2", "first page header: magic %#x info %#x address %X, want address %X", magic, info, pageAddr, addr)
	}
	if b.systemID != 0 && sysID != b.systemID {
		c.bad(rel, "§10.2", "system identifier is %d, pg_control has %d", sysID, b.systemID)
	}
}
