package cli

import (
	"io"
	"sync"
)

// screen is where bars go: stdout. If that is a terminal, and messages go to
// the same one, it keeps the two from writing over each other.
type screen struct {
	out io.Writer
	// width tells the columns of the terminal, 0 if unknown; nil says that
	// stdout is no terminal.
	width func() int

	mu    sync.Mutex
	shown bool // the cursor's line shows a bar
}

// clearLine is what every terminal of this century understands: erase from the
// cursor to the end of the line.
const clearLine = "\x1b[K"

// columns is the present width of the terminal, or 0.
func (s *screen) columns() int {
	if s.width == nil {
		return 0
	}
	return s.width()
}

// redraw shows a bar and returns to the beginning of its line.
func (s *screen) redraw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.width != nil {
		line += clearLine
		s.shown = true
	}
	s.write(line + "\r")
}

// leave shows the last state of a bar and goes to the next line.
func (s *screen) leave(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.width != nil {
		line += clearLine
	}
	s.shown = false
	s.write(line + "\n")
}

// wipe removes a bar that is still to be seen.
func (s *screen) wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipeLocked()
}

func (s *screen) wipeLocked() {
	if s.shown {
		s.write("\r" + clearLine)
		s.shown = false
	}
}

// write ignores errors: a full stdout must not end a backup.
func (s *screen) write(text string) { _, _ = io.WriteString(s.out, text) }

// beside is a writer of messages to the terminal that shows the bar.
type beside struct {
	screen *screen
	w      io.Writer
}

func (b beside) Write(p []byte) (int, error) {
	b.screen.mu.Lock()
	defer b.screen.mu.Unlock()
	b.screen.wipeLocked()
	return b.w.Write(p)
}
