package sshlink

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/usererr"
)

// system is the link of the system's ssh: a process for each command, with the
// argument list of the C tool (spec/server.md §5.2).
type system struct {
	opts    Options
	words   []string
	program string

	mu      sync.Mutex
	running map[*process]bool
	closed  bool
}

func newSystem(o Options, words []string, reason string) (*system, error) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		return nil, usererr.Wrap(err, "Failed to establish SSH connection: there is no program ssh here, and the built-in client cannot be used: %s", reason)
	}
	return &system{opts: o, words: words, program: program, running: map[*process]bool{}}, nil
}

func (s *system) Start(ctx context.Context, command string) (agent.Channel, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	cmd := exec.Command(s.program)
	cmd.Args = s.opts.argv(s.words, command)
	cmd.Env = cleanEnv(os.Environ())
	p := &process{link: s, cmd: cmd, tail: &tail{}, done: make(chan struct{})}
	if s.verbose() {
		p.tail.live = s.opts.Events
	}
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// A pipe of our own: Wait must not close it before it is read to its end.
	var stdout *os.File
	if p.stdout, stdout, err = os.Pipe(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stdout, p.tail
	cmd.WaitDelay = endGrace // for what ssh left behind with our stderr
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		err = errLinkClosed
	} else {
		err = cmd.Start()
	}
	_ = stdout.Close() // the child has its own
	if err != nil {
		_ = p.stdout.Close()
		return nil, usererr.Wrap(err, "Failed to establish SSH connection: cannot start %s: %s", s.program, usererr.SystemText(err))
	}
	s.running[p] = true
	s.opts.Events.Emit(agent.LinkStarted{PID: cmd.Process.Pid})
	go p.wait()
	return p, nil
}

// verbose tells that the user wants to see ssh's own messages.
func (s *system) verbose() bool {
	for _, w := range s.words {
		if strings.HasPrefix(w, "-v") {
			return true
		}
	}
	return false
}

func (s *system) Close() error {
	s.mu.Lock()
	s.closed = true
	var running []*process
	for p := range s.running {
		running = append(running, p)
	}
	s.mu.Unlock()
	var wait sync.WaitGroup
	for _, p := range running {
		wait.Go(func() { _ = p.Close() }) // whoever started it learns its end from Wait
	}
	wait.Wait()
	return nil
}

// cleanEnv leaves out what is for the server connection and may be secret.
func cleanEnv(env []string) []string {
	var kept []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "PG") {
			kept = append(kept, kv)
		}
	}
	return kept
}

// process is one ssh.
type process struct {
	link   *system
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *os.File
	tail   *tail
	done   chan struct{}
	err    error // valid when done
}

func (p *process) Read(b []byte) (int, error)  { return p.stdout.Read(b) }
func (p *process) Write(b []byte) (int, error) { return p.stdin.Write(b) }
func (p *process) CloseWrite() error           { return p.stdin.Close() }

func (p *process) wait() {
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	status := 0
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		status = int(ws)
		if status != 0 {
			exit := &agent.ExitError{Status: ws.ExitStatus(), Stderr: p.tail.String()}
			if ws.Signaled() {
				exit.Signal = signalName(ws.Signal())
			}
			err = exit
		}
	}
	p.err = err
	p.link.mu.Lock()
	delete(p.link.running, p)
	p.link.mu.Unlock()
	p.link.opts.Events.Emit(agent.LinkEnded{PID: p.cmd.Process.Pid, Status: status})
	if err == nil {
		p.tail.emit(p.link.opts.Events)
	}
	close(p.done)
}

func (p *process) Wait() error {
	<-p.done
	return p.err
}

func (p *process) Close() error {
	_ = p.stdin.Close() // Wait tells what went wrong
	go func() { _, _ = io.Copy(io.Discard, p.stdout) }()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-p.done:
		case <-time.After(endGrace):
			_ = p.cmd.Process.Signal(sig) // gone already is fine
		}
	}
	<-p.done
	_ = p.stdout.Close()
	return p.err
}

// signalName is "KILL" for SIGKILL.
func signalName(s syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGHUP: "HUP", syscall.SIGINT: "INT", syscall.SIGKILL: "KILL", syscall.SIGPIPE: "PIPE", syscall.SIGTERM: "TERM", syscall.SIGSEGV: "SEGV", syscall.SIGABRT: "ABRT",
	}
	if name, ok := names[s]; ok {
		return name
	}
	return s.String()
}
