package opengaussd

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gsprobackup/internal/wal"
)

// A column of a replication command has type modifier 0 (11_wire #31).
func walColumn(name string, oid uint32, size int16) column {
	return column{name: name, oid: oid, size: size}
}

var startReplication = regexp.MustCompile(`^START_REPLICATION (?:SLOT ("[^"]{1,63}"|[a-z0-9_]{1,63}) )?(?:PHYSICAL )?([0-9A-F]{1,8}/[0-9A-F]{1,8})$`)

// walSession plays a replication connection: only the simple protocol, and
// every failing command ends it (server.md §4.1, §1.5).
func (s *Server) walSession(w *wire, c *client) {
	for _, p := range parameters(c) {
		if err := w.send('S', cstring(p[0]), cstring(p[1])); err != nil {
			return
		}
	}
	// There is no BackendKeyData: it cannot be canceled (server.md §1.2).
	if err := w.ready(); err != nil {
		return
	}
	for {
		// A client that says nothing for wal_sender_timeout is cut without a
		// word (WalSndHandshake of walsender.cpp, all releases).
		_ = w.SetReadDeadline(time.Now().Add(s.cfg.SenderTimeout))
		kind, body, err := w.message()
		if err != nil || kind == 'X' || kind == 'c' {
			return
		}
		if kind != 'Q' {
			_ = w.fail(protocolError(kind)) // over in any case
			return
		}
		command := strings.TrimSpace(strings.TrimRight(string(body), "\x00"))
		s.note(command)
		if err := s.faults.statement(context.Background(), command); err != nil {
			var e *Error
			if errors.As(err, &e) {
				_ = w.fail(e)
			}
			return
		}
		if command == "IDENTIFY_SYSTEM" {
			if err := s.identify(w); err != nil {
				return
			}
			continue
		}
		start, e := s.startPosition(command)
		if e != nil {
			_ = w.fail(e)
			return
		}
		_ = w.SetReadDeadline(time.Time{})
		newSender(s, w, start).run()
		return
	}
}

// identify answers IDENTIFY_SYSTEM (server.md §4.1; 11_wire #30–#34).
func (s *Server) identify(w *wire) error {
	cols := []column{walColumn("systemid", 25, -1), walColumn("timeline", 23, 4), walColumn("xlogpos", 25, -1), walColumn("dbname", 25, -1)}
	if err := w.describe(cols); err != nil {
		return err
	}
	if err := w.row([]string{fmt.Sprint(s.cfg.Cluster.SystemID()), "1", s.cfg.Cluster.WAL().End().String(), null}); err != nil {
		return err
	}
	if err := w.complete("SELECT"); err != nil {
		return err
	}
	return w.ready()
}

// startPosition reads START_REPLICATION; everything else is an error. A
// TIMELINE clause is a syntax error (server.md §4.1).
func (s *Server) startPosition(command string) (wal.LSN, *Error) {
	m := startReplication.FindStringSubmatch(command)
	if m == nil {
		switch word, _, _ := strings.Cut(strings.ToUpper(command), " "); word {
		case "SELECT", "SHOW", "SET":
			return 0, &Error{Severity: "FATAL", State: "42809", Message: "not connected to database"}
		}
		return 0, &Error{Severity: "FATAL", State: "42601", Message: "replication command parser returned 1"}
	}
	if slot := strings.Trim(m[1], `"`); slot != "" && !slices.Contains(s.cfg.Slots, slot) {
		// golden b_full_slot_notexisting_ha_01
		return 0, &Error{Severity: "FATAL", State: "42704", Internal: "18348", Message: fmt.Sprintf("replication slot %q does not exist", slot)}
	}
	lsn, err := wal.ParseLSN(m[2])
	if err != nil {
		return 0, &Error{Severity: "FATAL", State: "42601", Message: "replication command parser returned 1"}
	}
	return lsn, nil
}
