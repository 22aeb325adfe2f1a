package cli

import (
	"context"
	"io"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"time"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/remote/sshlink"
)

// Streams are the standard streams of a run.
type Streams struct {
	In  io.Reader
	Out io.Writer // help, version, show, show-config, progress bars
	Err io.Writer // every message
}

// Env is the rest of the outside world. Tests replace what they need.
type Env struct {
	// LookupEnv reads an environment variable.
	LookupEnv func(name string) (value string, ok bool)
	Now       func() time.Time
	// Location is the zone of printed and parsed local times (TZ).
	Location *time.Location
	// UserName is the operating-system user of the effective user ID, ""
	// if it has no name.
	UserName func() string
	// CPUs is the number of processors online.
	CPUs int
	PID  int
	FS   fsx.FS
	// Program is the absolute path of this program, "" if not known.
	Program string
	// Build is what --version tells.
	Build Build
	// MaskArgument blanks the bytes of argument arg from offset off on in
	// the process list; nil does nothing.
	MaskArgument func(arg, off int)
	// Signals makes INT, QUIT and TERM cancel the run.
	Signals bool
	// Context ends the run when it is done; with ErrInterrupted as its cause,
	// as a signal does. nil is never done.
	Context context.Context
	// ErrTerminal tells that messages are read by a person.
	ErrTerminal bool
	// OutWidth tells the present columns of the terminal that stdout is; nil
	// if it is none.
	OutWidth func() int
	// Tick starts a ticker, for bars on a terminal; nil redraws them upon
	// events only.
	Tick func(every time.Duration) (ticks <-chan time.Time, stop func())
	// OpenLink reaches the host of --remote-host.
	OpenLink func(sshlink.Options) (agent.Link, error)
	// OpenTerminal opens the controlling terminal for a password; nil if
	// there is never one.
	OpenTerminal func() (Terminal, error)
}

// OSStreams are the process' streams.
func OSStreams() Streams {
	return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
}

// OSEnv is the process' surroundings.
func OSEnv() Env {
	return Env{
		LookupEnv:    os.LookupEnv,
		Now:          time.Now,
		Location:     localZone(os.LookupEnv),
		UserName:     effectiveUser,
		CPUs:         runtime.NumCPU(),
		PID:          os.Getpid(),
		FS:           fsx.OS(),
		Program:      executable(),
		MaskArgument: maskArgument,
		Signals:      true,
		ErrTerminal:  isTerminal(os.Stderr.Fd()),
		OutWidth:     terminalWidth(os.Stdout),
		Tick:         tick,
		OpenLink:     sshlink.Open,
		OpenTerminal: openTerminal,
	}
}

// executable is where a server finds this program later.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

func effectiveUser() string {
	u, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		return ""
	}
	return u.Username
}
