package opengaussd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogwal"
)

// labelled is a backup that runs.
type labelled struct {
	owner         *session // of an exclusive one; nil: nobody's (stale map)
	start         wal.LSN
	label         string
	tablespaceMap string
}

// backupMode is the server's backup state (server.md §2.2): one exclusive
// backup, bound to its session, and any number of others.
type backupMode struct {
	mu        sync.Mutex
	exclusive *labelled
}

func failure(err error) *Error { return &Error{State: "58030", Message: err.Error()} }

func alreadyRuns() *Error {
	return &Error{State: "55000", Message: "a backup is already in progress", Hint: "Run pg_stop_backup() and try again."}
}

// start is pg_start_backup.
func (m *backupMode) start(ses *session, label string, exclusive bool) (wal.LSN, *Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := ses.srv
	switch {
	case ses.shared != nil:
		return 0, &Error{State: "55000", Message: "a backup is already in progress in this session"}
	case exclusive && s.cfg.Standby:
		return 0, &Error{State: "55000", Message: "recovery is in progress", Hint: "WAL control functions cannot be executed during recovery."}
	case exclusive && m.exclusive != nil:
		return 0, alreadyRuns()
	}
	b, err := s.begin(label, exclusive)
	if err != nil {
		return 0, failure(err)
	}
	if !exclusive {
		ses.shared = b
		return b.start, nil
	}
	if err := os.WriteFile(s.path("backup_label"), []byte(b.label), 0o600); err != nil {
		return 0, failure(err)
	}
	if b.tablespaceMap != "" {
		if _, err := os.Stat(s.path("tablespace_map")); err == nil {
			// Left behind by a lost session: fails, but backup mode stays on and
			// belongs to nobody; one pg_stop_backup() clears both (server.md §2.2).
			m.exclusive = b
			e := alreadyRuns()
			e.Hint = `If you're sure there is no backup in progress, remove file "tablespace_map" and try again.`
			return 0, e
		}
		if err := os.WriteFile(s.path("tablespace_map"), []byte(b.tablespaceMap), 0o600); err != nil {
			return 0, failure(err)
		}
	}
	b.owner = ses
	m.exclusive = b
	return b.start, nil
}

// begin checkpoints (a standby uses its last restart point) and writes the
// label's text (formats.md §8.1).
func (s *Server) begin(label string, exclusive bool) (*labelled, error) {
	c := s.cfg.Cluster
	start, checkpoint, from := c.Redo(), c.LastCheckpoint(), "standby"
	if !s.cfg.Standby {
		var err error
		from = "master"
		if start, checkpoint, err = c.BeginBackup(); err != nil {
			return nil, err
		}
	}
	method := "streamed"
	if exclusive {
		method = "pg_start_backup"
	}
	return &labelled{
		start: start, tablespaceMap: s.mapText(),
		label: fmt.Sprintf("START WAL LOCATION: %s (file %s)\nCHECKPOINT LOCATION: %s\nBACKUP METHOD: %s\nBACKUP FROM: %s\nSTART TIME: %s\nLABEL: %s\n",
			start, wal.SegmentNameAt(ogwal.Timeline, start, ogwal.SegSize), checkpoint, method, from,
			s.cfg.Now().UTC().Format("2006-01-02 15:04:05 UTC"), label),
	}, nil
}

// stopExclusive is pg_stop_backup() from any session.
func (m *backupMode) stopExclusive(ses *session) (wal.LSN, *Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := ses.srv
	switch {
	case s.cfg.Standby:
		return 0, &Error{State: "55000", Message: "recovery is in progress", Hint: "WAL control functions cannot be executed during recovery."}
	case ses.shared != nil:
		return 0, &Error{State: "55000", Message: "a non-exclusive backup is already in progress in this session"}
	case m.exclusive == nil:
		return 0, &Error{State: "55000", Message: "a backup is not in progress"}
	}
	b := m.exclusive
	m.exclusive = nil
	stop, err := s.cfg.Cluster.EndBackup(b.start)
	if err != nil {
		return 0, failure(err)
	}
	// The backup history file (golden 13_raw_server_files, archive_status).
	history := fmt.Sprintf("pg_xlog/%s.%08X.backup", wal.SegmentNameAt(ogwal.Timeline, b.start, ogwal.SegSize), wal.SegmentOffset(b.start, ogwal.SegSize))
	err = errors.Join(
		os.WriteFile(s.path(history), []byte(b.label), 0o600),
		removeFile(s.path("backup_label")), removeFile(s.path("tablespace_map")))
	if err != nil {
		return 0, failure(err)
	}
	return stop, nil
}

// stopShared is pg_stop_backup(false) of the session that started.
func (m *backupMode) stopShared(ses *session) (wal.LSN, *labelled, *Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := ses.shared
	if b == nil {
		return 0, nil, &Error{State: "55000", Message: "non-exclusive backup is not in progress"}
	}
	ses.shared = nil
	c := ses.srv.cfg.Cluster
	if ses.srv.cfg.Standby { // minimum recovery point: what has been replayed
		end := c.WAL().End()
		if err := c.SetMinRecovery(end); err != nil {
			return 0, nil, failure(err)
		}
		return end, b, nil
	}
	stop, err := c.EndBackup(b.start)
	if err != nil {
		return 0, nil, failure(err)
	}
	return stop, b, nil
}

// sessionGone cancels the exclusive backup of a session that has ended: the
// label goes, the tablespace map stays (server.md §2.2).
func (m *backupMode) sessionGone(s *Server, ses *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.exclusive == nil || m.exclusive.owner != ses {
		return
	}
	m.exclusive = nil
	if err := removeFile(s.path("backup_label")); err != nil {
		s.noteUnknown("remove backup_label: " + err.Error()) // seen by the test
	}
}

func (s *Server) path(name string) string { return filepath.Join(s.cfg.Cluster.Dir(), name) }

func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// InBackup tells whether an exclusive backup runs.
func (s *Server) InBackup() bool {
	s.backup.mu.Lock()
	defer s.backup.mu.Unlock()
	return s.backup.exclusive != nil
}

// StartForeignBackup begins an exclusive backup that belongs to nobody, so
// that the next one meets `a backup is already in progress`.
func (s *Server) StartForeignBackup() error {
	s.backup.mu.Lock()
	defer s.backup.mu.Unlock()
	b, err := s.begin("somebody else's", true)
	if err != nil {
		return err
	}
	s.backup.exclusive = b
	return os.WriteFile(s.path("backup_label"), []byte(b.label), 0o600)
}

// LeaveStaleMap leaves a tablespace_map as a lost session does.
func (s *Server) LeaveStaleMap() error {
	return os.WriteFile(s.path("tablespace_map"), []byte(s.mapText()), 0o600)
}
