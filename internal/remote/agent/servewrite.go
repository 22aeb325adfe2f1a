package agent

import "gsprobackup/internal/remote"

// This file serves what a restore asks for.

func (c *conversation) readlink(q *pathMessage) (message, error) {
	target, err := c.host.Readlink(c.ctx, q.Path)
	return &pathMessage{target}, err
}

func (c *conversation) volume(q *pathMessage) (message, error) {
	v, err := c.host.Volume(c.ctx, q.Path)
	return &volumeAnswer{v}, err
}

func (c *conversation) alive(q *int64Message) (message, error) {
	if q.N < 1 || q.N != int64(int32(q.N)) {
		return nil, protocolErrorf("process %d", q.N)
	}
	alive, err := c.host.Alive(c.ctx, int(q.N))
	return &boolMessage{alive}, err
}

func (c *conversation) createFile(q *createMessage) (err error) {
	if c.file != nil {
		return protocolErrorf("two files on a stream")
	}
	c.file, err = c.host.CreateFile(c.ctx, q.Path, q.CreateOptions)
	return err
}

func (c *conversation) syncFile() error {
	switch {
	case c.fileErr != nil:
		return c.fileErr
	case c.file == nil:
		return protocolErrorf("sync without a file")
	}
	return c.file.Sync()
}

// closeFile ends a file and tells the first error it had.
func (c *conversation) closeFile() error {
	err := c.fileErr
	if c.file == nil && err == nil {
		return protocolErrorf("close without a file")
	}
	if c.file != nil {
		if cerr := c.file.Close(); err == nil {
			err = cerr
		}
	}
	c.file, c.fileErr = nil, nil
	return err
}

func (c *conversation) writeRun(body []byte) error {
	var req remote.WriteRequest
	frames, err := decodeHead(body, &writeMessage{&req}, c.peer)
	if err != nil {
		return err
	}
	req.Frames = frames
	if err := c.openWriter(); err != nil {
		return c.fail(err)
	}
	if err := c.writer.WriteRun(c.ctx, &req); err != nil {
		return c.fail(err)
	}
	return c.answer(kindDone)
}

// writeEnd closes the file the writer has open.
func (c *conversation) writeEnd() error {
	if c.writer == nil {
		return nil
	}
	return c.writer.Close()
}
