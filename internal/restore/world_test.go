package restore_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/test/checker"
	"gsprobackup/test/golden"
)

// world is a small catalog of the C tool, a place to restore to, and what was
// said.
type world struct {
	t      *testing.T
	m      golden.Machine
	c      golden.Catalog
	target checker.Target

	mu     sync.Mutex
	events []event.Event
}

const pgdata = "/home/omm/restored"

func newWorld(t *testing.T, name string) *world {
	t.Helper()
	m, c := golden.Start(t, name)
	return &world{t: t, m: m, c: c, target: checker.Target{Dir: pgdata, Root: m.Dir}}
}

func (w *world) Emit(e event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// recordedMappings are those of golden 03_restore.
func (w *world) recordedMappings() {
	w.target.Tablespaces = map[string]string{"/home/omm/ts1": "/home/omm/ts1_r"}
	w.target.Externals = map[string]string{"/home/omm/ext1": "/home/omm/ext1_r"}
}

func (w *world) instance() *catalog.Instance { return w.instanceOn(w.m.FS()) }

func (w *world) instanceOn(fsys fsx.FS) *catalog.Instance {
	w.t.Helper()
	inst, err := catalog.Open(fsys, w.c.Dir, catalog.Options{Sink: w}).Instance(w.c.Instance)
	w.must(err)
	return inst
}

// options restore a backup to the target; no ID means the newest.
func (w *world) options(id string) restore.Options {
	w.t.Helper()
	inst := w.instance()
	cfg := catalog.NewConfig()
	w.must(inst.LoadConfig(cfg))
	opts := restore.Options{Instance: inst, SystemID: cfg.SystemIdentifier, PGData: w.target.Dir, Threads: 2, NoSync: true, SkipExternal: w.target.SkipExternals}
	if id != "" {
		var err error
		opts.BackupID, err = catalog.ParseID(id)
		w.must(err)
	}
	for from, to := range w.target.Tablespaces {
		opts.Tablespaces = append(opts.Tablespaces, restore.Mapping{Old: from, New: to})
	}
	for from, to := range w.target.Externals {
		opts.Externals = append(opts.Externals, restore.Mapping{Old: from, New: to})
	}
	return opts
}

func (w *world) run(opts restore.Options) error {
	deps := restore.Deps{FS: w.m.FS(), Host: remote.Local(w.m.FS()), Sink: w}
	return restore.Run(context.Background(), deps, opts)
}

// compare expects the tree of a backup at the target.
func (w *world) compare(id string) checker.TreeStats {
	w.t.Helper()
	var chain []string
	for _, member := range w.c.Backups[:slices.Index(w.c.Backups, id)+1] {
		chain = append(chain, w.m.Path(w.c.BackupDir(member)))
	}
	diffs, stats, err := checker.CompareTree(chain, w.target)
	w.must(err)
	for _, d := range golden.Unexpected(diffs) {
		w.t.Error(d)
	}
	return stats
}

// path is the real place of a file in a backup's directory.
func (w *world) path(id, rel string) string { return w.m.Path(w.c.BackupDir(id) + "/" + rel) }

func (w *world) setStatus(id, status string) { w.setControl(id, "status", status) }

// setControl changes a value of a control file.
func (w *world) setControl(id, key, value string) {
	w.t.Helper()
	name := w.path(id, "backup.control")
	raw, err := os.ReadFile(name)
	w.must(err)
	before, rest, ok := strings.Cut(string(raw), "\n"+key+" = ")
	if !ok {
		w.t.Fatalf("%s has no %s", name, key)
	}
	_, rest, _ = strings.Cut(rest, "\n")
	w.must(os.WriteFile(name, []byte(before+"\n"+key+" = "+value+"\n"+rest), 0o600))
}

// editList changes one text of the list and lets the control file know its CRC.
func (w *world) editList(id, old, new string) {
	w.t.Helper()
	name := w.path(id, "backup_content.control")
	raw, err := os.ReadFile(name)
	w.must(err)
	if strings.Count(string(raw), old) != 1 {
		w.t.Fatalf("%q is in the list %d times", old, strings.Count(string(raw), old))
	}
	raw = []byte(strings.Replace(string(raw), old, new, 1))
	w.must(os.WriteFile(name, raw, 0o600))
	w.setControl(id, "content-crc", fmt.Sprint(crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli))))
}

// flip turns one bit of a stored file.
func (w *world) flip(id, rel string, at int) {
	w.t.Helper()
	raw, err := os.ReadFile(w.path(id, rel))
	w.must(err)
	raw[at] ^= 0x10
	w.must(os.WriteFile(w.path(id, rel), raw, 0o600))
}

// hold locks a backup for a process that lives and is ours, as another run
// would be.
func (w *world) hold(id string) {
	w.t.Helper()
	cmd := exec.Command("cat") // until its input ends
	in, err := cmd.StdinPipe()
	w.must(err)
	w.must(cmd.Start())
	w.t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			w.t.Error(err)
		}
	})
	w.must(os.WriteFile(w.path(id, "backup.pid"), fmt.Appendf(nil, "%d\n", cmd.Process.Pid), 0o600))
}

// put makes a file on the machine.
func (w *world) put(name string) {
	w.t.Helper()
	w.must(os.MkdirAll(w.m.Path(name[:strings.LastIndexByte(name, '/')]), 0o700))
	w.must(os.WriteFile(w.m.Path(name), []byte("x"), 0o600))
}

func (w *world) statuses() string {
	w.t.Helper()
	list, err := w.instance().Backups(context.Background())
	w.must(err)
	var out []string
	for _, b := range slices.Backward(list) {
		out = append(out, b.Status.String())
	}
	return strings.Join(out, " ")
}

func (w *world) exists(name string) bool {
	_, err := os.Lstat(w.m.Path(name))
	return err == nil
}
