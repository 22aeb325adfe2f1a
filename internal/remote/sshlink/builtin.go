package sshlink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/usererr"
)

// How commands are spread. A second connection lets a second core encrypt at
// either end; more cost log-ins.
const (
	sharedBy = 2 // commands per connection before another is made
	maxConns = 4
)

// builtin is the link of the built-in client: a few connections, made when
// they are needed, with several commands on each.
type builtin struct {
	opts   Options
	target target

	connecting chan struct{} // holds a token while a connection is being made
	mu         sync.Mutex
	conns      []*conn
	closed     bool
}

func newBuiltin(o Options, t target) *builtin {
	return &builtin{opts: o, target: t, connecting: make(chan struct{}, 1)}
}

var errLinkClosed = errors.New("link closed")

func (b *builtin) Start(ctx context.Context, command string) (agent.Channel, error) {
	b.opts.Events.Emit(agent.LinkStarted{PID: os.Getpid()})
	ch, err := b.start(ctx, command)
	if err != nil {
		b.opts.Events.Emit(agent.LinkEnded{PID: os.Getpid(), Status: waitStatus(sshFailed)})
		return nil, err
	}
	return ch, nil
}

// sshFailed is the exit status of ssh when it is the connection that failed.
const sshFailed = 255

// waitStatus is an exit status as wait(2) reports it, and the C tool prints.
func waitStatus(exit int) int { return exit << 8 }

func (b *builtin) start(ctx context.Context, command string) (agent.Channel, error) {
	for {
		c, fresh, err := b.take(ctx)
		if err != nil {
			return nil, err
		}
		ch, err := c.start(command, b.opts.Events)
		if err == nil {
			return ch, nil
		}
		var refused *ssh.OpenChannelError
		switch isRefusal := errors.As(err, &refused); {
		case isRefusal && c.full():
			continue
		case !isRefusal && !fresh && ctx.Err() == nil && c.idle() && !errors.Is(err, errSilent):
			// It broke while nobody used it.
			c.fail(lostError(&b.target, err))
			c.add(-1)
			continue
		}
		c.add(-1)
		var ours *usererr.Error
		if errors.As(err, &ours) {
			return nil, err
		}
		return nil, usererr.Wrap(err, "Failed to establish SSH connection: %s: %s", b.target.address(), plain(err)).WithHint(
			"the server opens no session: see MaxSessions and ForceCommand of its sshd_config")
	}
}

// take reserves a place on a connection that has room, or on a fresh one.
func (b *builtin) take(ctx context.Context) (c *conn, fresh bool, err error) {
	if c, err := b.reserve(false); c != nil || err != nil {
		return c, false, err
	}
	select {
	case b.connecting <- struct{}{}:
		defer func() { <-b.connecting }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	// Another one may have connected meanwhile.
	if c, err := b.reserve(false); c != nil || err != nil {
		return c, false, err
	}
	d, err := b.dialBesides(ctx)
	if err != nil {
		// Better a shared connection than none.
		if c, _ := b.reserve(true); c != nil && ctx.Err() == nil {
			return c, false, nil
		}
		return nil, false, err
	}
	c = newConn(d, &b.target)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		c.fail(errLinkClosed)
		return nil, false, errLinkClosed
	}
	c.used = 1
	b.conns = append(b.conns, c)
	return c, true, nil
}

// reserve finds a connection with room; with sharing any that the server has
// not called full will do.
func (b *builtin) reserve(sharing bool) (*conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errLinkClosed
	}
	var best *conn
	alive, least := 0, 0
	for _, c := range b.conns {
		if c.cause() != nil {
			continue
		}
		alive++
		if used, room := c.load(); room && (best == nil || used < least) {
			best, least = c, used
		}
	}
	if best == nil || least >= sharedBy && alive < maxConns && !sharing {
		return nil, nil
	}
	best.add(1)
	return best, nil
}

// dialBesides makes a connection beside those there are; when one of them is
// lost meanwhile, the new one is not waited for.
func (b *builtin) dialBesides(ctx context.Context) (*dialed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.mu.Lock()
	for _, c := range b.conns {
		if c.cause() == nil {
			go func() {
				select {
				case <-c.done:
					cancel(c.cause())
				case <-ctx.Done():
				}
			}()
		}
	}
	b.mu.Unlock()
	return b.dialPatiently(ctx)
}

// dialPatiently tries again while the server drops connections because too
// many are logging in, within the time a log-in may take.
func (b *builtin) dialPatiently(ctx context.Context) (*dialed, error) {
	deadline := time.Now().Add(b.target.patience())
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 4*time.Second) {
		d, err := b.dial(ctx)
		if err == nil || !errors.Is(err, errBusy) || time.Now().Add(wait).After(deadline) {
			return d, err
		}
		if pause(ctx, wait) != nil {
			return nil, err
		}
	}
}

func (b *builtin) Close() error {
	b.mu.Lock()
	b.closed = true
	conns := b.conns
	b.mu.Unlock()
	for _, c := range conns {
		c.fail(errLinkClosed)
	}
	return nil
}

// lostError words a connection that ended by itself.
func lostError(t *target, why error) error {
	switch {
	case errors.Is(why, errSilent):
	case errors.Is(why, syscall.ECONNRESET), dropped(why):
		why = fmt.Errorf("the other side closed it: %s", plain(why))
	}
	return usererr.Wrap(why, "Communication error: connection to %s lost: %s", t.address(), plain(why)).WithHint(
		"the network or sshd on the other side failed; run the command again when they work")
}
