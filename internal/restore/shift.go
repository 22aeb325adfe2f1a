package restore

import (
	"context"
	"fmt"
	"path"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"
)

// findShift finds the shift LSN of an incremental restore by LSN: the stop
// position of the newest backup of the chain that lies in the past of the data
// directory (spec/server.md §6.4). Up to there the histories of both are the
// same, as far as timelines can tell.
func (r *run) findShift(ctx context.Context) error {
	if r.mode != IncrementalLSN {
		return nil
	}
	old := r.old
	if !old.Checksums {
		r.emit(NoChecksums{})
	}
	past, found, err := r.pastOf(ctx, old.Timeline)
	if err != nil {
		return err
	}
	if !found {
		r.emit(NoHistory{Timeline: old.Timeline})
	}
	for i := len(r.chain) - 1; i >= 0; i-- {
		b := r.chain[i]
		switch {
		case b.StopLSN >= old.Redo:
			continue
		case b.Timeline == old.Timeline:
			r.emit(ShiftPoint{ID: b.ID})
		case !found:
			r.emit(HistoryMandatory{Redo: old.Timeline, Backup: b.Timeline})
			return r.outOfReach()
		case !past.Has(b.Timeline, b.StopLSN): // C looks at the timeline's number only
			r.emit(OtherHistory{ID: b.ID, Timeline: b.Timeline, Redo: old.Timeline})
			continue
		}
		r.shift = b.StopLSN
		r.emit(ShiftFound{ID: b.ID, Redo: old.Redo, RedoTimeline: old.Timeline, Stop: b.StopLSN, Timeline: b.Timeline})
		return nil
	}
	return r.outOfReach()
}

func (r *run) outOfReach() error {
	return usererr.New("Cannot perform incremental restore of backup chain %s in 'lsn' mode, because destination directory redo point %s on tli %d is out of reach",
		r.dest.ID, r.old.Redo, r.old.Timeline)
}

// maxHistory bounds a timeline history file; a line has some 60 bytes.
const maxHistory = 1 << 20

// pastOf reads how a timeline came about, from the archive or from the data
// directory itself, which the C tool does not ask.
func (r *run) pastOf(ctx context.Context, tli wal.Timeline) (l wal.Lineage, found bool, err error) {
	l, found, err = walarchive.ReadLineage(r.deps.FS, r.opts.Instance.WALDir(), tli)
	if found || err != nil {
		return l, found, err
	}
	raw, err := r.deps.Host.ReadFile(ctx, path.Join(r.opts.PGData, r.layout.WALDir(), wal.HistoryName(tli)), maxHistory)
	if isMissing(err) {
		return l, false, nil
	}
	if err != nil {
		return l, false, fmt.Errorf("read timeline history: %w", err)
	}
	l.Ancestors, err = wal.ParseHistory(raw, tli)
	return l, err == nil, err
}
