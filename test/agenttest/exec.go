package agenttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"
	"syscall"

	"gsprobackup/internal/remote/agent"
)

// Exec is a link that starts the command on this machine.
type Exec struct {
	// Prepare may change the command before it starts; nil leaves it.
	Prepare func(*exec.Cmd)

	mu        sync.Mutex
	processes []*ExecChannel
}

// Start implements agent.Link.
func (e *Exec) Start(_ context.Context, command string) (agent.Channel, error) {
	cmd := exec.Command("/bin/sh", "-c", "exec "+command)
	if e.Prepare != nil {
		e.Prepare(cmd)
	}
	c := &ExecChannel{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &c.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.out = in, out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go c.await()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.processes = append(e.processes, c)
	return c, nil
}

// Close implements agent.Link.
func (e *Exec) Close() error {
	for _, c := range e.Processes() {
		_ = c.Close()
	}
	return nil
}

// Processes are those that were started.
func (e *Exec) Processes() []*ExecChannel {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*ExecChannel(nil), e.processes...)
}

// ExecChannel is one process.
type ExecChannel struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.ReadCloser
	stderr bytes.Buffer
	ended  chan struct{}
	err    error
}

// await collects the process when its pipes are read to the end or closed.
func (c *ExecChannel) await() {
	state, err := c.cmd.Process.Wait()
	// The rest of its output stays readable; only the process is over.
	if err == nil && !state.Success() {
		exit := &agent.ExitError{Status: state.ExitCode()}
		if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			exit.Signal = ws.Signal().String()
		}
		err = exit
	}
	c.err = err
	close(c.ended)
}

func (c *ExecChannel) Read(p []byte) (int, error)  { return c.out.Read(p) }
func (c *ExecChannel) Write(p []byte) (int, error) { return c.in.Write(p) }

// CloseWrite implements agent.Channel.
func (c *ExecChannel) CloseWrite() error { return c.in.Close() }

// Wait implements agent.Channel.
func (c *ExecChannel) Wait() error {
	<-c.ended
	return c.err
}

// Close implements agent.Channel.
func (c *ExecChannel) Close() error {
	_ = c.in.Close()
	_ = c.out.Close()
	return c.Wait()
}

// Kill kills the process as the system would.
func (c *ExecChannel) Kill() error {
	if err := c.cmd.Process.Kill(); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// PID is the number of the process.
func (c *ExecChannel) PID() int { return c.cmd.Process.Pid }
