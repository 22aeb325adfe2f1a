package walstream

import (
	"context"
	"sync"

	"gsprobackup/internal/wal"
)

// progress is the receiver's position as others see it.
type progress struct {
	mu      sync.Mutex
	written wal.LSN // handed to the file system, readable by name
	synced  wal.LSN // durable
	stop    wal.LSN // 0: none
	err     error   // receiving failed; what was written before is good
	fatal   bool    // storing failed: nothing is good
	ended   bool    // no more WAL will come
	changed chan struct{}
}

// advance records new positions; zero ones are left alone.
func (p *progress) advance(written, synced wal.LSN) {
	p.update(func() {
		p.written = max(p.written, written)
		p.synced = max(p.synced, synced)
	})
}

// fail ends the stream; the first error stays unless a fatal one follows.
func (p *progress) fail(err error, fatal bool) {
	p.update(func() {
		if p.err == nil || fatal && !p.fatal {
			p.err, p.fatal = err, fatal
		}
		p.ended = true
	})
}

func (p *progress) end() { p.update(func() { p.ended = true }) }

func (p *progress) update(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	if p.changed != nil { // somebody waits
		close(p.changed)
		p.changed = nil
	}
}

// setStop sets the stop position and tells whether it is reached already.
func (p *progress) setStop(lsn wal.LSN) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = lsn
	return p.written >= lsn
}

func (p *progress) stopReached() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop != 0 && p.written >= p.stop
}

func (p *progress) positions() (written, synced wal.LSN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written, p.synced
}

// result is the stream's outcome once it has ended. A stream that died after
// everything up to the stop position had come did its work.
func (p *progress) result() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fatal && p.stop != 0 && p.written >= p.stop {
		return nil
	}
	return p.err
}

// look tells whether lsn is reached or never will be, else what to wait for.
func (p *progress) look(lsn wal.LSN) (reached bool, changed <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fatal:
		return false, nil, p.err
	case p.written >= lsn:
		return true, nil, nil
	case p.err != nil:
		return false, nil, p.err
	case p.ended:
		return false, nil, &StoppedError{LSN: p.written, Wanted: lsn}
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return false, p.changed, nil
}

func (p *progress) wait(ctx context.Context, lsn wal.LSN) error {
	for {
		reached, changed, err := p.look(lsn)
		if reached || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
