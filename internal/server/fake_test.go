package server

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// fakeGauss plays an openGauss server with the protocol's raw bytes. It
// records what clients send.
type fakeGauss struct {
	t    *testing.T
	ln   net.Listener
	port int

	// challenge is the payload of the 'R' message (nil: trust) for a minor
	// version; answer the only text accepted.
	challenge func(minor int) []byte
	answer    string
	// dhe offers TLS with no cipher suite that Go has.
	dhe bool
	// refuse is sent instead of anything after the startup packet.
	refuse *pgproto3.ErrorResponse
	// oldest: only protocol 3.0 is accepted.
	oldest bool
	// query answers a statement; nil error means rows.
	query func(sql string, args []string) ([][]string, *pgproto3.ErrorResponse)
	// stream plays the server after START_REPLICATION.
	stream func(c *fakeConn)

	mu       sync.Mutex
	startups []map[string]string // parameters, and "protocol"
	sent     []string            // statements
}

type fakeConn struct {
	net.Conn
	r *bufio.Reader
}

func newFake(t *testing.T) *fakeGauss {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveFake(t, ln)
}

func serveFake(t *testing.T, ln net.Listener) *fakeGauss {
	t.Helper()
	f := &fakeGauss{t: t, ln: ln, port: ln.Addr().(*net.TCPAddr).Port}
	t.Cleanup(func() {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	})
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go f.serve(&fakeConn{Conn: conn, r: bufio.NewReader(conn)})
		}
	}()
	return f
}

func (f *fakeGauss) options() Options {
	return Options{
		Host: "127.0.0.1", Port: strconv.Itoa(f.port), User: "rep1", Database: "postgres", Password: "Gauss@123",
		Env: env(nil),
	}
}

func (f *fakeGauss) statements() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.sent...)
}

func (f *fakeGauss) serve(c *fakeConn) {
	defer c.Close()
	params, ok := f.startup(c)
	if !ok {
		return
	}
	if !f.login(c, params) {
		return
	}
	c.send(&pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "server_version", Value: "9.2.4"},
		&pgproto3.BackendKeyData{ProcessID: 12, SecretKey: []byte{1, 2, 3, 4}}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	f.session(c)
}

// startup reads the startup packet; an SSLRequest is answered with N.
func (f *fakeGauss) startup(c *fakeConn) (map[string]string, bool) {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(c.r, head); err != nil {
			return nil, false
		}
		body := make([]byte, binary.BigEndian.Uint32(head)-8)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return nil, false
		}
		version := binary.BigEndian.Uint32(head[4:])
		if version == 80877103 && f.dhe {
			_, _ = c.Write([]byte{'S'})
			_, _ = c.r.Peek(1)
			_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 40}) // alert: handshake_failure
			return nil, false
		}
		if version == 80877103 {
			if _, err := c.Write([]byte{'N'}); err != nil {
				return nil, false
			}
			continue
		}
		params := map[string]string{"protocol": fmt.Sprintf("%d.%d", version>>16, version&0xffff)}
		fields := strings.Split(strings.TrimRight(string(body), "\x00"), "\x00")
		for i := 0; i+1 < len(fields); i += 2 {
			params[fields[i]] = fields[i+1]
		}
		f.mu.Lock()
		f.startups = append(f.startups, params)
		f.mu.Unlock()
		if f.oldest && params["protocol"] != "3.0" {
			c.send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "0A000", Message: "unsupported frontend protocol 3.51."})
			return nil, false
		}
		if f.refuse != nil {
			c.send(f.refuse)
			return nil, false
		}
		return params, true
	}
}

func (f *fakeGauss) login(c *fakeConn, params map[string]string) bool {
	if f.challenge == nil {
		return true
	}
	minor, _ := strconv.Atoi(strings.TrimPrefix(params["protocol"], "3."))
	payload := f.challenge(minor)
	msg := append(binary.BigEndian.AppendUint32([]byte{'R'}, uint32(4+len(payload))), payload...)
	if _, err := c.Write(msg); err != nil {
		return false
	}
	kind, body, err := c.message()
	if err != nil {
		return false
	}
	if got := strings.TrimRight(string(body), "\x00"); kind != 'p' || got != f.answer {
		f.mu.Lock()
		f.sent = append(f.sent, "password "+got)
		f.mu.Unlock()
		// with the internal code and module that only openGauss sends
		c.send(&pgproto3.ErrorResponse{
			Severity: "FATAL", Code: "28P01", Message: "Invalid username/password,login denied.",
			UnknownFields: map[byte]string{'c': "0", 'd': "BACKEND"},
		})
		return false
	}
	return true
}

// message reads one message of the client.
func (c *fakeConn) message() (byte, []byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(c.r, head); err != nil {
		return 0, nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(c.r, body)
	return head[0], body, err
}

// send writes messages; a client that is gone is noticed by the next read.
func (c *fakeConn) send(msgs ...pgproto3.BackendMessage) {
	var b []byte
	for _, m := range msgs {
		b, _ = m.Encode(b)
	}
	_, _ = c.Write(b)
}

// session answers statements in both protocols.
func (f *fakeGauss) session(c *fakeConn) {
	var sql string
	var args []string
	for {
		kind, body, err := c.message()
		if err != nil {
			return
		}
		switch kind {
		case 'Q':
			sql = string(body[:len(body)-1])
			if strings.HasPrefix(sql, "START_REPLICATION") && f.stream != nil {
				f.note(sql)
				f.stream(c)
				return
			}
			if !f.result(c, sql, nil) {
				return
			}
			c.send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		case 'P':
			sql = string(bytes.Split(body, []byte{0})[1])
			c.send(&pgproto3.ParseComplete{})
		case 'B':
			var m pgproto3.Bind
			if err := m.Decode(body); err != nil {
				f.t.Error(err)
				return
			}
			args = nil
			for _, p := range m.Parameters {
				args = append(args, string(p))
			}
			c.send(&pgproto3.BindComplete{})
		case 'E':
			if !f.result(c, sql, args) {
				return
			}
		case 'S':
			c.send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		case 'X':
			return
		}
	}
}

func (f *fakeGauss) note(sql string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, sql)
}

// result sends the result of one statement, with the row description; false
// when the error is fatal.
func (f *fakeGauss) result(c *fakeConn, sql string, args []string) bool {
	f.note(sql)
	rows, failure := [][]string{{"PostgreSQL 9.2.4 (openGauss 6.0.2 build 1) compiled"}}, (*pgproto3.ErrorResponse)(nil)
	if sql != "select version()" {
		rows, failure = f.query(sql, args)
	}
	if failure != nil {
		c.send(failure)
		return failure.Severity != "FATAL"
	}
	var desc pgproto3.RowDescription
	if len(rows) > 0 {
		for range rows[0] {
			desc.Fields = append(desc.Fields, pgproto3.FieldDescription{Name: []byte("c"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
		}
	}
	c.send(&desc)
	for _, r := range rows {
		var m pgproto3.DataRow
		for _, v := range r {
			if v == null {
				m.Values = append(m.Values, nil)
			} else {
				m.Values = append(m.Values, []byte(v))
			}
		}
		c.send(&m)
	}
	c.send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT")})
	return true
}

// null stands for NULL in rows.
const null = "\x00null"

var (
	//go:embed testdata/wire_main.txt
	wireMain string
	//go:embed testdata/wire_ha.txt
	wireHA string
)

// record is one recorded message.
type record struct {
	client bool
	bytes  []byte
}

func records(t *testing.T, text string) []record {
	t.Helper()
	var list []record
	for line := range strings.Lines(text) {
		side, data, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || side == "#" {
			continue
		}
		b, err := hex.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, record{side == "C", b})
	}
	return list
}

// replay plays the server's side of a recording to one connection and checks
// the client's, except its startup parameters' order.
func replay(t *testing.T, list []record, after func(c *fakeConn)) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	})
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		c := &fakeConn{Conn: conn, r: bufio.NewReader(conn)}
		for i, r := range list {
			if !r.client {
				if _, err := conn.Write(r.bytes); err != nil {
					t.Errorf("record %d: %v", i, err)
					return
				}
				continue
			}
			got := make([]byte, len(r.bytes))
			if _, err := io.ReadFull(c.r, got); err != nil {
				t.Errorf("record %d: %v", i, err)
				return
			}
			if i == 0 {
				if !bytes.Equal(got[:8], r.bytes[:8]) || !sameParameters(got[8:], r.bytes[8:]) {
					t.Errorf("startup packet %q, C sent %q", got, r.bytes)
				}
			} else if !bytes.Equal(got, r.bytes) {
				t.Errorf("record %d: sent %q, C sent %q", i, got, r.bytes)
			}
		}
		if after != nil {
			after(c)
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

func sameParameters(a, b []byte) bool {
	pairs := func(p []byte) map[string]string {
		m := map[string]string{}
		f := strings.Split(string(p), "\x00")
		for i := 0; i+1 < len(f); i += 2 {
			m[f[i]] = f[i+1]
		}
		return m
	}
	x, y := pairs(a), pairs(b)
	if len(x) != len(y) {
		return false
	}
	for k, v := range x {
		if y[k] != v {
			return false
		}
	}
	return true
}
