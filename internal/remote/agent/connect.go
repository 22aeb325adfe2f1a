package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// ConnectOptions say how to reach an agent.
type ConnectOptions struct {
	// Command starts the agent there.
	Command string
	// Program is the version of this program.
	Program string
	// Where names the far host in messages.
	Where string
	// Channels is how many agents are started at most, for the workers to
	// share; at least 1. More than one help where a single channel's window
	// is smaller than the line is long.
	Channels int
	// Heartbeat is how often to give a sign of life; 0 means the usual.
	Heartbeat time.Duration
	// Patience is how long to wait for the greeting; 0 means the usual.
	Patience time.Duration
	// Events may get FewerChannels.
	Events event.Sink
}

// FewerChannels says that the far host did not let another agent start; the
// work goes on with those there are.
type FewerChannels struct{ Err error }

// host is a remote.Host at the other end of a Link.
type host struct {
	link Link
	opts ConnectOptions

	first *client // for everything but readers and writers

	mu      sync.Mutex
	clients []*client // first among them
	next    int
	full    bool     // no more can be started
	dirs    []string // admitted
	idle    []*conduit
}

// client is one agent as seen from here.
type client struct {
	*session
	channel Channel
	where   string
	over    chan struct{} // closed when the channel is
	closing sync.Once
	done    bool // closed on purpose; guarded by session.mu
}

// Connect starts an agent and speaks with it. The host owns the link from then
// on, and closes it also when Connect fails.
func Connect(ctx context.Context, link Link, opts ConnectOptions) (remote.Host, error) {
	if opts.Heartbeat == 0 {
		opts.Heartbeat = heartbeatEvery
	}
	if opts.Patience == 0 {
		opts.Patience = greetingTime
	}
	if opts.Events == nil {
		opts.Events = event.Discard
	}
	h := &host{link: link, opts: opts}
	first, err := h.start(ctx)
	if err != nil {
		return nil, errors.Join(err, link.Close())
	}
	h.first, h.clients = first, []*client{first}
	return h, nil
}

// start starts one agent.
func (h *host) start(ctx context.Context) (*client, error) {
	channel, err := h.link.Start(ctx, h.opts.Command)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = channel.Close() })
	defer stop()
	there, err := withTime(h.opts.Patience, func() (peer, error) {
		return greetAgent(channel, self(h.opts.Program, h.opts.Heartbeat))
	})
	if err != nil {
		err = h.explain(err, channel.Close())
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	c := &client{session: newSession(context.WithoutCancel(ctx), channel, there), channel: channel, where: h.opts.Where, over: make(chan struct{})}
	go c.beat(h.opts.Heartbeat)
	go func() { c.end(c.lost(c.read(channel))) }()
	go c.hangUp()
	return c, nil
}

// notFound is the exit status of a shell that does not find a command, and
// notRunnable of one that may not run it.
const (
	notRunnable = 126
	notFound    = 127
)

// explain finds the words for an agent that did not greet; exit is how its
// process ended.
func (h *host) explain(err, exit error) error {
	if !errors.Is(err, errNoAnswer) {
		return err
	}
	var status *ExitError
	var words *usererr.Error
	byHand := fmt.Sprintf("run \"%s\" there by hand: it must wait for input and print nothing", h.opts.Command)
	switch {
	case errors.As(exit, &words): // the link's, for its loss
		return words
	case errors.Is(err, errLate): // the process ended, if at all, because the channel was closed
		text := ""
		if errors.As(exit, &status) && strings.TrimSpace(status.Stderr) != "" {
			text = ": " + strings.TrimSpace(status.Stderr)
		}
		return usererr.Wrap(err, "Failed to establish SSH connection: no answer from the agent on %s within %d seconds%s",
			h.opts.Where, int(h.opts.Patience/time.Second), text).WithHint("%s", byHand)
	case errors.As(exit, &status) && (status.Status == notFound || status.Status == notRunnable):
		return usererr.Wrap(err, "Failed to establish SSH connection: \"%s\" on %s %v", h.opts.Command, h.opts.Where, status).
			WithHint("install gs_probackup there, or say with --remote-path in which directory it is")
	case exit != nil:
		return usererr.Wrap(err, "Failed to establish SSH connection: the agent on %s %v", h.opts.Where, exit)
	}
	return usererr.Wrap(err, "Failed to establish SSH connection: no answer from the agent on %s", h.opts.Where).
		WithHint("%s", byHand)
}

// lost finds the words for a session that has ended. err is what the reader
// met, nil for the end of the pipe.
func (c *client) lost(err error) error {
	c.mu.Lock()
	done := c.done
	c.mu.Unlock()
	pe := (*protocolError)(nil)
	switch {
	case done:
		return errHostClosed
	case errors.Is(err, errSilent):
		return usererr.Wrap(err, "Communication error: nothing was heard from the agent on %s for %d seconds", c.where, int(silences*c.peer.heartbeat/time.Second)).
			WithHint("the connection is cut or the host is down; nothing is left running there")
	case errors.As(err, &pe):
		return usererr.Wrap(err, "Communication error: unexpected message from the agent on %s: %v", c.where, err)
	}
	exit, werr := withTime(leaveTime, func() (error, error) { return c.channel.Wait(), nil })
	var words *usererr.Error
	switch {
	case werr == nil && errors.As(exit, &words): // the link's, for its loss
		return words
	case werr == nil && exit != nil:
		return usererr.Wrap(errors.Join(err, exit), "Communication error: the agent on %s %v", c.where, exit)
	case err != nil:
		return usererr.Wrap(err, "Communication error: the connection to the agent on %s is broken: %v", c.where, err)
	}
	return usererr.New("Communication error: the agent on %s has ended", c.where)
}

// errHostClosed is the use of a host after its Close.
var errHostClosed = fmt.Errorf("the remote host is closed")

// hangUp closes the channel when the session is over, which ends whoever
// writes to it. What made the session end gets its words.
func (c *client) hangUp() {
	<-c.ctx.Done()
	_ = c.channel.Close() // how the agent ended does not matter any more
	close(c.over)
}

// fault is the error for whoever finds the session ended.
func (c *client) fault() error {
	cause := context.Cause(c.ctx)
	var words *usererr.Error
	if errors.As(cause, &words) || errors.Is(cause, errHostClosed) {
		return cause
	}
	return c.lost(cause)
}

// close ends the agent in good order.
func (c *client) close() error {
	var err error
	c.closing.Do(func() {
		c.mu.Lock()
		c.done = true
		c.mu.Unlock()
		if c.ctx.Err() != nil {
			<-c.over
			return // its users have heard of it
		}
		err = c.channel.CloseWrite()
		exit, werr := withTime(leaveTime, func() (error, error) { return c.channel.Wait(), nil })
		c.end(errHostClosed)
		<-c.over
		if err == nil && werr == nil && exit != nil {
			err = fmt.Errorf("end the agent on %s: %w", c.where, exit)
		}
	})
	return err
}

func (h *host) Close() error {
	h.mu.Lock()
	clients := h.clients
	h.clients, h.full, h.idle = nil, true, nil
	h.mu.Unlock()
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.close())
	}
	return errors.Join(append(errs, h.link.Close())...)
}

// share picks the agent for a worker, and starts another one while that is
// allowed.
func (h *host) share(ctx context.Context) (*client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.clients); n > 0 && n <= h.next && n < h.opts.Channels && !h.full {
		c, err := h.start(ctx)
		if err == nil {
			err = h.admitTo(ctx, c, h.dirs)
		}
		if err != nil {
			h.full = true
			h.opts.Events.Emit(FewerChannels{Err: err})
		} else {
			h.clients = append(h.clients, c)
		}
	}
	if len(h.clients) == 0 {
		return nil, errHostClosed
	}
	c := h.clients[h.next%len(h.clients)]
	h.next++
	return c, nil
}
