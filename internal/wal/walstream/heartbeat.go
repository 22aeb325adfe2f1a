package walstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gsprobackup/internal/wal"
)

// sendTimeout bounds one status reply: a server that does not read for so
// long is gone.
const sendTimeout = 30 * time.Second

// heartbeat sends status replies while the reader waits or writes, and ends a
// stream on which nothing arrives. It runs until quit is closed or the stream
// has ended.
func (r *Receiver) heartbeat(quit <-chan struct{}) {
	tick := time.Second
	if t := r.o.StallTimeout; t > 0 {
		tick = max(min(tick, t/4), time.Millisecond)
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-quit:
			return
		case <-r.ctx.Done():
			return
		case now := <-ticker.C:
			if err := r.beat(now); err != nil {
				r.cancel(err)
				return
			}
		}
	}
}

func (r *Receiver) beat(now time.Time) error {
	if since := r.receiving.Load(); since != 0 && r.o.StallTimeout > 0 {
		if now.Sub(r.born)-time.Duration(since) >= r.o.StallTimeout {
			return &StalledError{After: r.o.StallTimeout, LSN: r.Written()}
		}
	}
	status, ping := r.due(now)
	if !status && !ping {
		return nil
	}
	return r.sendStatus(ping)
}

// due tells whether a status or a ping has to go out. An idle server that
// gets its status in time says nothing by itself, so pings come often enough
// for the stall time-out.
func (r *Receiver) due(now time.Time) (status, ping bool) {
	pingEvery := r.o.Dialect.pingEvery
	if t := r.o.StallTimeout; t > 0 {
		pingEvery = min(pingEvery, t/3)
	}
	r.sendMu.Lock()
	defer r.sendMu.Unlock()
	return now.Sub(r.lastSent) >= r.o.Dialect.statusEvery, now.Sub(r.lastPing) >= pingEvery
}

// sendStatus reports the positions; ping asks for an answer.
func (r *Receiver) sendStatus(ping bool) error {
	r.sendMu.Lock()
	defer r.sendMu.Unlock()
	written, synced := r.progress.positions()
	now := time.Now()
	s := Status{Flush: r.flushPosition(written, synced), SendTime: now, ReplyRequested: ping}
	if r.o.Dialect.tellWrite {
		s.Write = written
	}
	r.sendBuf = r.o.Dialect.AppendStatus(r.sendBuf[:0], s)
	base := r.ctx
	if errors.Is(context.Cause(base), errStopReached) {
		base = context.WithoutCancel(base) // the slot's owner learns of the last sync
	}
	ctx, cancel := context.WithTimeout(base, sendTimeout)
	defer cancel()
	if err := r.stream.Send(ctx, r.sendBuf); err != nil {
		return fmt.Errorf("send status at %s: %w", written, err)
	}
	r.lastSent = now
	if ping {
		r.lastPing = now
	}
	return nil
}

func (r *Receiver) flushPosition(written, synced wal.LSN) wal.LSN {
	switch r.flush {
	case FlushWritten:
		return written
	case FlushSynced:
		return synced
	}
	return 0
}
