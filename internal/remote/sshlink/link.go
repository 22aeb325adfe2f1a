package sshlink

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/crypto/ssh"

	"gsprobackup/internal/remote/agent"
)

// Open chooses a transport for a machine and tells which (TransportChosen). It
// connects when the first command is started.
func Open(o Options) (agent.Link, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	p, err := makePlan(o)
	if err != nil {
		return nil, err
	}
	l := &link{opts: o, plan: p}
	if p.reason != "" {
		return l, l.useSystem(p.reason)
	}
	o.Events.Emit(TransportChosen{Host: o.Host, BuiltIn: true})
	l.via = newBuiltin(o, p.target)
	return l, nil
}

// link is the built-in client until that turns out to have no algorithm in
// common with the server, then the system's ssh.
type link struct {
	opts Options
	plan plan
	mu   sync.Mutex
	via  agent.Link
}

func (l *link) current() agent.Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.via
}

func (l *link) Start(ctx context.Context, command string) (agent.Channel, error) {
	via := l.current()
	ch, err := via.Start(ctx, command)
	var negotiation *ssh.AlgorithmNegotiationError
	if !errors.As(err, &negotiation) {
		return ch, err
	}
	l.mu.Lock()
	if l.via == via {
		if switched := l.useSystem(fmt.Sprintf("the built-in client and the server have no %s in common", negotiation.What)); switched != nil {
			l.mu.Unlock()
			return nil, err
		}
	}
	l.mu.Unlock()
	return l.current().Start(ctx, command)
}

func (l *link) Close() error { return l.current().Close() }

func (l *link) useSystem(reason string) error {
	s, err := newSystem(l.opts, l.plan.words, reason)
	if err != nil {
		return err
	}
	l.opts.Events.Emit(TransportChosen{Host: l.opts.Host, Reason: reason})
	l.via = s
	return nil
}
