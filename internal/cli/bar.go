package cli

import (
	"sync"
	"time"
)

const barInterval = time.Second

// Tails of a bar (spec/cli.md §7.6).
const (
	tailBackup      = "backup file"
	tailValidate    = "validate file"
	tailRestore     = "Restore file"
	tailSyncBackup  = "Sync backup file"
	tailSyncRestore = "Sync restore file"
)

// bar is the progress bar of openGauss 6.0 on stdout. It is drawn when events
// come in, at most once a second, and once more when the phase ends. On a
// terminal it fits the width, tells rate and remaining time besides, and is
// redrawn while no events come. It is safe for concurrent use, because events
// come from copy workers.
type bar struct {
	mu      sync.Mutex
	began   time.Time
	drawn   time.Time
	running bool
	tail    string
	// alive redraws between events until it is closed; nil if nothing does.
	alive chan struct{}
	progress
}

// startBar begins a phase of files that have bytes together; 0 if unknown.
func (c *console) startBar(tail string, files int, bytes int64) {
	b := &c.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
	b.began, b.drawn, b.running, b.tail = c.env.Now(), time.Time{}, true, tail
	b.progress = progress{total: files, totalBytes: bytes}
	if c.profile.Bars && c.screen.width != nil && c.env.Tick != nil {
		b.alive = make(chan struct{})
		go c.keepAlive(b.alive)
	}
}

// end ends a phase.
func (b *bar) end() {
	b.running = false
	if b.alive != nil {
		close(b.alive)
		b.alive = nil
	}
}

// updateBar notes that a file of that many bytes is done and redraws a bar
// that is old enough.
func (c *console) updateBar(tail string, done, total int, bytes int64) {
	b := &c.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	// Workers count before they report, so events may come out of order.
	b.done, b.total, b.bytes = max(b.done, done), total, b.bytes+bytes
	now := c.env.Now()
	if !c.profile.Bars || !b.running || (!b.drawn.IsZero() && now.Sub(b.drawn) < barInterval) {
		return
	}
	b.drawn = now
	c.screen.redraw(b.fit(c.screen.columns(), counting(tail), tail, b.pace(now.Sub(b.began))))
}

// finishBar draws the last line of a phase. Unlike the C tool's it shows how
// far a failed phase came.
func (c *console) finishBar(tail string) {
	b := &c.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.profile.Bars && b.running {
		c.screen.leave(b.fit(c.screen.columns(), "done_files", tail, ""))
	}
	b.end()
}

// dropBar ends a phase that was broken off.
func (c *console) dropBar() {
	c.bar.mu.Lock()
	defer c.bar.mu.Unlock()
	c.bar.end()
}

// counting names the running count.
func counting(tail string) string {
	if tail == tailSyncBackup || tail == tailSyncRestore {
		return "sync_files"
	}
	return "done_files"
}
