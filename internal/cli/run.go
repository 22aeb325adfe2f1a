// Package cli is the command line: what a user types and what a user reads.
//
// It owns the C tool's option table, its getopt rules, the order of checks,
// help, version, the rendering of events as messages, bars, tables and JSON,
// and the one place where an error becomes words and an exit status. One file
// per sub-command collects options and calls the use case's package; the work
// itself, and everything that touches a catalog or a server, is below.
//
// The contract is spec/cli.md. cobra holds the command tree; its flag parser
// is switched off, because it differs from getopt_long in every row of §5.6.
package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"gsprobackup/internal/compat"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/usererr"
)

// Run executes the command line args (args[0] is the program) and returns the
// exit status.
func Run(args []string, streams Streams, env Env) int {
	s := newSession(args, streams, env)
	defer s.close()
	err := s.run()
	status := s.exitStatus(err)
	// A log file may fail as late as in telling the error.
	if fault := s.logFault.Load(); fault != nil && !saysTheSame(err, *fault) {
		s.log.Log(logging.Error, errorText(*fault))
		status = 1
	}
	if status != 0 && s.failure != 0 {
		status = s.failure
	}
	s.writeMetrics(status)
	s.audit()
	return status
}

// session is one run of the program.
type session struct {
	args    []string // private copies; the process' own words get masked
	streams Streams
	env     Env
	profile compat.Profile
	log     *logging.Logger
	console *console
	screen  *screen
	opts    options

	// fail ends the run from inside: a signal, or a log file that cannot
	// be opened.
	fail     context.CancelCauseFunc
	logFault atomic.Pointer[error]
	// failure, if set, is the exit status instead of 1.
	failure int
	metrics runMetrics
	// succeeded says that a sub-command did its work.
	succeeded bool
}

func newSession(args []string, streams Streams, env Env) *session {
	s := &session{streams: streams, env: env}
	s.streams.Out = output{streams.Out}
	s.screen = &screen{out: s.streams.Out, width: env.OutWidth}
	if env.OutWidth != nil && env.ErrTerminal {
		s.streams.Err = beside{s.screen, streams.Err}
	}
	for _, a := range args {
		s.args = append(s.args, strings.Clone(a))
	}
	if len(s.args) == 0 {
		s.args = []string{"gs_probackup"}
	}
	s.fail = func(error) {}
	s.log = logging.New(logging.Options{
		Console: s.streams.Err, FS: env.FS, Now: env.Now, Location: env.Location, PID: env.PID,
		OnFileError: func(err error) {
			s.logFault.Store(&err)
			s.fail(err)
		},
	})
	return s
}

// progName is the name in help pages.
func (s *session) progName() string { return filepath.Base(s.args[0]) }

func (s *session) run() error {
	name, _ := s.env.LookupEnv("GS_PROBACKUP_COMPAT")
	if n := compatOption(s.args); n != "" {
		name = n
	}
	if err := s.useProfile(name); err != nil {
		return err
	}
	if len(s.args) < 2 {
		return usererr.New("No subcommand specified")
	}
	root := s.commandTree()
	command := s.args[1]
	if alias, ok := pseudoCommands()[command]; ok {
		command = alias
	}
	if !hasCommand(root, command) {
		return usererr.New("Unknown subcommand \"%s\"", s.args[1])
	}
	outer := s.env.Context
	if outer == nil {
		outer = context.Background()
	}
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	s.fail = cancel
	defer s.catchSignals(cancel)()

	root.SetArgs(append([]string{command}, s.args[2:]...))
	err := root.ExecuteContext(ctx)
	return s.explainCancel(ctx, err)
}

// compatOption looks for --compat before anything else is understood: what the
// other words mean, and how faults in them read, depends on it. It works with
// help and version too.
func compatOption(args []string) (name string) {
	for i, a := range args {
		switch value, ok := strings.CutPrefix(a, "--compat="); {
		case a == "--":
			return name
		case ok:
			name = value
		case a == "--compat" && i+1 < len(args):
			name = args[i+1]
		}
	}
	return name
}

func (s *session) useProfile(name string) error {
	p, err := compat.Lookup(name)
	if err != nil {
		return err
	}
	s.profile = p
	s.console = newConsole(s)
	return nil
}

func (s *session) close() {
	if s.console != nil {
		s.console.dropBar()
	}
	s.screen.wipe()
	// The messages are written; a failing close of the log changes nothing.
	_ = s.log.Close()
}

// pseudoCommands are other spellings of help and version. They work in the
// place of a sub-command only (spec/cli.md §1).
func pseudoCommands() map[string]string {
	return map[string]string{
		"--help": "help", "-?": "help",
		"--version": "version", "-V": "version",
	}
}

// hasCommand looks for an exact name: cobra's own search knows options before
// the command and abbreviations, the C tool does not.
func hasCommand(root *cobra.Command, name string) bool {
	for _, c := range root.Commands() {
		if c.Name() == name {
			return true
		}
	}
	return false
}

// commandTree is cobra without everything the C tool does not have: flags,
// suggestions, usage dumps, completion and its own help.
func (s *session) commandTree() *cobra.Command {
	root := &cobra.Command{
		Use:                "gs_probackup",
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableFlagParsing: true,
		DisableSuggestions: true,
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	help := helpCommand(s)
	root.SetHelpCommand(help)
	root.AddCommand(
		help, versionCommand(s), agentCommand(s),
		initCommand(s), addInstanceCommand(s), delInstanceCommand(s),
		setConfigCommand(s), setBackupCommand(s), showConfigCommand(s), showCommand(s),
		backupCommand(s), restoreCommand(s), mergeCommand(s), deleteCommand(s), validateCommand(s),
		archivePushCommand(s), archiveGetCommand(s),
	)
	return root
}

// newCommand makes a sub-command whose arguments are not touched by cobra.
func newCommand(name, short string, run func(ctx context.Context, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              short,
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), args)
		},
	}
}

// errHelpShown ends a command whose --help was printed; it is no failure.
var errHelpShown = errors.New("help shown")
