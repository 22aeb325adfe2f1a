package agent

import (
	"encoding/binary"
	"time"
)

// codec writes or reads the fields of a message. Each message has one list of
// its fields that serves both ways, so the two ends cannot disagree.
//
// Reading is strict: a length beyond the rest of the message, a list longer
// than allowed, a boolean other than 0 and 1 are errors, and so are bytes left
// over, unless the peer is newer and may know more fields. What an older peer
// did not send is zero.
type codec struct {
	buf     []byte // writing: so far; reading: what is left
	reading bool
	older   bool // the peer may send fewer fields than we know
	newer   bool // or more
	err     error
}

// maxText bounds texts and paths, maxList the elements of a list.
const (
	maxText = 64 << 10
	maxList = 128 << 10
)

// message is anything with fields.
type message interface{ fields(c *codec) }

func (c *codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = protocolErrorf(format, args...)
	}
}

// take gives the next n bytes to read, nil when there are none.
func (c *codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if len(c.buf) == 0 && c.older {
		return nil
	}
	if n > len(c.buf) {
		c.fail("message is too short")
		return nil
	}
	b := c.buf[:n:n]
	c.buf = c.buf[n:]
	return b
}

// number handles an integer of size bytes.
func number[T ~int | ~int8 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](c *codec, p *T, size int) {
	var raw [8]byte
	if c.reading {
		b := c.take(size)
		if b == nil {
			*p = 0
			return
		}
		copy(raw[:], b)
		*p = T(binary.LittleEndian.Uint64(raw[:]))
		return
	}
	binary.LittleEndian.PutUint64(raw[:], uint64(*p))
	c.buf = append(c.buf, raw[:size]...)
}

func (c *codec) u8(p *uint8)   { number(c, p, 1) }
func (c *codec) u16(p *uint16) { number(c, p, 2) }
func (c *codec) u32(p *uint32) { number(c, p, 4) }
func (c *codec) u64(p *uint64) { number(c, p, 8) }
func (c *codec) i64(p *int64)  { number(c, p, 8) }
func (c *codec) int(p *int)    { number(c, p, 8) }

func (c *codec) bool(p *bool) {
	var b uint8
	if *p && !c.reading {
		b = 1
	}
	c.u8(&b)
	if b > 1 {
		c.fail("boolean %d", b)
	}
	*p = b == 1
}

// length handles the length of what follows, at most limit.
func (c *codec) length(n, limit int) int {
	l := uint32(n)
	c.u32(&l)
	if int64(l) > int64(limit) {
		c.fail("length %d, at most %d", l, limit)
		return 0
	}
	return int(l)
}

func (c *codec) text(p *string) {
	n := c.length(len(*p), maxText)
	if c.reading {
		*p = string(c.take(n))
		return
	}
	c.buf = append(c.buf, *p...)
}

// rest is bytes without a length, up to the end of the message. Read, it is a
// view of the message.
func (c *codec) rest(p *[]byte) {
	if c.reading {
		*p, c.buf = c.buf, nil
		return
	}
	c.buf = append(c.buf, *p...)
}

func (c *codec) time(p *time.Time) {
	sec, nsec := p.Unix(), int64(p.Nanosecond())
	number(c, &sec, 8)
	number(c, &nsec, 4)
	if c.reading {
		*p = time.Unix(sec, nsec)
	}
}

// list handles a list of at most limit elements of at least size bytes each.
func list[T any](c *codec, p *[]T, limit, size int, each func(*T)) {
	n := c.length(len(*p), limit)
	if c.reading {
		if n > len(c.buf)/size {
			c.fail("list of %d elements in %d bytes", n, len(c.buf))
			n = 0
		}
		if *p = (*p)[:0]; cap(*p) < n {
			*p = make([]T, 0, n)
		}
		*p = (*p)[:n]
	}
	for i := range *p {
		each(&(*p)[i])
	}
}

func (c *codec) texts(p *[]string) { list(c, p, maxList, 4, c.text) }

// optional handles something that may be absent.
func optional[T any](c *codec, p **T, each func(*T)) {
	present := *p != nil
	c.bool(&present)
	switch {
	case !present:
		*p = nil
	case *p == nil:
		*p = new(T)
		fallthrough
	default:
		each(*p)
	}
}

// encode appends a message to dst.
func encode(dst []byte, m message) []byte {
	c := codec{buf: dst}
	m.fields(&c)
	return c.buf
}

// decode reads a whole body into m.
func decode(body []byte, m message, peer peer) error {
	c := codec{buf: body, reading: true, older: peer.revision < revision, newer: peer.revision > revision}
	m.fields(&c)
	if c.err == nil && len(c.buf) > 0 && !c.newer {
		c.fail("%d bytes too many", len(c.buf))
	}
	return c.err
}

// encodeHead is encode for a message that bulk bytes follow in the same frame.
func encodeHead(dst []byte, m message) []byte {
	at := len(dst)
	dst = encode(append(dst, 0, 0, 0, 0), m)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// decodeHead reads what encodeHead wrote and returns the bulk bytes.
func decodeHead(body []byte, m message, peer peer) (bulk []byte, err error) {
	c := codec{buf: body, reading: true}
	n := c.length(0, maxBody)
	head := c.take(n)
	if c.err != nil {
		return nil, c.err
	}
	return c.buf, decode(head, m, peer)
}
