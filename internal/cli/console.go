package cli

import (
	"errors"
	"fmt"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
	"gsprobackup/internal/event"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
)

// console turns the events of the use cases into what people see: messages on
// stderr and in the log file, progress bars on stdout. It is the event.Sink of
// a run. Which event reads how is in one render_*.go file per package that
// emits events.
type console struct {
	log     *logging.Logger
	profile compat.Profile
	screen  *screen
	env     Env
	// perFile is --progress.
	perFile bool
	// slot is --slot.
	slot string
	// explain is --explain.
	explain bool
	bar     bar
	// remote is a backup of another machine's directory, threads is -j.
	remote  bool
	threads int
	// noMap remembers that the backup to restore has no tablespace_map.
	noMap bool
	// recovery are the recovery settings that were written and not yet said.
	recovery *restore.RecoverySettings
	// hints prints the next step after an error.
	hints bool
	// tally counts what the run works on, for metrics.
	tally tally
	// told are errors that were printed when they happened.
	told []error
}

func newConsole(s *session) *console {
	return &console{log: s.log, profile: s.profile, screen: s.screen, env: s.env, hints: s.env.ErrTerminal}
}

// renderer prints an event of its package and says whether it was one.
type renderer func(c *console, e event.Event) bool

func renderers() []renderer {
	return []renderer{
		renderCatalog, renderLock, renderServer, renderWAL, renderBackup, renderValidate, renderRestore,
		renderRemove, renderRetention, renderWALPurge, renderMerge, renderArchive, renderRemote,
	}
}

// Emit implements event.Sink.
func (c *console) Emit(e event.Event) {
	c.tally.count(e)
	for _, render := range renderers() {
		if render(c, e) {
			return
		}
	}
	// No words yet: better seen by a developer than lost.
	c.verbose("%T%+v", e, e)
}

func (c *console) verbose(format string, args ...any) {
	if c.log.Enabled(logging.Verbose) {
		c.log.Log(logging.Verbose, fmt.Sprintf(format, args...))
	}
}

func (c *console) logf(format string, args ...any) {
	c.log.Log(logging.Log, fmt.Sprintf(format, args...))
}

func (c *console) info(format string, args ...any) {
	c.log.Log(logging.Info, fmt.Sprintf(format, args...))
}

func (c *console) warn(format string, args ...any) {
	c.log.Log(logging.Warning, fmt.Sprintf(format, args...))
}

// errorf prints an ERROR line that does not end the run by itself.
func (c *console) errorf(format string, args ...any) {
	c.log.Log(logging.Error, fmt.Sprintf(format, args...))
}

// tell prints an error that will end the run, before its cleaning up.
func (c *console) tell(err error) {
	c.told = append(c.told, err)
	for _, f := range flatten(err) {
		c.sayError(f)
	}
}

// sayError prints an error and, for people, the next step. By default a hint is
// only printed to a terminal: scripts read the rest.
func (c *console) sayError(err error) {
	text := errorText(err)
	c.errorf("%s", text)
	if !c.hints {
		return
	}
	hint := hintFor(text)
	var user *usererr.Error
	if errors.As(err, &user) && user.Hint != "" {
		hint = user.Hint
	}
	if hint != "" {
		c.log.Hint(hint)
	}
}

// wasTold tells whether an error was printed by tell.
func (c *console) wasTold(err error) bool {
	for _, t := range c.told {
		if errors.Is(t, err) || errors.Is(err, t) {
			return true
		}
	}
	return false
}

// fileProgress is the line of --progress for one file. Releases with bars
// write it to the log file only, except for merge and delete.
func (c *console) fileProgress(verb, path string, done, total int) {
	if !c.perFile {
		return
	}
	text := fmt.Sprintf("Progress: (%d/%d). %s file \"%s\"", done, total, verb, path)
	if c.profile.Bars {
		c.log.LogToFile(logging.Info, text)
		return
	}
	c.log.Log(logging.Info, text)
}

// noteRemoved is said by backup and by set-backup.
func (c *console) noteRemoved(id catalog.ID) { c.info("Removing note from backup %s", id) }

// pinned is the word for a new pin, from backup and from set-backup.
func (c *console) pinned(id string, until time.Time) {
	c.info("Backup %s is pinned until '%s'", id, optvalue.FormatTime(until, c.env.Location))
}
