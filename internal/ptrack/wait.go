package ptrack

import (
	"context"
	"fmt"
	"time"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// Query is what both sources are asked for.
type Query struct {
	Range
	Wait
	// Keep tells whether a path, of a relation's first file or of a
	// directory, is of interest: both is in the data directory and in the
	// parent backup. The server also reports each temporary table that came
	// and went. nil keeps all.
	Keep func(path string) bool
}

// Range is the WAL between the start position of the parent backup and that
// of the backup being taken.
type Range struct {
	Timeline   wal.Timeline
	Start, End wal.LSN
}

// Wait limits how long a server that catches up with the end of a range may
// stand still. It may take any time altogether: after hours without a backup
// there is much WAL to read. CBM moves once in a round only, which reads all WAL
// up to the last checkpoint.
type Wait struct {
	Timeout time.Duration
	// Progress is told the server's position whenever it was not enough; nil
	// for nobody.
	Progress func(at wal.LSN)
}

// Pauses between two questions. The first answer is nearly always good.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// until asks for a position until it is at least want. The error for the end
// of the time has context.DeadlineExceeded inside.
func (w Wait) until(ctx context.Context, want wal.LSN, ask func(context.Context) (wal.LSN, error)) (wal.LSN, error) {
	var at wal.LSN
	deadline := time.Now().Add(w.Timeout)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		next, err := askBefore(ctx, deadline, ask)
		switch {
		case ctx.Err() != nil:
			return at, context.Cause(ctx)
		case !time.Now().Before(deadline):
			return at, context.DeadlineExceeded
		case err != nil:
			return at, err
		case next >= want:
			return next, nil
		}
		if next > at {
			deadline = time.Now().Add(w.Timeout)
		}
		at = next
		if w.Progress != nil {
			w.Progress(at)
		}
		if err := sleep(ctx, min(pause, time.Until(deadline))); err != nil {
			return at, context.Cause(ctx)
		}
	}
}

func askBefore(ctx context.Context, deadline time.Time, ask func(context.Context) (wal.LSN, error)) (wal.LSN, error) {
	limit, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return ask(limit)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// late is the error for a server that did not catch up.
func (w Wait) late(err error, what string, at, want wal.LSN) *usererr.Error {
	return usererr.Wrap(err, "%s is at %s, short of %s, and has not moved for %d seconds", what, at, want, int(w.Timeout/time.Second))
}

// check refuses ranges that cannot be.
func (r Range) check() error {
	if r.Start > r.End {
		return fmt.Errorf("find changed blocks: range from %s to %s", r.Start, r.End)
	}
	return nil
}
