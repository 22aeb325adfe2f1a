package opengaussd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Why a statement stops.
var (
	errCanceled   = errors.New("canceled by the user")
	errTerminated = errors.New("server shuts down")
)

// session is one SQL session.
type session struct {
	srv  *Server
	w    *wire
	pid  int32
	key  uint32
	user User
	// settings are those a client changes: client_min_messages, datestyle.
	settings map[string]string
	running  string // text of the statement

	mu   sync.Mutex
	stop context.CancelCauseFunc // ends the running statement
	dead bool
	// backups without the exclusive lock, at most one (server.md §2.2)
	shared *labelled
}

// sqlSession plays a session until the client or the server ends it.
func (s *Server) sqlSession(w *wire, c *client, u User) {
	ses := &session{srv: s, w: w, key: randomKey(), user: u, settings: map[string]string{}}
	s.mu.Lock()
	s.nextPID++
	ses.pid = s.nextPID
	s.sessions[ses.pid] = ses
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.sessions, ses.pid)
		s.mu.Unlock()
		s.backup.sessionGone(s, ses)
	}()
	if err := ses.greet(c); err != nil {
		return
	}
	ses.loop()
}

// greet sends what follows a login: parameters, key, ready (golden
// b_ptrack_stream_main_01).
func (ses *session) greet(c *client) error {
	for _, p := range parameters(c) {
		if err := ses.w.send('S', cstring(p[0]), cstring(p[1])); err != nil {
			return err
		}
	}
	key := binary.BigEndian.AppendUint32(nil, uint32(ses.pid))
	if err := ses.w.send('K', binary.BigEndian.AppendUint32(key, ses.key)); err != nil {
		return err
	}
	return ses.w.ready()
}

// prepared is what Parse and Bind have set up; names are not told apart, since
// no client here uses more than one statement at a time.
type prepared struct {
	sql  string
	args []string
}

// loop reads messages of both protocols. After an error in the extended one
// everything up to Sync is passed over.
func (ses *session) loop() {
	var p prepared
	failed := false
	for {
		kind, body, err := ses.w.message()
		if err != nil {
			return
		}
		switch {
		case kind == 'X':
			return
		case kind == 'Q':
			p = prepared{sql: strings.TrimRight(string(body), "\x00")}
			if !ses.report(ses.execute(p, true)) {
				return
			}
			err = ses.w.ready()
		case kind == 'S':
			failed = false
			err = ses.w.ready()
		case failed:
		default:
			serr := ses.extended(kind, body, &p)
			failed = serr != nil
			if !ses.report(serr) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// report tells the client about a failed statement; false ends the session.
func (ses *session) report(err error) bool {
	var e *Error
	switch {
	case err == nil:
		return true
	case errors.As(err, &e):
		return ses.w.fail(e) == nil && !e.fatal()
	}
	return false // dropped on demand, or the client is gone
}

func (ses *session) extended(kind byte, body []byte, p *prepared) error {
	switch kind {
	case 'P':
		parts := bytes.SplitN(body, []byte{0}, 3)
		if len(parts) < 2 {
			return protocolError(kind)
		}
		*p = prepared{sql: string(parts[1])}
		if ses.srv.find(p.sql) == nil {
			return ses.unknown(p.sql)
		}
		return ses.w.send('1')
	case 'B':
		args, ok := bindArgs(body)
		if !ok {
			return protocolError(kind)
		}
		p.args = args
		return ses.w.send('2')
	case 'D':
		r := ses.srv.find(p.sql)
		if r == nil {
			return ses.unknown(p.sql)
		}
		if len(body) > 0 && body[0] == 'S' { // of a statement: its parameters too
			n := strings.Count(p.sql, "$")
			b := binary.BigEndian.AppendUint16(nil, uint16(n))
			for range n {
				b = binary.BigEndian.AppendUint32(b, 25)
			}
			if err := ses.w.send('t', b); err != nil {
				return err
			}
		}
		if r.columns == nil {
			return ses.w.send('n')
		}
		return ses.w.describe(r.columns)
	case 'E':
		return ses.execute(*p, false)
	case 'C':
		return ses.w.send('3')
	case 'H':
		return nil
	}
	return protocolError(kind)
}

func protocolError(kind byte) *Error {
	return &Error{Severity: "FATAL", State: "08P01", Message: fmt.Sprintf("invalid frontend message type %d", kind)}
}

// bindArgs reads the text parameters of a Bind message.
func bindArgs(b []byte) ([]string, bool) {
	for range 2 { // portal and statement
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			return nil, false
		}
		b = b[i+1:]
	}
	u16 := func() (int, bool) {
		if len(b) < 2 {
			return 0, false
		}
		n := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		return n, true
	}
	formats, ok := u16()
	if !ok || len(b) < 2*formats {
		return nil, false
	}
	b = b[2*formats:]
	count, ok := u16()
	if !ok {
		return nil, false
	}
	args := make([]string, count)
	for i := range args {
		if len(b) < 4 {
			return nil, false
		}
		n := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if n < 0 {
			args[i] = null
			continue
		}
		if len(b) < int(n) {
			return nil, false
		}
		args[i], b = string(b[:n]), b[n:]
	}
	return args, true
}

func (ses *session) unknown(sql string) *Error {
	ses.srv.noteUnknown(sql)
	return &Error{State: "42601", Message: "the stand-in has no rule for: " + sql}
}

// execute runs one statement. simple: the row description is sent too.
func (ses *session) execute(p prepared, simple bool) error {
	ses.srv.note(p.sql)
	if strings.TrimSpace(p.sql) == "" {
		return ses.w.send('I')
	}
	r := ses.srv.find(p.sql)
	if r == nil {
		return ses.unknown(p.sql)
	}
	ctx, err := ses.begin()
	if err != nil {
		return err
	}
	defer ses.end()
	ses.running = p.sql
	err = ses.srv.faults.statement(ctx, p.sql)
	var lost lostAnswer
	cut := errors.As(err, &lost)
	if err != nil && !cut {
		return cause(ctx, err)
	}
	rows, err := r.run(ctx, ses, p.args)
	if cut {
		return lost.end()
	}
	if err != nil {
		return cause(ctx, err)
	}
	if simple && r.columns != nil {
		if err := ses.w.describe(r.columns); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if err := ses.w.row(row); err != nil {
			return err
		}
	}
	tag := r.tag
	if tag == "" {
		tag = fmt.Sprintf("SELECT %d", len(rows))
	}
	return ses.w.complete(tag)
}

// cause turns a stopped statement into what the server says about it.
func cause(ctx context.Context, err error) error {
	switch why := context.Cause(ctx); {
	case errors.Is(why, errCanceled):
		return &Error{State: "57014", Message: "canceling statement due to user request"}
	case errors.Is(why, errTerminated):
		return &Error{Severity: "FATAL", State: "57P01", Message: "terminating connection due to administrator command"}
	}
	return err
}

// begin makes the context of a statement.
func (ses *session) begin() (context.Context, error) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ctx, cancel := context.WithCancelCause(context.Background())
	if ses.dead {
		cancel(errTerminated)
		return nil, cause(ctx, errTerminated)
	}
	ses.stop = cancel
	return ctx, nil
}

func (ses *session) end() {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.stop(nil)
	ses.stop = nil
}

// cancelStatement stops what runs now, if anything does.
func (ses *session) cancelStatement(why error) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.stop != nil {
		ses.stop(why)
	}
}

// terminate ends the session as pg_terminate_backend or a shutdown does.
func (ses *session) terminate() {
	ses.mu.Lock()
	running := ses.stop != nil
	ses.dead = true
	ses.mu.Unlock()
	if running {
		ses.cancelStatement(errTerminated)
		return
	}
	_ = ses.w.fail(&Error{Severity: "FATAL", State: "57P01", Message: "terminating connection due to administrator command"})
	_ = ses.w.hangUp() // the session is over in any case
}

// notice sends a notice unless client_min_messages is above it.
func (ses *session) notice(text string) error {
	if ses.settings["client_min_messages"] == "warning" {
		return nil
	}
	return ses.w.notice(&Error{Severity: "NOTICE", State: "00000", Message: text})
}

func (ses *session) now() time.Time { return ses.srv.cfg.Now() }
