package opengaussd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Error is an ErrorResponse with openGauss' fields (server.md §1.5).
type Error struct {
	Severity string // "" means ERROR
	State    string // SQLSTATE
	Internal string // the number that is printed GAUSS-%05d; "" means 0
	Message  string
	Hint     string
	Context  string
}

func (e *Error) Error() string { return e.Severity + " " + e.State + " " + e.Message }

func (e *Error) fatal() bool { return e.Severity == "FATAL" }

// fields are encoded in the recorded order: S c M C d W.
func (e *Error) fields() []byte {
	var b []byte
	add := func(code byte, v string) {
		if v != "" {
			b = append(append(append(b, code), v...), 0)
		}
	}
	severity, internal := e.Severity, e.Internal
	if severity == "" {
		severity = "ERROR"
	}
	if internal == "" {
		internal = "0"
	}
	add('S', severity)
	add('c', internal)
	add('M', e.Message)
	add('H', e.Hint)
	add('C', e.State)
	add('d', "BACKEND")
	add('W', e.Context)
	return append(b, 0)
}

// wire is one client connection. Writes may come from several goroutines.
type wire struct {
	net.Conn
	r  *bufio.Reader
	mu sync.Mutex
}

func newWire(c net.Conn) *wire { return &wire{Conn: c, r: bufio.NewReader(c)} }

// maxMessage bounds what a client may send in one message.
const maxMessage = 1 << 20

// message reads one message of the client.
func (w *wire) message() (kind byte, body []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(w.r, head); err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint32(head[1:])) - 4
	if size < 0 || size > maxMessage {
		return 0, nil, fmt.Errorf("message %q has length %d", head[0], size)
	}
	body = make([]byte, size)
	_, err = io.ReadFull(w.r, body)
	return head[0], body, err
}

// send writes one message.
func (w *wire) send(kind byte, parts ...[]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 4
	for _, p := range parts {
		n += len(p)
	}
	b := binary.BigEndian.AppendUint32([]byte{kind}, uint32(n))
	for _, p := range parts {
		if len(p) > 1<<16 { // WAL: do not copy it
			if _, err := w.Write(b); err != nil {
				return err
			}
			if _, err := w.Write(p); err != nil {
				return err
			}
			b = nil
			continue
		}
		b = append(b, p...)
	}
	if len(b) == 0 {
		return nil
	}
	_, err := w.Write(b)
	return err
}

func (w *wire) fail(e *Error) error   { return w.send('E', e.fields()) }
func (w *wire) notice(e *Error) error { return w.send('N', e.fields()) }
func (w *wire) ready() error          { return w.send('Z', []byte{'I'}) }

func (w *wire) complete(tag string) error { return w.send('C', cstring(tag)) }

func cstring(s string) []byte { return append([]byte(s), 0) }

// column is a result column as RowDescription tells it.
type column struct {
	name  string
	table uint32
	attr  uint16
	oid   uint32
	size  int16
	mod   int32
}

// Types of the recorded columns.
func text(name string) column { return column{name: name, oid: 25, size: -1, mod: -1} }
func ofType(name string, oid uint32, size int16) column {
	return column{name: name, oid: oid, size: size, mod: -1}
}

func (w *wire) describe(cols []column) error {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(cols)))
	for _, c := range cols {
		b = append(b, cstring(c.name)...)
		b = binary.BigEndian.AppendUint32(b, c.table)
		b = binary.BigEndian.AppendUint16(b, c.attr)
		b = binary.BigEndian.AppendUint32(b, c.oid)
		b = binary.BigEndian.AppendUint16(b, uint16(c.size))
		b = binary.BigEndian.AppendUint32(b, uint32(c.mod))
		b = append(b, 0, 0) // text format
	}
	return w.send('T', b)
}

// null is SQL NULL in a row.
const null = "\x00null"

func (w *wire) row(values []string) error {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		if v == null {
			b = binary.BigEndian.AppendUint32(b, 0xFFFFFFFF)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return w.send('D', b)
}

// hangUp closes the connection; a client that is gone already is no news.
func (w *wire) hangUp() error {
	if err := w.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
