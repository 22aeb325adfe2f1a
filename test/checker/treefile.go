package checker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// comparer reads a restored file along with the bytes it should have.
type comparer struct {
	in     *bufio.Reader
	buf    []byte
	off    int64
	differ int64 // offset of the first difference, -1 for none
	short  bool  // the file ended too early
}

// errDiffers ends the making of bytes that nobody needs any more.
var errDiffers = errors.New("content differs")

func (c *comparer) Write(want []byte) (int, error) {
	if len(c.buf) < len(want) {
		c.buf = make([]byte, len(want))
	}
	got := c.buf[:len(want)]
	n, err := io.ReadFull(c.in, got)
	if !bytes.Equal(got[:n], want[:n]) {
		for i := range n {
			if got[i] != want[i] {
				c.differ = c.off + int64(i)
				return 0, errDiffers
			}
		}
	}
	c.off += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		c.short = true
		return 0, errDiffers
	}
	return n, err
}

func (t *tree) compareFile(p string, e *entry) error {
	f, err := os.Open(t.target.Root + p)
	if err != nil {
		return err
	}
	defer f.Close()
	c := &comparer{in: bufio.NewReaderSize(f, 1<<20), differ: -1}
	err = t.make(e, c)
	switch {
	case errors.Is(err, errDiffers) && c.short:
		t.differ(p, "size", "more", c.off)
	case errors.Is(err, errDiffers):
		t.differ(p, "content", "as stored", fmt.Sprintf("another byte at %d", c.differ))
	case err != nil:
		return err
	default:
		if rest, err := io.Copy(io.Discard, c.in); err != nil {
			return err
		} else if rest > 0 {
			t.differ(p, "size", c.off, c.off+rest)
		}
	}
	t.mu.Lock()
	t.stats.Bytes += c.off
	t.mu.Unlock()
	return nil
}

// make writes the content that a file has after the restore (§5.7).
func (t *tree) make(e *entry, out io.Writer) error {
	switch {
	case e.size == 0:
		return nil
	case !e.data:
		return t.makeCopy(e, out)
	case e.compressed:
		return t.makeCompressed(e, out)
	}
	return t.makePages(e, func(page []byte) error {
		_, err := out.Write(page)
		return err
	})
}

// makeCopy finds the newest full copy.
func (t *tree) makeCopy(e *entry, out io.Writer) error {
	for _, m := range t.members {
		me := m.index[e.key()]
		switch {
		case me == nil:
			return fmt.Errorf("backup %s does not list it", m.id)
		case me.size == 0:
			return nil
		case me.size > 0:
			f, err := os.Open(m.stored(me))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.CopyBuffer(out, struct{ io.Reader }{f}, make([]byte, 1<<18))
			return err
		}
	}
	return errors.New("no backup has a full copy")
}

// cursor walks the frames of one stored file.
type cursor struct {
	file    *os.File
	in      *bufio.Reader
	alg     string
	block   int64 // of the current frame, -1 at the end
	payload []byte
}

func (c *cursor) next() error {
	var head [frameHeader]byte
	_, err := io.ReadFull(c.in, head[:])
	if err == io.EOF {
		c.block = -1
		return nil
	}
	if err != nil {
		return err
	}
	c.block = int64(binary.LittleEndian.Uint32(head[:]))
	size := binary.LittleEndian.Uint32(head[4:])
	if size < 1 || size > blockSize {
		return fmt.Errorf("frame of block %d has payload size %d", c.block, size)
	}
	c.payload = append(c.payload[:0], make([]byte, size)...)
	_, err = io.ReadFull(c.in, c.payload)
	return err
}

// makePages gives the pages of a data file in order: each from the newest
// backup that has it, zeros where none has, up to the last stored one.
func (t *tree) makePages(e *entry, page func([]byte) error) error {
	var cursors []*cursor
	defer func() {
		for _, c := range cursors {
			c.file.Close()
		}
	}()
	for _, m := range t.members {
		me := m.index[e.key()]
		if me == nil || me.size <= 0 {
			continue
		}
		f, err := os.Open(m.stored(me))
		if err != nil {
			return err
		}
		c := &cursor{file: f, in: bufio.NewReaderSize(f, 1<<17), alg: me.alg}
		cursors = append(cursors, c)
		if err := c.next(); err != nil {
			return err
		}
	}
	zeros := make([]byte, blockSize)
	for n, holes := int64(0), 0; n < e.nBlocks; n++ {
		var newest []byte
		more := false
		for _, c := range cursors {
			if c.block == n {
				if newest == nil {
					p, err := unpack(c.alg, c.payload)
					if err != nil {
						return fmt.Errorf("%s block %d: %w", c.file.Name(), n, err)
					}
					newest = append([]byte(nil), p...)
				}
				if err := c.next(); err != nil {
					return err
				}
			}
			more = more || c.block >= 0
		}
		if newest == nil {
			if !more {
				return nil
			}
			holes++
			continue
		}
		for ; holes > 0; holes-- {
			if err := page(zeros); err != nil {
				return err
			}
		}
		if err := page(newest); err != nil {
			return err
		}
	}
	return nil
}
