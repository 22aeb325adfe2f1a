package agent

import (
	"context"
	"errors"
	"math"

	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// conversation is one stream at the agent: requests in order, with the reader,
// the writer and the file they need.
type conversation struct {
	*server
	st  *stream
	ctx context.Context

	reader remote.Reader
	writer remote.Writer
	run    remote.Run
	sums   remote.PageSums

	file    remote.FileWriter
	fileErr error // of a request without answer
}

// converse serves a stream until it ends.
func (s *server) converse(st *stream) {
	c := &conversation{server: s, st: st, ctx: st.ctx}
	defer st.forget()
	defer c.end()
	for st.ctx.Err() == nil {
		f, err := st.receive(st.ctx)
		if err != nil {
			return
		}
		err = c.handle(f)
		f.release()
		if err != nil {
			s.end(err)
			return
		}
	}
}

// end closes what an abandoned conversation has open. Nobody is left to hear
// of an error.
func (c *conversation) end() {
	if c.file != nil {
		_ = c.file.Close()
	}
	if c.reader != nil {
		_ = c.reader.Close()
		c.objects.Add(-1)
	}
	if c.writer != nil {
		_ = c.writer.Close()
		c.objects.Add(-1)
	}
}

// handle serves one request. An error is one of the protocol or the pipe and
// ends the session; one of the work is the answer.
func (c *conversation) handle(f frame) error {
	h := requests[f.kind]
	if h == nil {
		// A newer client asks for what this agent does not know.
		return c.fail(usererr.New("the agent does not know request %d", f.kind).
			WithHint("install the same version of gs_probackup on both hosts"))
	}
	return h(c, f.body)
}

// requests has what to do for each kind of request.
var requests = map[kind]func(*conversation, []byte) error{
	kindAdmit:          on(func(c *conversation, q *pathsMessage) (message, error) { return &empty{}, c.admit(q.Paths) }),
	kindList:           on((*conversation).list),
	kindStat:           on((*conversation).stat),
	kindReadFile:       on((*conversation).readFile),
	kindReadAt:         on((*conversation).readAt),
	kindCompressedInfo: on((*conversation).compressedInfo),
	kindReadRun:        (*conversation).readRun,
	kindCopyFile:       on((*conversation).copyFile),
	kindChecksum:       on((*conversation).checksum),
	kindFileSums:       on((*conversation).fileSums),
	kindPageSums:       on((*conversation).pageSums),

	kindMkdir:     done(func(c *conversation, q *pathMode) error { return c.host.Mkdir(c.ctx, q.Path, q.Mode) }),
	kindMkdirAll:  done(func(c *conversation, q *pathMode) error { return c.host.MkdirAll(c.ctx, q.Path, q.Mode) }),
	kindSymlink:   done(func(c *conversation, q *twoPaths) error { return c.host.Symlink(c.ctx, q.From, q.To) }),
	kindReadlink:  on((*conversation).readlink),
	kindChmod:     done(func(c *conversation, q *pathMode) error { return c.host.Chmod(c.ctx, q.Path, q.Mode) }),
	kindRename:    done(func(c *conversation, q *twoPaths) error { return c.host.Rename(c.ctx, q.From, q.To) }),
	kindRemove:    done(func(c *conversation, q *pathMessage) error { return c.host.Remove(c.ctx, q.Path) }),
	kindRemoveAll: done(func(c *conversation, q *pathsMessage) error { return c.host.RemoveAll(c.ctx, q.Paths) }),
	kindSyncFile:  done(func(c *conversation, q *pathMessage) error { return c.host.SyncFile(c.ctx, q.Path) }),
	kindSyncDir:   done(func(c *conversation, q *pathMessage) error { return c.host.SyncDir(c.ctx, q.Path) }),
	kindVolume:    on((*conversation).volume),
	kindAlive:     on((*conversation).alive),

	kindCreateFile: quiet((*conversation).createFile),
	kindFileData:   quiet(func(c *conversation, q *bytesMessage) error { return c.file.Data(q.B) }),
	kindFileHole:   quiet(func(c *conversation, q *int64Message) error { return c.file.Hole(q.N) }),
	kindTruncate:   quiet(func(c *conversation, q *int64Message) error { return c.file.Truncate(q.N) }),
	kindFileSync:   done(func(c *conversation, _ *empty) error { return c.syncFile() }),
	kindFileClose:  done(func(c *conversation, _ *empty) error { return c.closeFile() }),
	kindWriteRun:   (*conversation).writeRun,
	kindWriteEnd:   done(func(c *conversation, _ *empty) error { return c.writeEnd() }),
}

// messageOf makes the pointer type of a message usable as one.
type messageOf[T any] interface {
	*T
	message
}

// on makes a handler of a method that answers with a message.
func on[T any, Q messageOf[T]](serve func(*conversation, Q) (message, error)) func(*conversation, []byte) error {
	return func(c *conversation, body []byte) error {
		q := Q(new(T))
		if err := decode(body, q, c.peer); err != nil {
			return err
		}
		a, err := serve(c, q)
		if err != nil {
			return c.fail(err)
		}
		return c.answer(kindDone, encode(nil, a))
	}
}

// done makes a handler of a method without an answer but its error.
func done[T any, Q messageOf[T]](serve func(*conversation, Q) error) func(*conversation, []byte) error {
	return on(func(c *conversation, q Q) (message, error) { return &empty{}, serve(c, q) })
}

// quiet makes a handler for a request about the open file that is not
// answered. After an error the others are passed over until somebody asks.
func quiet[T any, Q messageOf[T]](serve func(*conversation, Q) error) func(*conversation, []byte) error {
	return func(c *conversation, body []byte) error {
		q := Q(new(T))
		if err := decode(body, q, c.peer); err != nil {
			return err
		}
		if _, create := any(q).(*createMessage); !create && c.file == nil && c.fileErr == nil {
			return protocolErrorf("content without a file")
		}
		if c.fileErr != nil {
			return nil //nolint:nilerr // the client has been told
		}
		if c.fileErr = serve(c, q); c.fileErr == nil {
			return nil
		}
		return c.answer(kindTrouble, encode(nil, errorFrom(c.fileErr)))
	}
}

// fail answers with an error of the work.
func (c *conversation) fail(err error) error {
	if pe := (*protocolError)(nil); errors.As(err, &pe) {
		return err
	}
	return c.answer(kindError, encode(nil, errorFrom(err)))
}

// answer sends to the client. That it does not want to hear any more is no
// error of the session.
func (c *conversation) answer(k kind, parts ...[]byte) error {
	err := c.st.send(c.ctx, k, parts...)
	if c.ctx.Err() != nil {
		return nil //nolint:nilerr // see above
	}
	return err
}

// object counts a reader or writer that is about to be made.
func (c *conversation) object() error {
	if c.objects.Add(1) > maxObjects {
		c.objects.Add(-1)
		return usererr.New("the agent serves %d readers and writers at most", maxObjects)
	}
	return nil
}

func (c *conversation) openReader() (err error) {
	if c.reader != nil {
		return nil
	}
	if err := c.object(); err != nil {
		return err
	}
	if c.reader, err = c.host.NewReader(); err != nil {
		c.objects.Add(-1)
	}
	return err
}

func (c *conversation) openWriter() (err error) {
	if c.writer != nil {
		return nil
	}
	if err := c.object(); err != nil {
		return err
	}
	if c.writer, err = c.host.NewWriter(); err != nil {
		c.objects.Add(-1)
	}
	return err
}

// clampInt keeps a number from the wire a sensible length.
func clampInt(n int64, limit int) (int, error) {
	if n < 0 || n > int64(min(limit, math.MaxInt32)) {
		return 0, usererr.New("the agent reads %d bytes at most, not %d", limit, n)
	}
	return int(n), nil
}
