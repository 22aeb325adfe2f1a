package ptrack

import (
	"context"
	"errors"
	"fmt"

	"gsprobackup/internal/wal"
)

// CBM is a server that tracks changed blocks, openGauss with
// enable_cbm_tracking (spec/server.md §2.3).
type CBM interface {
	// CBMTrackedLocation is the position up to which changes are known, and
	// the server's own text for it.
	CBMTrackedLocation(ctx context.Context) (wal.LSN, string, error)
	// CBMChangedBlocks calls f for each row, which is valid during the call.
	CBMChangedBlocks(ctx context.Context, start wal.LSN, end string, f func(CBMRow) error) error
}

// CBMRow is what changed in one fork of a relation, or to a database or
// tablespace directory.
type CBMRow struct {
	// Path is relative to the data directory: without segment number,
	// without the suffix of row-compressed files.
	Path                        string
	Dropped, Created, Truncated bool
	// TruncateBlock is the length after the last cut, if Truncated. That of
	// earlier ones is not told (CBMPageMergeBitmap in the server's
	// cbmparsexlog.cpp, all releases).
	TruncateBlock uint32
	// Count is the number of blocks in Blocks: decimal numbers in the
	// relation, separated by a comma and blanks.
	Count  uint64
	Blocks []byte
}

// FromCBM waits until the server knows all changes of a range and asks for
// them. tracked is told the server's text for the end of what it will report,
// which is the end of the range or behind it.
//
// The C tool waits for ever when tracking was switched off, and does not look
// at truncations: a block that was cut off and came back as a zero page is
// restored with its old content.
func FromCBM(ctx context.Context, src CBM, q Query, tracked func(text string)) (*Changes, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	var text string
	at, err := q.until(ctx, q.End, func(ctx context.Context) (at wal.LSN, err error) {
		at, text, err = src.CBMTrackedLocation(ctx)
		return at, err
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, q.late(err, "changed block tracking (CBM)", at, q.End).
			WithHint("if the server has much WAL to go through, raise --archive-timeout; but enable_cbm_tracking may have been switched off: set it to on, reload, and take a FULL backup")
	}
	if err != nil {
		return nil, err
	}
	tracked(text)
	c := newChanges(q.Keep)
	if err := src.CBMChangedBlocks(ctx, q.Start, text, c.addCBM); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Changes) addCBM(row CBMRow) error {
	if row.Path == "" {
		return errors.New("read changed blocks: row without path")
	}
	if !c.keep(row.Path) {
		return nil
	}
	if row.Created || row.Dropped {
		c.setAnew(row.Path)
	}
	if row.Truncated {
		r := c.relation(row.Path)
		r.cutTo(row.TruncateBlock)
		r.unsure = true
	}
	if row.Count == 0 && len(row.Blocks) == 0 {
		return nil
	}
	n, err := parseBlocks(row.Blocks, c.relation(row.Path).add)
	if err == nil && n != row.Count {
		err = fmt.Errorf("%d block numbers, want %d", n, row.Count)
	}
	if err != nil {
		return fmt.Errorf("read changed blocks of %q: %w", row.Path, err)
	}
	return nil
}

// parseBlocks reads a list of decimal numbers separated by ", ".
func parseBlocks(list []byte, add func(uint32)) (n uint64, err error) {
	for i := 0; i < len(list); n++ {
		if n > 0 {
			if list[i] != ',' {
				return n, fmt.Errorf("byte %d of the block list is %q", i, list[i])
			}
			for i++; i < len(list) && list[i] == ' '; i++ {
			}
		}
		start, v := i, uint64(0)
		for ; i < len(list) && list[i] >= '0' && list[i] <= '9'; i++ {
			if v = v*10 + uint64(list[i]-'0'); v >= 1<<32-1 {
				return n, fmt.Errorf("block number at byte %d is too large", start)
			}
		}
		if i == start {
			return n, fmt.Errorf("no block number at byte %d of the block list", start)
		}
		add(uint32(v))
	}
	return n, nil
}
