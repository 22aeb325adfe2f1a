package agent

import (
	"errors"

	"gsprobackup/internal/remote"
)

// This file serves what a backup asks for.

// Bounds of single answers.
const (
	maxReadAt   = 1 << 20
	maxReadFile = 64 << 20
	chunk       = 1 << 20
	listBatch   = 512
)

// errStop ends a walk whose client does not listen any more.
var errStop = errors.New("stop")

func (c *conversation) list(q *listMessage) (message, error) {
	var batch entriesMessage
	send := func() error {
		if len(batch.Infos) == 0 {
			return nil
		}
		err := c.answer(kindEntries, encode(nil, &batch))
		batch.Infos = batch.Infos[:0]
		if c.ctx.Err() != nil {
			err = errStop
		}
		return err
	}
	err := c.host.List(c.ctx, q.ListRequest, func(fi remote.FileInfo) error {
		if batch.Infos = append(batch.Infos, infoMessage{fi}); len(batch.Infos) < listBatch {
			return nil
		}
		return send()
	})
	if serr := send(); err == nil {
		err = serr
	}
	return &empty{}, err
}

func (c *conversation) stat(q *pathMessage) (message, error) {
	fi, err := c.host.Stat(c.ctx, q.Path)
	return &infoMessage{fi}, err
}

func (c *conversation) readFile(q *readFileMessage) (message, error) {
	n, err := clampInt(q.Max, maxReadFile)
	if err != nil {
		return nil, err
	}
	c.bulk.Lock()
	defer c.bulk.Unlock()
	b, err := c.host.ReadFile(c.ctx, q.Path, int64(n))
	for ; err == nil && len(b) > chunk; b = b[chunk:] {
		err = c.answer(kindData, b[:chunk])
	}
	return &bytesMessage{b}, err
}

func (c *conversation) readAt(q *readAtMessage) (message, error) {
	n, err := clampInt(int64(q.N), maxReadAt)
	if err != nil {
		return nil, err
	}
	b, size, err := c.host.ReadAt(c.ctx, q.Path, q.Off, n)
	return &readAtAnswer{Size: size, B: b}, err
}

func (c *conversation) compressedInfo(q *pathMessage) (message, error) {
	info, err := c.host.CompressedInfo(c.ctx, q.Path)
	return &compressedInfoAnswer{info}, err
}

// readRun sends the frames from where the reader put them.
func (c *conversation) readRun(body []byte) error {
	var q runMessage
	if err := decode(body, &q, c.peer); err != nil {
		return err
	}
	if err := c.openReader(); err != nil {
		return c.fail(err)
	}
	if err := c.reader.ReadRun(c.ctx, &q.RunRequest, &c.run); err != nil {
		return c.fail(err)
	}
	return c.answer(kindDone, encodeHead(nil, &runAnswer{&c.run}), c.run.Frames)
}

func (c *conversation) copyFile(q *copyMessage) (message, error) {
	if err := c.openReader(); err != nil {
		return nil, err
	}
	fi, err := c.reader.CopyFile(c.ctx, q.CopyRequest, copySink{c})
	return &infoMessage{fi}, err
}

// copySink sends content to the client.
type copySink struct{ *conversation }

func (s copySink) Data(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), chunk)
		if err := s.answer(kindData, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (s copySink) Hole(n int64) error { return s.answer(kindHole, encode(nil, &int64Message{n})) }

func (c *conversation) checksum(q *pathMessage) (message, error) {
	if err := c.openReader(); err != nil {
		return nil, err
	}
	crc, size, err := c.reader.Checksum(c.ctx, q.Path)
	return &checksumAnswer{CRC: crc, Size: size}, err
}

func (c *conversation) fileSums(q *pathsMessage) (message, error) {
	if err := c.openReader(); err != nil {
		return nil, err
	}
	sums, err := c.reader.FileSums(c.ctx, q.Paths)
	return &fileSumsAnswer{sums}, err
}

func (c *conversation) pageSums(q *sumMessage) (message, error) {
	if err := c.openReader(); err != nil {
		return nil, err
	}
	err := c.reader.PageSums(c.ctx, &q.SumRequest, &c.sums)
	return &pageSumsAnswer{&c.sums}, err
}
