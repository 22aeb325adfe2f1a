package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
)

// CopyRequest asks for a whole file.
type CopyRequest struct {
	Path  string
	Units Units
	// FirstBlock is the number of the file's block 0 in its relation, for
	// PageUnits.
	FirstBlock uint32
}

// Units are the pieces a server writes in place into a file that is copied
// whole. A read may see one half old and half new. Nothing mends that later: with
// incremental checkpoints, its default, openGauss logs no whole pages, not even
// during a backup.
type Units uint8

// The units.
const (
	NoUnits   Units = iota
	PageUnits       // openGauss pages with a checksum, and what else there is
	SumUnits        // 512 bytes with a CRC-32C behind their content (undo/undometa)
)

const (
	sumUnit = 512
	// sumStep divides the length of what an undometa unit may hold: entries
	// of 64 or 32 bytes.
	sumStep = 32

	// tornAttempts is how often a unit is read that looks torn, tornBudget
	// how often all units of a file. What stays bad is copied as it is: it may
	// be of a kind not known here.
	tornAttempts = 100
	tornBudget   = 1000
)

// mender reads what is torn once more.
type mender struct {
	host   *local
	file   fsx.File
	req    CopyRequest
	budget int
}

// mend replaces the torn units among the bytes read at off.
func (m *mender) mend(ctx context.Context, off int64, p []byte) error {
	size := int64(0)
	switch m.req.Units {
	case PageUnits:
		size = pgdata.BlockSize
	case SumUnits:
		size = sumUnit
	default:
		return nil
	}
	at := (size - off%size) % size
	for ; at+size <= int64(len(p)); at += size {
		if unit := p[at : at+size]; m.torn(off+at, unit) {
			if err := m.reread(ctx, off+at, unit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *mender) reread(ctx context.Context, off int64, unit []byte) error {
	for attempt := 2; attempt <= tornAttempts && m.budget > 0; attempt++ {
		m.budget--
		if err := m.host.pause(ctx, attempt); err != nil {
			return err
		}
		n, err := m.file.ReadAt(unit, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read at %d: %w", off, err)
		}
		if n < len(unit) || !m.torn(off, unit) { // cut meanwhile, or whole
			return nil
		}
	}
	return nil
}

func (m *mender) torn(off int64, unit []byte) bool {
	if m.req.Units == SumUnits {
		return !endsWithSum(unit) && !pgdata.IsZero(unit)
	}
	block := m.req.FirstBlock + uint32(off/pgdata.BlockSize)
	switch pgdata.CheckPage(unit, block, pgdata.PageRules{Family: pgdata.OpenGauss, Checksums: true}).Status {
	case pgdata.PageChecksumMismatch:
	case pgdata.PageHeaderInvalid: // half of a page that was zero, or no page
		if !pgdata.IsZero(unit[:pgdata.BlockSize/2]) {
			return false
		}
	default:
		return false
	}
	return !inCompressedExtent(m.file, m.req.Path, off)
}

// endsWithSum tells whether a CRC-32C stands somewhere behind what it sums up.
func endsWithSum(unit []byte) bool {
	sum := uint32(0)
	for n := sumStep; n+4 <= len(unit); n += sumStep {
		sum = crc32c.Update(sum, unit[n-sumStep:n])
		if sum == binary.LittleEndian.Uint32(unit[n:]) {
			return true
		}
	}
	return false
}
