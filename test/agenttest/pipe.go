// Package agenttest gives tests agents without ssh: in the test's own process
// (Pipe), where the line can be cut, frozen and delayed, and as a process of
// its own (Exec).
package agenttest

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"gsprobackup/internal/remote/agent"
)

// Pipe is a link to agents in this process.
type Pipe struct {
	Options agent.ServeOptions
	// Delay is how long bytes are under way, in each direction.
	Delay time.Duration
	// Serve is the far command; nil is agent.Serve with Options.
	Serve func(ctx context.Context, in io.Reader, out io.Writer, command string) error
	// Refuse lets only so many agents start; 0 is no limit.
	Refuse int

	mu       sync.Mutex
	channels []*PipeChannel
}

// ErrRefused is why no more agents start.
var ErrRefused = errors.New("refused")

// Start implements agent.Link.
func (p *Pipe) Start(_ context.Context, command string) (agent.Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Refuse > 0 && len(p.channels) >= p.Refuse {
		return nil, ErrRefused
	}
	c := &PipeChannel{up: newLine(p.Delay), down: newLine(p.Delay), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		if p.Serve != nil {
			c.err = p.Serve(context.Background(), c.up, c.down, command)
		} else {
			c.err = agent.Serve(context.Background(), c.up, c.down, p.Options)
		}
		c.down.end(io.EOF)
		c.up.end(io.ErrClosedPipe)
	}()
	p.channels = append(p.channels, c)
	return c, nil
}

// Close implements agent.Link.
func (p *Pipe) Close() error {
	for _, c := range p.Channels() {
		c.Cut()
	}
	return nil
}

// Channels are those that were started.
func (p *Pipe) Channels() []*PipeChannel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*PipeChannel(nil), p.channels...)
}

// PipeChannel is one agent.
type PipeChannel struct {
	up, down *line
	ended    chan struct{}
	err      error
}

func (c *PipeChannel) Read(b []byte) (int, error)  { return c.down.Read(b) }
func (c *PipeChannel) Write(b []byte) (int, error) { return c.up.Write(b) }

// CloseWrite implements agent.Channel.
func (c *PipeChannel) CloseWrite() error {
	c.up.end(io.EOF)
	return nil
}

// Wait implements agent.Channel.
func (c *PipeChannel) Wait() error {
	<-c.ended
	if c.err != nil {
		return &agent.ExitError{Status: 1, Stderr: "ERROR: " + c.err.Error()}
	}
	return nil
}

// Close implements agent.Channel.
func (c *PipeChannel) Close() error {
	c.Cut()
	return c.Wait()
}

// Cut breaks the line as a killed process would.
func (c *PipeChannel) Cut() {
	c.up.end(io.EOF)
	c.down.end(io.EOF)
}

// CutAfter breaks the line when n more bytes have come from the agent.
func (c *PipeChannel) CutAfter(n int) {
	c.down.mu.Lock()
	defer c.down.mu.Unlock()
	c.down.left = &n
}

// Freeze lets nothing pass any more in either direction, as a cable that was
// pulled.
func (c *PipeChannel) Freeze() {
	for _, l := range []*line{c.up, c.down} {
		l.mu.Lock()
		l.frozen = true
		l.mu.Unlock()
	}
}

// AwaitPackets returns when the agent has sent n more times.
func (c *PipeChannel) AwaitPackets(n int) {
	l := c.down
	l.mu.Lock()
	defer l.mu.Unlock()
	for until := l.packets + n; l.packets < until && l.err == nil; {
		l.change.Wait()
	}
}

// Ended is closed when the agent has ended.
func (c *PipeChannel) Ended() <-chan struct{} { return c.ended }

// lineBuffer is what a line holds under way.
const lineBuffer = 1 << 20

// line is one direction. Unlike io.Pipe it has a buffer, and time passes on
// it.
type line struct {
	delay time.Duration

	mu      sync.Mutex
	change  sync.Cond
	queue   []packet
	size    int
	packets int   // ever
	err     error // after the queue
	frozen  bool
	left    *int
}

type packet struct {
	b   []byte
	due time.Time
}

func newLine(delay time.Duration) *line {
	l := &line{delay: delay}
	l.change.L = &l.mu
	return l
}

func (l *line) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	l.change.Broadcast()
}

func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for (l.size > lineBuffer || l.frozen) && l.err == nil {
		l.change.Wait()
	}
	if l.err != nil {
		return 0, io.ErrClosedPipe
	}
	if l.left != nil {
		if *l.left -= len(b); *l.left < 0 {
			b = b[:len(b)+*l.left]
			l.err = io.EOF
		}
	}
	l.queue = append(l.queue, packet{append([]byte(nil), b...), time.Now().Add(l.delay)})
	l.size += len(b)
	l.packets++
	l.change.Broadcast()
	return len(b), nil
}

func (l *line) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.frozen && l.err == nil:
			l.change.Wait()
			continue
		case len(l.queue) == 0 && l.err != nil:
			return 0, l.err
		case len(l.queue) == 0:
			l.change.Wait()
			continue
		}
		if wait := time.Until(l.queue[0].due); wait > 0 && l.err == nil {
			l.mu.Unlock()
			time.Sleep(wait) // the line is long
			l.mu.Lock()
			continue
		}
		p := &l.queue[0]
		n := copy(b, p.b)
		if p.b = p.b[n:]; len(p.b) == 0 {
			l.queue = l.queue[1:]
		}
		l.size -= n
		l.change.Broadcast()
		return n, nil
	}
}
