package agent

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Link reaches another machine, normally over ssh. It is safe for concurrent
// use.
type Link interface {
	// Start runs a command there, through the user's shell. Several may run
	// at a time, over one connection or over one each. The context covers
	// the start only. An error is in the words of the C tool, with a hint
	// where to look.
	Start(ctx context.Context, command string) (Channel, error)
	// Close ends the connection and with it what still runs.
	Close() error
}

// Channel is the standard input and output of one far process. Reads and
// writes may go on at the same time, and Close at any time; it makes both
// return.
type Channel interface {
	io.Reader
	io.Writer
	// CloseWrite ends the input of the process, which ends an agent.
	CloseWrite() error
	// Wait returns when the process is over, as it is soon after its pipe
	// was closed: nil for status 0, else an *ExitError, or why the link was
	// lost. It may be called more than once.
	Wait() error
	// Close ends input and output, and the process if it does not end by
	// itself within a moment. It returns what Wait does.
	Close() error
}

// ExitError tells how a far process ended that did not end well.
type ExitError struct {
	Status int    // exit status; 127 is a shell that found no such command
	Signal string // name of the signal that killed it, without SIG, or ""
	Stderr string // the last lines it wrote there, at most about 4 kB
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("ended with status %d", e.Status)
	if e.Signal != "" {
		text = "killed by signal " + e.Signal
	}
	if last := strings.TrimSpace(e.Stderr); last != "" {
		text += ": " + last
	}
	return text
}

// The events of a Link; both have the texts of the C tool. PID is that of the
// local ssh process, or our own where no process is started.
type (
	// LinkStarted comes before anything is sent.
	LinkStarted struct{ PID int }
	// LinkEnded comes once for each LinkStarted.
	LinkEnded struct{ PID, Status int }
)

// Command is how the agent is started (spec/server.md §5.2).
type Command struct {
	// Program is argv[0] of this process.
	Program string
	// Path is --remote-path, the directory of the program there, and
	// LibPath --remote-libpath; "" for none.
	Path, LibPath string
}
