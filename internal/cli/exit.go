package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/usererr"
)

// This file is the only place where an error becomes words and an exit status.

// exitStatus prints err and returns the status of the process.
func (s *session) exitStatus(err error) int {
	var bad *getoptError
	var status *exitError
	switch {
	case err == nil, errors.Is(err, errHelpShown):
		return 0
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &bad):
		s.log.Raw(bad.Line + "\n")
		s.log.Log(logging.Error, fmt.Sprintf("Option is not found. Try \"%s --help\" for more information.\n", s.progName()))
		return 1
	}
	faults := flatten(err)
	for _, f := range faults {
		if s.console != nil && s.console.wasTold(f) {
			continue
		}
		if s.console == nil {
			s.log.Log(logging.Error, errorText(f))
			continue
		}
		s.console.sayError(f)
	}
	var user *usererr.Error
	if errors.As(faults[0], &user) {
		return user.ExitCode()
	}
	return 1
}

// flatten takes joined errors apart: the cause, then what went wrong while
// cleaning up behind it. Each is told.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // only the outermost layer is a list of faults
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// saysTheSame tells whether fault is among the messages of err; it may be the
// hidden cause of another one.
func saysTheSame(err, fault error) bool {
	if err == nil {
		return false
	}
	return slices.ContainsFunc(flatten(err), func(f error) bool { return errorText(f) == errorText(fault) })
}

// errorText is the message of err. A text of the C tool stands for itself:
// what lower packages wrapped around it is for developers. So does the reason
// why a file cannot hold a value; the C tool stores it and cannot read the file
// again (spec/cli.md §13 row 1).
func errorText(err error) string {
	var user *usererr.Error
	var unstorable *keyfile.ValueError
	switch {
	case errors.As(err, &user):
		return user.Text
	case errors.As(err, &unstorable):
		return fmt.Sprintf("Cannot store value of option --%s: %s", unstorable.Key, unstorable.Reason)
	}
	return err.Error()
}

// exitError ends the run with a status and without a message; everything was
// said already.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// ErrInterrupted is the cause of a run that a signal ended.
var ErrInterrupted = usererr.New("interrupted")

// explainCancel replaces the bare "context canceled" of a use case by what
// cancelled it. Texts of the C tool ("interrupted during backup") stay.
func (s *session) explainCancel(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil {
		return err
	}
	var user *usererr.Error
	if errors.As(err, &user) {
		return err
	}
	if err == nil && errors.Is(cause, ErrInterrupted) {
		return nil // the work was done when the signal came
	}
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, cause) {
		return s.interruption(cause)
	}
	return err
}

// interruption gives a signal the words of the command it met (spec/cli.md
// §11).
func (s *session) interruption(cause error) error {
	during := map[string]string{"restore": "restore", "validate": "validate", "merge": "merge"}
	if len(s.args) < 2 || during[s.args[1]] == "" || !errors.Is(cause, ErrInterrupted) {
		return cause
	}
	return usererr.Wrap(cause, "Interrupted during %s", during[s.args[1]])
}

// catchSignals turns the first INT, QUIT, TERM or HUP into a cancellation. A
// second one finds the default action again and kills the process. The C tool
// lets HUP kill it; under nohup it is ignored here as there.
func (s *session) catchSignals(cancel context.CancelCauseFunc) (stop func()) {
	if !s.env.Signals {
		return func() {}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			signal.Stop(signals)
			cancel(ErrInterrupted)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// outliveReaders keeps a command that works alive when nobody reads its
// messages any more: writing to a closed pipe would kill the process and leave
// a server in backup mode. The signal is caught, not ignored, so that programs
// started by us find the default action.
func (s *session) outliveReaders() (stop func()) {
	if !s.env.Signals {
		return func() {}
	}
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	return func() { signal.Stop(pipes) }
}

// output is stdout. That it cannot be written is a failure with words; the C
// tool says nothing and exits 0 (spec/cli.md §13 row 17).
type output struct{ w io.Writer }

func (o output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		err = usererr.Wrap(err, "could not write to standard output: %s", usererr.SystemText(err))
	}
	return n, err
}
