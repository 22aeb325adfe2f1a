package agent

import (
	"context"
	"errors"
)

// conduit is a stream at the client.
type conduit struct {
	*stream
	client *client
}

func (c *client) conduit() *conduit { return &conduit{stream: c.open(), client: c} }

// told gives an error of the stream the words of the session's end.
func (d *conduit) told(ctx context.Context, err error) error {
	if err != nil && d.session.ctx.Err() != nil && ctx.Err() == nil {
		return d.client.fault()
	}
	return err
}

// ask sends a request.
func (d *conduit) ask(ctx context.Context, k kind, q message) error {
	return d.told(ctx, d.send(ctx, k, encode(nil, q)))
}

// hear takes the next message of an answer. kindError is returned as the
// error it has; ended tells that the answer is complete. The frame is the
// caller's to release.
func (d *conduit) hear(ctx context.Context) (f frame, ended bool, err error) {
	for {
		if f, err = d.receive(ctx); err != nil {
			return f, false, d.told(ctx, err)
		}
		switch f.kind {
		case kindTrouble:
			f.release() // the answer tells it again
		case kindError:
			var m errorMessage
			err := decode(f.body, &m, d.peer)
			f.release()
			if err != nil {
				return f, false, d.broken(err)
			}
			return f, true, m.err()
		default:
			return f, f.kind == kindDone, nil
		}
	}
}

// broken ends the session after a message that makes no sense.
func (d *conduit) broken(err error) error {
	d.end(err)
	return d.client.fault()
}

// answer takes the one message that answers a request.
func (d *conduit) answer(ctx context.Context, a message) (ended bool, err error) {
	f, ended, err := d.hear(ctx)
	if err != nil {
		return ended, err
	}
	defer f.release()
	if f.kind != kindDone {
		return false, d.broken(protocolErrorf("answer of kind %d", f.kind))
	}
	if err := decode(f.body, a, d.peer); err != nil {
		return false, d.broken(err)
	}
	return true, nil
}

// call asks the first agent one thing. Streams are used again: opening one
// costs the agent a goroutine.
func (h *host) call(ctx context.Context, k kind, q, a message) error {
	return h.with(ctx, func(d *conduit) (bool, error) {
		if err := d.ask(ctx, k, q); err != nil {
			return false, err
		}
		return d.answer(ctx, a)
	})
}

// with runs a request and its answer on a stream of its own. use tells whether
// the answer was taken to its end, so that the stream can be used again.
func (h *host) with(ctx context.Context, use func(*conduit) (ended bool, err error)) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	d, err := h.conduit()
	if err != nil {
		return err
	}
	ended, err := use(d)
	if ended {
		h.putBack(d)
	} else {
		d.close()
	}
	return err
}

// maxIdle is how many streams are kept for the next calls.
const maxIdle = 64

func (h *host) conduit() (*conduit, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) == 0 {
		return nil, errHostClosed
	}
	if n := len(h.idle); n > 0 {
		d := h.idle[n-1]
		h.idle = h.idle[:n-1]
		return d, nil
	}
	return h.first.conduit(), nil
}

func (h *host) putBack(d *conduit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.idle) < maxIdle && len(h.clients) > 0 {
		h.idle = append(h.idle, d)
		return
	}
	go d.close() // may have to wait for the pipe
}

// admitTo tells an agent which directories the work is about.
func (h *host) admitTo(ctx context.Context, c *client, dirs []string) error {
	if len(dirs) == 0 {
		return nil
	}
	d := c.conduit()
	defer d.close()
	if err := d.ask(ctx, kindAdmit, &pathsMessage{dirs}); err != nil {
		return err
	}
	_, err := d.answer(ctx, &empty{})
	return err
}

// Admit implements remote.Host.
func (h *host) Admit(ctx context.Context, dirs ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) == 0 {
		return errHostClosed
	}
	var errs []error
	for _, c := range h.clients {
		errs = append(errs, h.admitTo(ctx, c, dirs))
	}
	h.dirs = append(h.dirs, dirs...)
	return errors.Join(errs...)
}
