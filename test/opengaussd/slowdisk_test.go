package opengaussd

import (
	"context"
	"slices"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
)

// slowSync is a catalog whose disk takes its time for the names of files as
// long as the replication connection is not streaming.
type slowSync struct {
	fsx.FS
	srv  *Server
	wait time.Duration
}

func (s slowSync) SyncDir(name string) error {
	if said := s.srv.Statements(); slices.Contains(said, "IDENTIFY_SYSTEM") &&
		!slices.ContainsFunc(said, startReplication.MatchString) {
		time.Sleep(s.wait)
	}
	return s.FS.SyncDir(name)
}

// Between the replication commands a walsender waits no longer than its
// time-out, however slow the catalog's disk is.
func TestSlowDiskBeforeTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{SenderTimeout: 2 * time.Second})
	m := memory{w, t, slowSync{crashfs.New(), w.srv, 3 * time.Second}}
	if err := m.catalog().Init(); err != nil {
		t.Fatal(err)
	}
	cfg := catalog.NewConfig()
	cfg.SetSystemIdentifier(w.cluster.SystemID())
	if _, err := m.catalog().AddInstance(context.Background(), "n1", cfg); err != nil {
		t.Fatal(err)
	}
	if err := m.take(catalog.ModeFull); err != nil {
		t.Fatal(err)
	}
}
