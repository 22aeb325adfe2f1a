package sshlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/test/pgserver"
	"gsprobackup/test/sshserver"
)

// startServer runs an sshd until the test ends.
func startServer(t *testing.T, o sshserver.Options) *sshserver.Server {
	t.Helper()
	acct, err := pgserver.RunAs()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sshserver.Start(acct, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sshd:\n%s", s.Log())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// recorder keeps the events of a link.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
}

func (r *recorder) Emit(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *recorder) transport(t *testing.T) TransportChosen {
	t.Helper()
	for _, e := range r.all() {
		if c, ok := e.(TransportChosen); ok {
			return c
		}
	}
	t.Fatal("no transport was announced")
	return TransportChosen{}
}

// open gives a link to the server and what it says.
func open(t *testing.T, s *sshserver.Server, o Options) (agent.Link, *recorder) {
	t.Helper()
	r := &recorder{}
	o.Events = r
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.ConfigFile == "" {
		o.ConfigFile = s.ClientConfig()
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, r
}

// systemOption makes the choice fall on the system's ssh and changes nothing.
const systemOption = "-o RekeyLimit='default none'"

// bothTransports runs a test over each.
func bothTransports(t *testing.T, test func(t *testing.T, options string)) {
	t.Run("builtin", func(t *testing.T) { t.Parallel(); test(t, "") })
	t.Run("system", func(t *testing.T) { t.Parallel(); test(t, systemOption) })
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, l agent.Link, command string) agent.Channel {
	t.Helper()
	ch, err := l.Start(testContext(t), command)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func TestCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t, sshserver.Options{})
	bothTransports(t, func(t *testing.T, options string) {
		l, events := open(t, s, Options{SSHOptions: options})
		if c := events.transport(t); c.BuiltIn != (options == "") {
			t.Fatalf("transport: %+v", c)
		}

		// Everything written comes back, however much, and then an end.
		ch := start(t, l, "cat; echo done >&2")
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB, more than a window
		go func() {
			_, err := ch.Write(sent)
			if err := errors.Join(err, ch.CloseWrite()); err != nil {
				t.Error(err)
			}
		}()
		got, err := io.ReadAll(ch)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes came back of %d, %v", len(got), len(sent), err)
		}
		if err := ch.Wait(); err != nil {
			t.Error(err)
		}
		if !slices.Contains(events.all(), event.Event(FarText{Line: "done"})) {
			t.Errorf("standard error is not told: %v", events.all())
		}

		// A failure has a status and the last words.
		ch = start(t, l, "echo no such thing >&2; exit 7")
		var exit *agent.ExitError
		if err := ch.Wait(); !errors.As(err, &exit) || exit.Status != 7 || strings.TrimSpace(exit.Stderr) != "no such thing" {
			t.Errorf("exit error %#v", err)
		}

		// Closing ends a process that waits for input, and a stubborn one.
		for _, command := range []string{"cat", "trap '' TERM; sleep 100"} {
			ch = start(t, l, command)
			go func() { _ = ch.Close() }()
			if _, err := io.ReadAll(ch); err != nil && !strings.Contains(err.Error(), "closed") {
				t.Errorf("%s: reading while it is closed: %v", command, err)
			}
			_ = ch.Wait()
		}

		started, ended := 0, 0
		for _, e := range events.all() {
			switch e.(type) {
			case agent.LinkStarted:
				started++
			case agent.LinkEnded:
				ended++
			}
		}
		if started != 4 || ended != 4 {
			t.Errorf("%d starts and %d ends told, want 4", started, ended)
		}
	})
}

// Several commands share few connections, and more connections are made where
// the server allows few commands on each.
func TestSharing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ maxSessions, commands, connections int }{{10, 6, 3}, {10, 9, 4}, {1, 5, 5}, {2, 9, 5}} {
		s := startServer(t, sshserver.Options{Config: []string{"MaxSessions " + strconv.Itoa(tt.maxSessions)}})
		l, _ := open(t, s, Options{})
		var running []agent.Channel
		for range tt.commands {
			running = append(running, start(t, l, "cat"))
		}
		if got := strings.Count(s.Log(), "Accepted publickey"); got != tt.connections {
			t.Errorf("%d commands of %d a connection use %d connections, want %d", tt.commands, tt.maxSessions, got, tt.connections)
		}
		for i, ch := range running {
			if _, err := fmt.Fprintf(ch, "%d", i); err != nil {
				t.Error(err)
			}
			if err := ch.CloseWrite(); err != nil {
				t.Error(err)
			}
			if got, err := io.ReadAll(ch); err != nil || string(got) != strconv.Itoa(i) {
				t.Errorf("channel %d gives %q, %v", i, got, err)
			}
			if err := ch.Wait(); err != nil {
				t.Error(err)
			}
		}
	}
}
