package replay

import (
	"bytes"
	"context"
	"io"
	"regexp"

	"gsprobackup/internal/cli"
)

// inBackground is how the recordings interrupt a command: it begins in the
// background and gets its signal after some seconds.
var inBackground = regexp.MustCompile(`^\((.*) & p=\$!; sleep [\d.]+; kill -INT \$p; wait \$p; echo rc=\$\?\)$`)

// interrupter is the standard error of a command that is interrupted as soon
// as it writes a certain message.
type interrupter struct {
	to      io.Writer
	message *regexp.Regexp
	text    bytes.Buffer
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

func (w *world) interrupted(to io.Writer) *interrupter {
	i := &interrupter{to: to, message: w.interrupt}
	i.ctx, i.cancel = context.WithCancelCause(context.Background())
	return i
}

func (i *interrupter) Write(p []byte) (int, error) {
	i.text.Write(p)
	if i.message.Match(i.text.Bytes()) {
		i.cancel(cli.ErrInterrupted)
	}
	return i.to.Write(p)
}

// check makes sure that it was interrupted.
func (i *interrupter) check(w *world) {
	w.interrupt = nil
	if i.ctx.Err() == nil {
		w.t.Errorf("not interrupted: no %q", i.message)
	}
	i.cancel(nil)
}
