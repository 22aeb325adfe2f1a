package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	barCells    = 50
	barInterval = time.Second
)

// Tails of a bar (spec/cli.md §7.6).
const (
	tailBackup      = "backup file"
	tailValidate    = "validate file"
	tailRestore     = "Restore file"
	tailSyncBackup  = "Sync backup file"
	tailSyncRestore = "Sync restore file"
)

// bar is the progress bar of openGauss 6.0 on stdout. It is drawn when events
// come in, at most once a second, and once more when the phase ends. It is
// safe for concurrent use, because events come from copy workers.
type bar struct {
	mu          sync.Mutex
	drawn       time.Time
	running     bool
	done, total int
}

// startBar begins a phase of total files.
func (c *console) startBar(total int) {
	b := &c.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drawn, b.running, b.done, b.total = time.Time{}, true, 0, total
}

// updateBar notes how far the phase is and redraws a bar that is old enough.
func (c *console) updateBar(tail string, done, total int) {
	b := &c.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	// Workers count before they report, so events may come out of order.
	b.done, b.total = max(b.done, done), total
	now := c.env.Now()
	if !c.profile.Bars || !b.running || (!b.drawn.IsZero() && now.Sub(b.drawn) < barInterval) {
		return
	}
	b.drawn = now
	drawBar(c.out, b.done, b.total, counting(tail), tail, "\r")
}

// finishBar draws the last line of a phase. Unlike the C tool's it shows how
// far a failed phase came.
func (c *console) finishBar(tail string) {
	b := &c.bar
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.profile.Bars && b.running {
		drawBar(c.out, b.done, b.total, "done_files", tail, "\n")
	}
	b.running = false
}

// counting names the running count.
func counting(tail string) string {
	if tail == tailSyncBackup || tail == tailSyncRestore {
		return "sync_files"
	}
	return "done_files"
}

func drawBar(w io.Writer, done, total int, counting, tail, end string) {
	percent := 100
	if total > 0 {
		percent = done * 100 / total
	}
	cells := min(percent/2, barCells)
	// A full stdout must not end a backup.
	_, _ = fmt.Fprintf(w, "Progress: [%s%s] %d%% (%d/%d, %s/total_files). %s %s",
		strings.Repeat("=", cells), strings.Repeat(" ", barCells-cells),
		percent, done, total, counting, tail, end)
}
