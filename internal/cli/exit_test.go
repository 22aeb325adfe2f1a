package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"gsprobackup/internal/usererr"
)

func TestExitStatus(t *testing.T) {
	other := errors.New("some fault")
	for _, tt := range []struct {
		err    error
		code   int
		stderr string
	}{
		{nil, 0, ""},
		{errHelpShown, 0, ""},
		{&exitError{code: 1}, 1, ""},
		{usererr.New("text\n"), 1, "ERROR: text\n\n"},
		{fmt.Errorf("do this: %w", usererr.Wrap(other, "the C tool's text")), 1, "ERROR: the C tool's text\n"},
		{&usererr.Error{Text: "t", Code: 3}, 3, "ERROR: t\n"},
		{fmt.Errorf("do this: %w", other), 1, "ERROR: do this: some fault\n"},
		{errors.Join(usererr.New("cause"), errors.Join(fmt.Errorf("clean up: %w", other))), 1, "ERROR: cause\nERROR: clean up: some fault\n"},
	} {
		var stderr bytes.Buffer
		s := newSession([]string{"/x/prog"}, Streams{Err: &stderr}, OSEnv())
		if code := s.exitStatus(tt.err); code != tt.code || stderr.String() != tt.stderr {
			t.Errorf("%v: %d, %q", tt.err, code, stderr.String())
		}
	}
}

func TestExplainCancel(t *testing.T) {
	logFault := usererr.New("could not open log file")
	text := usererr.New("interrupted during backup")
	fault := errors.New("other fault")
	for _, tt := range []struct {
		name       string
		cause, err error
		want       error
	}{
		{"not cancelled", nil, fault, fault},
		{"done before the signal", ErrInterrupted, nil, nil},
		{"bare cancellation", ErrInterrupted, fmt.Errorf("copy: %w", context.Canceled), ErrInterrupted},
		{"the cause itself", ErrInterrupted, fmt.Errorf("copy: %w", ErrInterrupted), ErrInterrupted},
		{"own words", ErrInterrupted, text, text},
		{"another fault", ErrInterrupted, fault, fault},
		{"log file, done", logFault, nil, logFault},
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		if tt.cause != nil {
			cancel(tt.cause)
		}
		s := newSession(nil, Streams{Err: &bytes.Buffer{}}, OSEnv())
		got := s.explainCancel(ctx, tt.err)
		if !errors.Is(got, tt.want) || (tt.want == nil) != (got == nil) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		cancel(nil)
	}
}

// TestInterruptedWords: an interrupted command says what it was at.
func TestInterruptedWords(t *testing.T) {
	for command, want := range map[string]string{
		"restore": "Interrupted during restore", "validate": "Interrupted during validate",
		"merge": "Interrupted during merge", "delete": "interrupted",
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(ErrInterrupted)
		s := newSession([]string{"x", command}, Streams{Err: &bytes.Buffer{}}, OSEnv())
		if got := errorText(s.explainCancel(ctx, context.Canceled)); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

func TestSignalCancels(t *testing.T) {
	env := OSEnv()
	s := newSession([]string{"x"}, Streams{Err: &bytes.Buffer{}}, env)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT} {
		ctx, cancel := context.WithCancelCause(context.Background())
		stop := s.catchSignals(cancel)
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), ErrInterrupted) {
			t.Errorf("%v: cause %v", sig, context.Cause(ctx))
		}
		stop()
	}
}
