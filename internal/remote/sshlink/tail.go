package sshlink

import (
	"strings"
	"sync"

	"gsprobackup/internal/event"
)

// maxTail bounds what is kept of a standard error, in bytes.
const maxTail = 4096

// tail keeps the last bytes of a standard error for whoever explains a
// failure, and tells the lines of a process that ended well.
type tail struct {
	mu   sync.Mutex
	text []byte
	live event.Sink // tell lines at once instead; nil for not
	part string     // of a line
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live != nil {
		whole := t.part + string(p)
		end := strings.LastIndexByte(whole, '\n') + 1
		t.part = whole[end:]
		emitLines(t.live, whole[:end])
	}
	t.text = append(t.text, p...)
	if over := len(t.text) - maxTail; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// emit tells what a process that ended well had to say, unless told already.
func (t *tail) emit(events event.Sink) {
	if t.live == nil {
		emitLines(events, t.String())
	}
}

func emitLines(events event.Sink, text string) {
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimRight(line, "\r "); line != "" {
			events.Emit(FarText{Line: line})
		}
	}
}
