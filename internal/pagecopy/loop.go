package pagecopy

import "gsprobackup/internal/remote"

// loop does units of work until there are no more or something has failed.
// With a far source it claims some ahead of the one it does, so that their
// content is on its way. What was claimed is done in any case: others may wait
// for the turn of a run.
func (w *worker) loop() {
	for {
		if w.ctx.Err() == nil {
			w.claimAhead()
		}
		if len(w.claimed) == 0 {
			return
		}
		u := w.claimed[0]
		w.claimed = w.claimed[1:]
		if err := w.do(u); err != nil {
			w.fail(u.task, err)
		}
	}
}

// claimAhead claims one unit, or as many as the reader has room for.
func (w *worker) claimAhead() {
	ahead, far := w.reader.(remote.Ahead)
	for len(w.claimed) == 0 || far && ahead.Room() && len(w.claimed) < maxAhead {
		u, ok := w.sched.claim(w.own, w.newPageFile)
		if !ok {
			return
		}
		w.own = u.file
		w.claimed = append(w.claimed, u)
		if !far {
			return
		}
		if err := w.announce(ahead, u); err != nil {
			w.fail(u.task, err)
			return
		}
	}
}

// maxAhead bounds the units a worker has claimed, also those that nothing is
// read for.
const maxAhead = 64

// announce tells the reader what do will ask it for.
func (w *worker) announce(ahead remote.Ahead, u unit) error {
	t := u.task
	switch {
	case u.file != nil:
		req := w.runRequest(u)
		return ahead.AnnounceRun(w.ctx, &req)
	case t.Kind != Plain: // asked for otherwise, or not at all
		return nil
	case t.Known:
		return ahead.AnnounceChecksum(w.ctx, t.source())
	}
	return ahead.AnnounceCopy(w.ctx, t.copyRequest(), t.Size)
}
