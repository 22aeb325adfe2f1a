package process

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/test/opengaussd"
)

// What happens when nobody reads, or the disk behind a stream is full.
func TestStreams(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, line string
		exit       int
		stderr     string // "" for nothing
	}{
		{"show, reader gone", `"$tool" show -B "$B" | head -n 1 >/dev/null`, 0, ""},
		{"show, pipe closed", `"$tool" show -B "$B" | true`, 0, ""},
		{"show, disk full", `"$tool" show -B "$B" >/dev/full`, 1, "ERROR: could not write to standard output: No space left on device\n"},
		{"show JSON, disk full", `"$tool" show -B "$B" --format=json >/dev/full`, 1, "ERROR: could not write to standard output: No space left on device\n"},
		{"show-config, disk full", `"$tool" show-config -B "$B" --instance n1 >/dev/full`, 1, "ERROR: could not write to standard output: No space left on device\n"},
		{"help, disk full", `"$tool" help >/dev/full`, 1, "ERROR: could not write to standard output: No space left on device\n"},
		{"validate, bars to a full disk", `"$tool" validate -B "$B" --log-level-console=warning >/dev/full`, 0, ""},
		{"validate, no stdout", `"$tool" validate -B "$B" --log-level-console=warning >&-`, 0, ""},
		{"validate, no stderr", `"$tool" validate -B "$B" >/dev/null 2>&-`, 0, ""},
		{"validate, no streams", `"$tool" validate -B "$B" <&- >&- 2>&-`, 0, ""},
		{"validate, messages to a full disk", `"$tool" validate -B "$B" >/dev/null 2>/dev/full`, 0, ""},
		{"validate, nobody reads messages", `{ "$tool" validate -B "$B" 2>&1; test $? = 0 || echo failed >&2; } | true`, 0, ""},
	} {
		r := w.run(w.shell(tt.line), nil, nil)
		if r.exit != tt.exit || r.stderr != tt.stderr {
			t.Errorf("%s: want exit %d and %q\n%v", tt.name, tt.exit, tt.stderr, r)
		}
	}
	// The messages went nowhere, not into the backup.
	if r := w.ok("validate", "-B", w.catalog); !strings.Contains(r.stderr, "INFO: All backups are valid\n") {
		t.Error(r)
	}
}

// A signal, or the loss of the reader, in the middle of a backup: the server
// is told, the backup is ERROR, and there is a next one.
func TestSignalsDuringABackup(t *testing.T) {
	// Signals that this process handles are at their defaults in its children,
	// SIGHUP also when the tests run under nohup.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	w := newWorld(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		reached := w.holdAtStop()
		cmd := w.backup()
		r := w.run(cmd, reached, func() {
			if err := cmd.Process.Signal(sig); err != nil {
				t.Error(err)
			}
		})
		w.server.Heal()
		if r.exit != 1 || !strings.Contains(r.stderr, "nterrupted") {
			t.Errorf("%v: %v", sig, r)
		}
		if got := w.statuses(); got[0] != "ERROR" {
			t.Errorf("%v: statuses %q", sig, got)
		}
		if r := w.run(w.backup(), nil, nil); r.exit != 0 {
			t.Errorf("after %v: %v", sig, r)
		}
	}
	// The reader of all messages goes away; the backup is completed.
	reached := w.holdAtStop()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.backup("--progress")
	cmd.Stdout, cmd.Stderr = write, write
	go io.Copy(io.Discard, read)
	r := w.run(cmd, reached, func() {
		write.Close()
		read.Close()
		w.release()
	})
	if r.exit != 0 {
		t.Errorf("without a reader: %v", r)
	}
	if got := w.statuses(); got[0] != "OK" {
		t.Errorf("without a reader: statuses %q", got)
	}
	// Under nohup the end of the terminal means nothing.
	reached = w.holdAtStop()
	cmd = w.shell(`trap "" HUP; exec "$0" "$@"`)
	cmd.Args = append(cmd.Args, w.backup().Args...)
	cmd.SysProcAttr.Credential = nil // as the stand-in
	r = w.run(cmd, reached, func() {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Error(err)
		}
		w.release()
	})
	if r.exit != 0 {
		t.Errorf("nohup: %v", r)
	}
}

// holdAtStop lets the next backup wait where the server is told to stop it. The
// channel is closed when it is there.
func (w *world) holdAtStop() <-chan struct{} {
	reached, hold := make(chan struct{}), make(chan struct{})
	w.release = func() { close(hold) }
	w.server.Inject(opengaussd.Fault{On: "pg_stop_backup", Times: 1, Hold: hold, Do: func() error {
		close(reached)
		return nil
	}})
	return reached
}
