package opengaussd

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Special request codes and versions (server.md §1.1).
const (
	codeSSL    = 80877103
	codeCancel = 80877102
	maxStartup = 10000
)

// client is what a startup packet says.
type client struct {
	minor       int
	params      map[string]string
	replication bool
}

// serve plays one connection to its end. The socket is the caller's.
func (s *Server) serve(w *wire, ha bool) {
	c, err := s.startup(w)
	if c == nil || err != nil {
		return
	}
	if e := s.admit(c, ha); e != nil {
		_ = w.fail(e) // the connection ends either way
		return
	}
	user, err := s.authenticate(w, c)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			_ = w.fail(e)
		}
		return
	}
	if e := s.checkDatabase(c); e != nil {
		_ = w.fail(e)
		return
	}
	if err := w.send('R', make([]byte, 4)); err != nil {
		return
	}
	if c.replication {
		s.walSession(w, c)
		return
	}
	s.sqlSession(w, c, *user)
}

// startup reads packets until one is a startup packet; nil means that the
// connection had another purpose.
func (s *Server) startup(w *wire) (*client, error) {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(w.r, head); err != nil {
			return nil, err
		}
		size, version := int(binary.BigEndian.Uint32(head)), binary.BigEndian.Uint32(head[4:])
		if size < 8 || size > maxStartup {
			return nil, fmt.Errorf("startup packet has length %d", size)
		}
		body := make([]byte, size-8)
		if _, err := io.ReadFull(w.r, body); err != nil {
			return nil, err
		}
		switch version {
		case codeSSL:
			if _, err := w.Write([]byte{'N'}); err != nil { // ssl=off
				return nil, err
			}
			continue
		case codeCancel:
			if len(body) == 8 {
				s.cancel(int32(binary.BigEndian.Uint32(body)), binary.BigEndian.Uint32(body[4:]))
			}
			return nil, nil
		}
		major, minor := version>>16, int(version&0xffff)
		// Recorded with stock pgx (server.md §1.1).
		if major != 3 || !slices.Contains([]int{0, 50, 51}, minor) {
			return nil, w.fail(&Error{Severity: "FATAL", State: "0A000", Message: fmt.Sprintf("unsupported frontend protocol %d.%d.", major, minor)})
		}
		c := &client{minor: minor, params: map[string]string{}}
		fields := strings.Split(string(body), "\x00")
		for i := 0; i+1 < len(fields) && fields[i] != ""; i += 2 {
			c.params[fields[i]] = fields[i+1]
		}
		switch c.params["replication"] {
		case "true", "1", "on", "yes", "database":
			c.replication = true
		}
		if c.params["database"] == "" {
			c.params["database"] = c.params["user"]
		}
		return c, nil
	}
}

// admit checks what kind of connection the port is for, before any password
// (server.md §1.2).
func (s *Server) admit(c *client, ha bool) *Error {
	switch {
	case ha && !c.replication:
		return &Error{Severity: "FATAL", State: "57P03", Message: "the local listen ip and port is not for the gsql client"}
	case !ha && c.replication && (s.cfg.RefuseMain || !s.cfg.NoThreadPool && !s.cfg.NoHAPort):
		return &Error{State: "22023", Message: "replication should connect HA port in thread_pool"}
	}
	return nil
}

// checkDatabase comes after authentication (golden a_nosuchdb_gsql_main_01).
func (s *Server) checkDatabase(c *client) *Error {
	name := c.params["database"]
	if c.replication || slices.Contains(s.cfg.Databases, name) {
		return nil
	}
	for _, db := range s.cfg.Cluster.Databases() {
		if db.Name == name {
			return nil
		}
	}
	return &Error{Severity: "FATAL", State: "3D000", Internal: "11815", Message: fmt.Sprintf("database %q does not exist", name)}
}

// cancel stops the statement of the session with that key.
func (s *Server) cancel(pid int32, key uint32) {
	s.mu.Lock()
	ses := s.sessions[pid]
	s.mu.Unlock()
	if ses != nil && ses.key == key {
		ses.cancelStatement(errCanceled)
	}
}

func randomKey() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}
