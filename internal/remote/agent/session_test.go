package agent_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/usererr"
	"gsprobackup/test/agenttest"
)

// A line that is cut in the midst of an answer ends every call with C's words
// and what is known of the agent; the agent ends, too.
func TestCut(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	mustWrite(t, filepath.Join(dir, "big"), noise(3<<20))
	link := &agenttest.Pipe{}
	far := connect(t, link, agent.ConnectOptions{Channels: 2}, dir)
	r, err := far.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	link.Channels()[0].CutAfter(1 << 20)
	var got sink
	_, err = r.CopyFile(ctx, remote.CopyRequest{Path: filepath.Join(dir, "big")}, &got)
	lost(t, err, "Communication error: ")
	if len(got.data) >= 3<<20 {
		t.Error("the file came whole")
	}
	_, err = far.Stat(ctx, dir)
	lost(t, err, "Communication error: ")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	<-link.Channels()[0].Ended()
}

func lost(t *testing.T, err error, text string) {
	t.Helper()
	var user *usererr.Error
	if !errors.As(err, &user) || !strings.HasPrefix(user.Text, text) || !strings.Contains(user.Text, "far") {
		t.Errorf("%v, want %s", err, text)
	}
}

// A line on which nothing comes any more is noticed at both ends, also by who
// is in the midst of sending.
func TestSilence(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	const beat = time.Second
	link := &agenttest.Pipe{Options: agent.ServeOptions{Heartbeat: beat}}
	far := connect(t, link, agent.ConnectOptions{Heartbeat: beat}, dir)
	w, err := far.CreateFile(ctx, filepath.Join(dir, "f"), remote.CreateOptions{Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	link.Channels()[0].Freeze()
	for err == nil {
		err = w.Data(make([]byte, 1<<20))
	}
	lost(t, err, "Communication error: nothing was heard from the agent on far for ")
	lost(t, w.Close(), "Communication error: nothing was heard from the agent on far for ")
	<-link.Channels()[0].Ended()
}

// Heartbeats keep an idle line alive for longer than silence may last.
func TestIdle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const beat = time.Second
	link := &agenttest.Pipe{Options: agent.ServeOptions{Heartbeat: beat}, Delay: 100 * time.Millisecond}
	far := connect(t, link, agent.ConnectOptions{Heartbeat: beat}, dir)
	link.Channels()[0].AwaitPackets(5)
	if _, err := far.Stat(context.Background(), dir); err != nil {
		t.Error(err)
	}
}

// A call that is cancelled ends at once, and the next one works.
func TestCancel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "big"), noise(20<<20))
	far := connect(t, &agenttest.Pipe{}, agent.ConnectOptions{}, dir)
	r, err := far.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	_, err = r.CopyFile(ctx, remote.CopyRequest{Path: filepath.Join(dir, "big")}, cancelSink(func() { cancel(why) }))
	if !errors.Is(err, why) {
		t.Errorf("cancelled copy: %v", err)
	}
	full := errors.New("full")
	_, err = r.CopyFile(context.Background(), remote.CopyRequest{Path: filepath.Join(dir, "big")}, failingSink{full})
	if !errors.Is(err, full) {
		t.Errorf("copy to a full disk: %v", err)
	}
	if _, err := far.Stat(ctx, dir); !errors.Is(err, why) {
		t.Errorf("call of a cancelled context: %v", err)
	}
	if _, size, err := r.Checksum(context.Background(), filepath.Join(dir, "big")); size != 20<<20 || err != nil {
		t.Errorf("call after: %d, %v", size, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

type cancelSink func()

func (s cancelSink) Data([]byte) error { s(); return nil }
func (s cancelSink) Hole(int64) error  { return nil }

type failingSink struct{ err error }

func (s failingSink) Data([]byte) error { return s.err }
func (s failingSink) Hole(int64) error  { return s.err }

// A far host that lets only one agent start is used with that one.
func TestFewerChannels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "f"), []byte("x"))
	link := &agenttest.Pipe{Refuse: 2}
	far := connect(t, link, agent.ConnectOptions{Channels: 4}, dir)
	for range 6 {
		r, err := far.NewReader()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Checksum(context.Background(), filepath.Join(dir, "f")); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := len(link.Channels()); n != 2 {
		t.Errorf("%d agents", n)
	}
}

// The work of -j 64, and of 640, does not ask more of the agents than they
// serve at a time, even when there is only one.
func TestManyWorkers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	mustWrite(t, file, []byte("x"))
	for _, c := range []struct{ threads, agents int }{{64, 4}, {64, 1}, {640, 1}} {
		link := &agenttest.Pipe{Delay: 20 * time.Millisecond, Refuse: c.agents}
		far := connect(t, link, agent.ConnectOptions{Channels: c.agents}, dir)
		n := remote.Workers(far, c.threads)
		ctx, g := context.Background(), errgroup.Group{}
		for range n { // as restore has them: a reader and a writer, and two that sync
			r, err := far.NewReader()
			if err != nil {
				t.Fatal(err)
			}
			w, err := far.NewWriter()
			if err != nil {
				t.Fatal(err)
			}
			g.Go(func() error {
				_, _, err := r.Checksum(ctx, file)
				return errors.Join(err, w.WriteRun(ctx, &remote.WriteRequest{Path: file}))
			})
			for range 2 {
				g.Go(func() error { return far.SyncFile(ctx, file) })
			}
		}
		if err := g.Wait(); err != nil {
			t.Errorf("-j %d with %d agents, %d workers: %v", c.threads, c.agents, n, err)
		}
	}
}

// What the client names is all it reaches, and of what the agent's own command
// fixes only that.
func TestServedDirectories(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), tree(t)
	beside := t.TempDir()
	mustWrite(t, filepath.Join(beside, "f"), []byte("x"))
	if err := os.Symlink(filepath.Join(beside, "f"), filepath.Join(dir, "escape")); err != nil {
		t.Fatal(err)
	}
	free := connect(t, &agenttest.Pipe{}, agent.ConnectOptions{}, dir)
	if _, err := free.Stat(ctx, beside); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("not named: %v", err)
	}
	if _, err := free.ReadFile(ctx, filepath.Join(dir, "escape"), 10); err != nil {
		t.Errorf("a link of the data directory: %v", err)
	}
	fixed := connect(t, &agenttest.Pipe{Options: agent.ServeOptions{Dirs: []string{dir}, ReadOnly: true}}, agent.ConnectOptions{}, dir)
	for _, path := range []string{"PG_VERSION", "pg_tblspc/16384/PG_17/1/2", "pg_wal/0001"} {
		if _, err := fixed.ReadFile(ctx, filepath.Join(dir, path), 100); err != nil {
			t.Error(err)
		}
	}
	if _, err := fixed.ReadFile(ctx, filepath.Join(dir, "escape"), 10); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("a link out of the fixed directory: %v", err)
	}
	var user *usererr.Error
	if err := fixed.Admit(ctx, beside); !errors.As(err, &user) || !strings.Contains(user.Hint, "authorized_keys") {
		t.Errorf("a directory that is not fixed: %v", err)
	}
	if err := fixed.Admit(ctx, filepath.Join(dir, "sub")); err != nil {
		t.Error(err)
	}
	if err := fixed.Mkdir(ctx, filepath.Join(dir, "new"), 0o700); err == nil {
		t.Error("a read-only agent made a directory")
	}
}

// cGreeting is what a C tool and a C agent send.
func cGreeting(op, handle, size, arg uint32) (b []byte) {
	for _, n := range []uint32{op, handle, size, arg} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func TestServeAnswersC(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in, out []byte
		text    string
	}{
		"nothing":     {nil, nil, "Communication error: end of data"},
		"a version":   {cGreeting(0, 0, 0, 0), cGreeting(0, 0, 0, 29999), "Version mismatch, gs_probackup binary with version '2.99.99' is launched as an agent for gs_probackup binary with version '2.4.2'"},
		"and a stat":  {append(cGreeting(0, 7, 0, 0), cGreeting(16, 0, 0, 0)...), append(cGreeting(0, 7, 0, 29999), cGreeting(29, 0, 59, 0)...), "Version mismatch"},
		"other words": {[]byte("GET / HTTP/1.1\r\n\r\n"), nil, "Communication error: this is the remote side"},
	}
	for name, tt := range tests {
		var out bytes.Buffer
		err := agent.Serve(context.Background(), bytes.NewReader(tt.in), &out, agent.ServeOptions{Program: program})
		var user *usererr.Error
		if !errors.As(err, &user) || !strings.HasPrefix(user.Text, tt.text) {
			t.Errorf("%s: %v, want %s", name, err, tt.text)
		}
		if !bytes.HasPrefix(out.Bytes(), tt.out) || (len(tt.out) == 0) != (out.Len() == 0) {
			t.Errorf("%s: answered %q, want %q", name, out.Bytes(), tt.out)
		}
	}
}

// script is a link to something that is no agent.
type script struct {
	out  io.Reader
	exit error
}

func (s *script) Start(context.Context, string) (agent.Channel, error) { return s, nil }
func (s *script) Read(p []byte) (int, error)                           { return s.out.Read(p) }
func (s *script) Write(p []byte) (int, error)                          { return len(p), nil }
func (s *script) CloseWrite() error                                    { return nil }
func (s *script) Wait() error                                          { return s.exit }
func (s *script) Close() error                                         { return s.exit }

// never is what somebody says who says nothing.
type never struct{}

func (never) Read([]byte) (int, error) { select {} }

func TestNoAgent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script
		text, hint string
	}{
		"C agent": {script{strings.NewReader(string(cGreeting(0, 0x42505347, 0, 20402))), nil},
			"Remote agent version 2.4.2 does not match local program version 2.4.2", "C tool"},
		"noise": {script{strings.NewReader("Welcome to the far host!\n"), nil},
			"Remote agent returned message of unexpected type: 1668048215", "Welcome"},
		"no such command": {script{strings.NewReader(""), &agent.ExitError{Status: 127, Stderr: "sh: gs_probackup: not found\n"}},
			"Failed to establish SSH connection: \"x agent\" on far ended with status 127: sh: gs_probackup: not found", "--remote-path"},
		"hangs": {script{never{}, &agent.ExitError{Status: 255, Stderr: "Password:\nstill running\n"}},
			"Failed to establish SSH connection: no answer from the agent on far within 1 seconds: Password:\nstill running", "by hand"},
		"ended": {script{strings.NewReader(""), nil}, "Failed to establish SSH connection: no answer from the agent on far", "by hand"},
	}
	for name, tt := range tests {
		_, err := agent.Connect(context.Background(), &tt.script, agent.ConnectOptions{Program: program, Command: "x agent", Where: "far", Channels: 1, Patience: time.Second})
		var user *usererr.Error
		if !errors.As(err, &user) || !strings.HasPrefix(user.Text, tt.text) || !strings.Contains(user.Hint, tt.hint) {
			t.Errorf("%s: %v, want %s", name, err, tt.text)
		}
	}
}
