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
	mu    sync.Mutex
	drawn time.Time
	ended bool
}

// barState is what a bar shows.
type barState struct {
	done, total int
	// counting names the running count: "done_files" or "sync_files".
	counting string
	tail     string
}

// start begins a phase.
func (b *bar) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drawn, b.ended = time.Time{}, false
}

// update redraws the bar if the last drawing is old enough.
func (b *bar) update(w io.Writer, now time.Time, s barState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || (!b.drawn.IsZero() && now.Sub(b.drawn) < barInterval) {
		return
	}
	b.drawn = now
	drawBar(w, s, "\r")
}

// finish draws the last line of a phase. Unlike the C tool it shows how far a
// failed phase came.
func (b *bar) finish(w io.Writer, s barState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended = true
	s.counting = "done_files"
	drawBar(w, s, "\n")
}

func drawBar(w io.Writer, s barState, end string) {
	percent := 100
	if s.total > 0 {
		percent = s.done * 100 / s.total
	}
	cells := min(percent/2, barCells)
	// A full stdout must not end a backup.
	_, _ = fmt.Fprintf(w, "Progress: [%s%s] %d%% (%d/%d, %s/total_files). %s %s",
		strings.Repeat("=", cells), strings.Repeat(" ", barCells-cells),
		percent, s.done, s.total, s.counting, s.tail, end)
}
