package server

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/server/gaussauth"
)

// maxHandshakeMessage bounds a message read before authentication is done:
// only authentication requests, errors and notices come then.
const maxHandshakeMessage = 1 << 20

// The ways a handshake stops early. They are read from handshake, since pgx
// wraps what a net.Conn returns.
var (
	errNeedPassword = errors.New("server asks for a password")
	errStockClient  = errors.New("server offers channel binding")
)

// handshake is what one connection attempt is told and what it learns.
type handshake struct {
	minor    int // minor protocol version to ask for: 51 or 0
	user     string
	password string // "" = not known

	familyKnown bool
	family      pgdata.Family
	stop        error // errNeedPassword, errStockClient or an authentication error
}

// filterConn is a net.Conn that plays the part of the handshake pgx cannot
// play: it asks for protocol 3.51 and answers openGauss' authentication
// requests (spec/server.md §1.6). After authentication it is transparent.
type filterConn struct {
	net.Conn
	hs      *handshake
	written int    // bytes of the startup packet seen so far
	out     []byte // a message on its way to pgx
	done    bool   // authenticated
}

// Write patches the version of the startup packet, which may come in pieces.
func (c *filterConn) Write(p []byte) (int, error) {
	const versionEnd = 8
	if c.written >= versionEnd || c.hs.minor == 0 {
		return c.Conn.Write(p)
	}
	q := bytes.Clone(p)
	if at := 7 - c.written; at >= 0 && at < len(q) { // low byte of int32 0x0003_00xx
		q[at] = byte(c.hs.minor)
	}
	c.written += len(p)
	return c.Conn.Write(q)
}

func (c *filterConn) Read(p []byte) (int, error) {
	for {
		if len(c.out) > 0 {
			n := copy(p, c.out)
			c.out = c.out[n:]
			return n, nil
		}
		if c.done {
			return c.Conn.Read(p)
		}
		if c.hs.stop != nil {
			return 0, c.hs.stop
		}
		msg, err := readMessage(c.Conn)
		if err != nil {
			return 0, err
		}
		if err := c.handle(msg); err != nil {
			c.hs.stop = err
			return 0, err
		}
	}
}

// readMessage reads one whole message: type, int32 length, body.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[1:])))
	if size < 4 || size > maxHandshakeMessage {
		return nil, fmt.Errorf("read handshake: message %q has length %d", head[0], size)
	}
	msg := make([]byte, 1+size)
	copy(msg, head)
	if _, err := io.ReadFull(r, msg[5:]); err != nil {
		return nil, err
	}
	return msg, nil
}

// handle looks at one message of the handshake: it is swallowed when this
// filter has answered it, else handed to pgx.
func (c *filterConn) handle(msg []byte) error {
	switch msg[0] {
	case 'v':
		// Only PostgreSQL negotiates; openGauss speaks 3.51.
		c.learn(pgdata.PostgreSQL)
	case 'R':
		return c.authenticate(msg)
	}
	c.out = msg
	return nil
}

func (c *filterConn) learn(f pgdata.Family) {
	if !c.hs.familyKnown {
		c.hs.familyKnown, c.hs.family = true, f
	}
}

func (c *filterConn) authenticate(msg []byte) error {
	payload := msg[5:]
	if len(payload) < 4 {
		return errors.New("read handshake: authentication request is too short")
	}
	code := binary.BigEndian.Uint32(payload)
	if c.hs.minor != 0 || gaussauth.Recognize(payload) {
		c.learn(pgdata.OpenGauss) // unless 'v' came first
	}
	if code == gaussauth.CodeOK {
		c.done = true
		c.out = msg
		return nil
	}
	if c.hs.password == "" && wantsPassword(code) {
		return errNeedPassword
	}
	if c.hs.family == pgdata.PostgreSQL || !c.hs.familyKnown || code < gaussauth.CodeMD5 {
		// pgx sees a wrapped connection and would not bind the password to
		// the TLS channel, so let it have the connection as it is.
		if _, ok := c.Conn.(*tls.Conn); ok && bytes.Contains(payload, []byte("SCRAM-SHA-256-PLUS")) {
			return errStockClient
		}
		c.out = msg
		return nil
	}
	challenge, err := gaussauth.Parse(payload, c.hs.minor)
	if err != nil {
		return err
	}
	answer, err := challenge.Answer(c.hs.user, c.hs.password)
	if err != nil {
		return err
	}
	reply := binary.BigEndian.AppendUint32([]byte{'p'}, uint32(4+len(answer)+1))
	_, err = c.Conn.Write(append(append(reply, answer...), 0))
	return err
}

// wantsPassword: the codes that a password answers, in either family. PostgreSQL
// uses 10 for the start of SASL; its 11 and 12 can only follow.
func wantsPassword(code uint32) bool {
	switch code {
	case 3, gaussauth.CodeMD5, gaussauth.CodeSHA256, gaussauth.CodeMD5SHA256, gaussauth.CodeSM3:
		return true
	}
	return false
}
