package walstream

import "gsprobackup/internal/wal"

// enqueue passes a segment on to be synced. It waits when too many are
// waiting already; the heartbeat goes on meanwhile.
func (r *Receiver) enqueue(s finishedSegment) { r.queue <- s }

// finishSegments makes segments durable in order.
func (r *Receiver) finishSegments() {
	failed := false
	for s := range r.queue {
		if failed {
			// Its place after the failed one makes this segment useless; the
			// first error is already reported.
			_ = s.file.Close()
			continue
		}
		if err := s.finish(r.o.FS); err != nil {
			failed = true
			err = &storageError{err}
			r.progress.fail(err, true)
			r.cancel(err)
			continue
		}
		r.progress.advance(0, s.end)
		r.tellFinished(s)
	}
}

func (r *Receiver) tellFinished(s finishedSegment) {
	switch {
	case s.whole:
		r.o.Events.Emit(SegmentCompleted{Path: s.path, End: s.end})
	case s.rename:
		r.o.Events.Emit(SegmentPartialRenamed{Path: s.path, End: s.end})
	default:
		r.o.Events.Emit(SegmentPartialLeft{Path: s.path + wal.PartialSuffix, End: s.end})
	}
	if r.flush == FlushSynced {
		// A reply that cannot be sent shows up in the reader soon enough; if
		// the stream is over already, the slot merely lags behind.
		_ = r.sendStatus(false)
	}
}
