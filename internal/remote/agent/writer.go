package agent

import (
	"context"

	"gsprobackup/internal/remote"
)

// workersEach is how many workers of a restore do the work of one that is
// near: each waits a round trip for most of what it does.
const workersEach = 8

// maxWorkers is how many one agent serves, if it must: each has a reader and a
// writer, and those of an earlier phase may still be about to end.
const maxWorkers = maxObjects / 3

// Workers implements remote.Far.
func (h *host) Workers(n int) int { return min(n, maxWorkers/workersEach) * workersEach }

func (h *host) NewWriter() (remote.Writer, error) {
	c, err := h.share(context.Background())
	if err != nil {
		return nil, err
	}
	return &writer{client: c}, nil
}

// writer implements remote.Writer.
type writer struct {
	client *client
	now    *conduit
	head   []byte
}

func (w *writer) WriteRun(ctx context.Context, req *remote.WriteRequest) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if w.now == nil {
		w.now = w.client.conduit()
	}
	w.head = encodeHead(w.head[:0], &writeMessage{req})
	err := w.now.told(ctx, w.now.send(ctx, kindWriteRun, w.head, req.Frames))
	ended := false
	if err == nil {
		ended, err = w.now.answer(ctx, &empty{})
	}
	if !ended {
		w.now.close()
		w.now = nil
	}
	return err
}

func (w *writer) Close() error {
	if w.now == nil {
		return nil
	}
	ctx := context.Background() // ends with the session at the latest
	err := w.now.ask(ctx, kindWriteEnd, &empty{})
	if err == nil {
		_, err = w.now.answer(ctx, &empty{})
	}
	w.now.close()
	w.now = nil
	return err
}

// CreateFile implements remote.Target. It does not wait for the answer: that a
// file cannot be made is told by the first call after the news has come, at
// the latest by Close.
func (h *host) CreateFile(ctx context.Context, path string, opts remote.CreateOptions) (remote.FileWriter, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	d, err := h.conduit()
	if err != nil {
		return nil, err
	}
	w := &fileWriter{host: h, ctx: ctx, d: d}
	if err := w.send(kindCreateFile, encode(nil, &createMessage{path, opts})); err != nil {
		d.close()
		return nil, err
	}
	return w, nil
}

// fileWriter implements remote.FileWriter. Only Sync and Close wait for the
// agent.
type fileWriter struct {
	host *host
	ctx  context.Context // of CreateFile: the methods have none
	d    *conduit
	err  error // of an earlier call
}

// send sends a part, unless the agent has said that something went wrong.
func (w *fileWriter) send(k kind, body []byte) error {
	if w.err != nil {
		return w.err
	}
	if f, ok := w.d.pop(); ok {
		w.err = w.trouble(f)
		return w.err
	}
	w.err = w.d.told(w.ctx, w.d.send(w.ctx, k, body))
	return w.err
}

func (w *fileWriter) trouble(f frame) error {
	defer f.release()
	var m errorMessage
	if err := decode(f.body, &m, w.d.peer); err != nil || f.kind != kindTrouble {
		return w.d.broken(protocolErrorf("message of kind %d about a file", f.kind))
	}
	return m.err()
}

func (w *fileWriter) Data(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), chunk)
		if err := w.send(kindFileData, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (w *fileWriter) Hole(n int64) error {
	return w.send(kindFileHole, encode(nil, &int64Message{n}))
}

func (w *fileWriter) Truncate(size int64) error {
	return w.send(kindTruncate, encode(nil, &int64Message{size}))
}

func (w *fileWriter) Sync() error {
	if err := w.send(kindFileSync, nil); err != nil {
		return err
	}
	_, w.err = w.d.answer(w.ctx, &empty{})
	return w.err
}

// Close tells the first error of all. The stream serves the next call.
func (w *fileWriter) Close() error {
	err := w.d.told(w.ctx, w.d.send(w.ctx, kindFileClose))
	ended := false
	if err == nil {
		ended, err = w.d.answer(w.ctx, &empty{})
	}
	if ended {
		w.host.putBack(w.d)
	} else {
		w.d.close()
	}
	if w.err != nil {
		return w.err
	}
	return err
}
