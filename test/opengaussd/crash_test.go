package opengaussd

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gsprobackup/internal/backup"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/remove"
	"gsprobackup/internal/server"
	"gsprobackup/internal/validate"
)

// allSteps makes TestBackupFailsAtEveryStep take its name literally.
var allSteps = flag.Bool("allsteps", false, "fail at every step, not at some")

// memory is a catalog in memory for the cluster of a world.
type memory struct {
	*world
	t  *testing.T
	fs fsx.FS
}

const memoryRoot = "/catalog"

func (m memory) catalog() *catalog.Catalog {
	return catalog.Open(m.fs, memoryRoot, catalog.Options{Location: time.UTC, Sink: event.Discard})
}

func (m memory) instance() *catalog.Instance {
	m.t.Helper()
	inst, err := m.catalog().Instance("n1")
	if err != nil {
		m.t.Fatal(err)
	}
	return inst
}

func (m memory) list(what string) catalog.List {
	m.t.Helper()
	list, err := m.instance().Backups(context.Background())
	if err != nil {
		m.t.Fatalf("%s: %v", what, err)
	}
	return list
}

// take takes a backup.
func (m memory) take(mode catalog.Mode) error {
	inst, err := m.catalog().Instance("n1")
	if err != nil {
		return err
	}
	_, err = backup.Run(context.Background(), backup.Deps{
		FS: m.fs, Host: remote.Local(fsx.OS()),
		Connect: func(ctx context.Context) (*server.Conn, error) { return server.Connect(ctx, m.options()) },
	}, backup.Options{
		Instance: inst, CatalogRoot: memoryRoot, Mode: mode, PGData: m.cluster.Dir(), SystemID: m.cluster.SystemID(),
		Algorithm: compress.Zlib, Level: 1, Threads: 2, ArchiveTimeout: 10 * time.Second,
	})
	return err
}

// sound validates a backup.
func (m memory) sound(what string, b *catalog.Backup) {
	m.t.Helper()
	deps := validate.Deps{FS: m.fs, Instance: m.instance(), Sink: event.Discard}
	err := validate.Files(context.Background(), deps, b, validate.Options{Threads: 2})
	if err != nil || b.Status != catalog.StatusOK {
		m.t.Errorf("%s: backup %s is %s, %v", what, b.ID, b.Status, err)
	}
}

// Whatever step of a backup fails, or is the last one before the process or
// the machine dies: what was good before still is, a backup that counts is
// whole, another attempt succeeds, and deleting the rest leaves nothing.
func TestBackupFailsAtEveryStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	template := crashfs.New()
	m := memory{w, t, template}
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
	template.SyncAll()
	if err := w.cluster.Mutate(1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		fault  faultfs.Fault
		points int // about how many steps are tried
	}{
		{"crash", faultfs.Fault{Sticky: true, Err: crashfs.ErrCrashed}, 9},
		{"ENOSPC", faultfs.Fault{Err: syscall.ENOSPC}, 6},
		{"EIO", faultfs.Fault{Err: syscall.EIO}, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			steps := 0
			for n := 1; ; {
				mem := template.AfterCrash(crashfs.Best)
				faulty := faultfs.New(mem)
				fault := tt.fault
				fault.Nth = n
				if steps == 0 && !*allSteps {
					fault.Nth = 1 << 30 // how many there are
				}
				faulty.Inject(fault)
				err := memory{w, t, faulty}.take(catalog.ModePtrack)
				ops := faulty.Ops()
				if len(ops) < n || fault.Nth == 1<<30 {
					if err != nil {
						t.Fatal(err)
					}
					if steps > 0 || *allSteps {
						t.Logf("%d steps", len(ops))
						return
					}
					steps = len(ops)
					n = 1 + rand.IntN(steps/tt.points)
					continue
				}
				what := fmt.Sprintf("step %d of %s: %v", n, ops[n-1], err)
				after := []*crashfs.FS{mem}
				if tt.name == "crash" {
					after = []*crashfs.FS{mem.AfterCrash(crashfs.Worst), mem, mem.AfterCrash(rand.New(rand.NewPCG(uint64(n), 0)).IntN)}
				}
				for i, f := range after {
					memory{w, t, f}.recover(what, i == 0)
				}
				if t.Failed() {
					return
				}
				if *allSteps {
					n++
				} else {
					n += 1 + rand.IntN(2*steps/tt.points)
				}
			}
		})
	}
}

// recover looks at what a disturbed increment has left.
func (m memory) recover(what string, again bool) {
	m.t.Helper()
	ctx := context.Background()
	var good []string
	for _, b := range m.list(what) {
		if b.Status.Usable() {
			m.sound(what, b)
			good = append(good, b.ID.String())
		}
	}
	list := m.list(what)
	if full := list[len(list)-1]; full.Mode != catalog.ModeFull || full.Status != catalog.StatusOK {
		m.t.Errorf("%s: the FULL is %s", what, full.Status)
	}
	if again {
		if err := m.take(catalog.ModePtrack); err != nil {
			m.t.Errorf("%s: next backup: %v", what, err)
		} else {
			b := m.list(what)[0]
			m.sound(what, b)
			good = append(good, b.ID.String())
		}
	}
	deps := remove.Deps{Instance: m.instance(), Sink: event.Discard, Now: func() time.Time { return time.Now().Add(time.Hour) }}
	for _, b := range m.list(what) {
		if !b.Status.Usable() {
			if err := remove.Backup(ctx, deps, remove.Options{ID: b.ID}); err != nil && !strings.Contains(err.Error(), "Failed to find") {
				m.t.Errorf("%s: delete %s (%s): %v", what, b.ID, b.Status, err)
			}
		}
	}
	entries, err := m.fs.ReadDir(filepath.Join(memoryRoot, "backups", "n1"))
	if err != nil || len(entries) != len(good)+1 { // and the configuration
		m.t.Errorf("%s: left over beside %v: %v, %v", what, good, entries, err)
	}
	for _, id := range good { // nothing unfinished lies about in a good one
		list, err := m.fs.ReadDir(filepath.Join(memoryRoot, "backups", "n1", id))
		if err != nil {
			m.t.Errorf("%s: %v", what, err)
		}
		for _, d := range list {
			if strings.HasSuffix(d.Name(), ".tmp") {
				m.t.Errorf("%s: %s is left in backup %s", what, d.Name(), id)
			}
		}
	}
}
