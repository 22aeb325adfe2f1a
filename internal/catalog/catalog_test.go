package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

var ctx = context.Background()

// tree lists the names below dir with their modes.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		fmt.Fprintf(&b, "%v %s\n", fi.Mode(), rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func newCatalog(t *testing.T, sink event.Sink) (*Catalog, *Instance) {
	t.Helper()
	c := Open(fsx.OS(), filepath.Join(t.TempDir(), "b"), Options{Sink: sink, Location: time.UTC})
	if err := c.Init(); err != nil {
		t.Fatal(err)
	}
	cfg := NewConfig()
	cfg.SetSystemIdentifier(7)
	i, err := c.AddInstance(ctx, "n1", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c, i
}

func TestInit(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) *Catalog { return Open(fsx.OS(), filepath.Join(dir, name), Options{}) }
	if err := open("deep/er/b").Init(); err != nil {
		t.Fatal(err)
	}
	if got, want := tree(t, filepath.Join(dir, "deep/er/b")), "drwx------ .\ndrwx------ backups\ndrwx------ wal\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	if err := open("deep/er").Init(); err == nil {
		t.Error("a directory with something in it became a catalog")
	} else {
		wantText(t, err, "backup catalog already exist and it's not empty")
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := open("empty").Init(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantText(t, open("file").Init(), fmt.Sprintf(`cannot open backup catalog directory "%s/file": Not a directory`, dir))
	wantText(t, Open(fsx.OS(), "/proc/nope", Options{}).Init(), `cannot create directory "/proc/nope": No such file or directory`)
}

func TestInstances(t *testing.T) {
	var got collect
	c, i := newCatalog(t, &got)
	conf, err := os.ReadFile(i.ConfigPath())
	if err != nil || string(conf) != "# Backup instance information\nsystem-identifier = 7\n" {
		t.Errorf("%v\n%s", err, conf)
	}
	if _, err := c.AddInstance(ctx, "sp ace", NewConfig()); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"bad/name", "..", ".", "", "a\nb", strings.Repeat("x", 256)} {
		if _, err := c.AddInstance(ctx, name, NewConfig()); err == nil {
			t.Errorf("%q became an instance", name)
		}
		if _, err := c.Instance(name); err == nil {
			t.Errorf("%q was found", name)
		}
	}
	_, err = c.AddInstance(ctx, "n1", NewConfig())
	wantText(t, err, fmt.Sprintf("Instance 'n1' backup directory already exists: '%s'", i.Dir()))
	if err := os.Mkdir(filepath.Join(c.WALRoot(), "n2"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = c.AddInstance(ctx, "n2", NewConfig())
	wantText(t, err, fmt.Sprintf("Instance 'n2' WAL archive directory already exists: '%s/n2'", c.WALRoot()))

	list, err := c.Instances(ctx)
	if err != nil || len(list) != 2 || list[0].Name() != "n1" || list[1].Name() != "sp ace" {
		t.Error(list, err)
	}
	got.events = nil
	_, err = c.Instance("nosuch")
	wantText(t, err, "Instance 'nosuch' does not exist in this backup catalog")
	if want := (InstanceInaccessible{c.BackupsDir() + "/nosuch", "No such file or directory"}); len(got.events) != 1 || got.events[0] != want {
		t.Error(got.events)
	}
	none := Open(fsx.OS(), "/nonexistent", Options{})
	_, err = none.Instances(ctx)
	wantText(t, err, `Cannot open directory "/nonexistent/backups": No such file or directory`)
	_, err = none.AddInstance(ctx, "n1", NewConfig())
	wantText(t, err, "Directory does not exist: '/nonexistent'")
}

func TestAddInstanceTakesBack(t *testing.T) {
	c, _ := newCatalog(t, nil)
	before := tree(t, c.Root())
	cfg := NewConfig()
	set(t, cfg, FromCommandLine, "restore-command", strings.Repeat("x", 2000))
	if _, err := c.AddInstance(ctx, "n2", cfg); err == nil {
		t.Error("an unreadable configuration was stored")
	}
	if after := tree(t, c.Root()); after != before {
		t.Errorf("left over:\n%s", after)
	}
}

func TestNewBackupDir(t *testing.T) {
	_, i := newCatalog(t, nil)
	start := time.Unix(1610361930, 0)
	first, err := i.NewBackupDir(start, ModeFull, 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := i.NewBackupDir(start, ModePtrack, 2)
	if err != nil || second.ID != first.ID+1 {
		t.Fatal(second, err)
	}
	want := `drwx------ .
drwx------ external_directories
drwx------ external_directories/externaldir1
drwx------ external_directories/externaldir2
drwx------ database
`
	for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
		if !strings.Contains(tree(t, second.Dir), line+"\n") {
			t.Errorf("no %q in\n%s", line, tree(t, second.Dir))
		}
	}
	if got := tree(t, first.Dir); got != "drwx------ .\ndrwx------ database\n" {
		t.Errorf("got\n%s", got)
	}
	if filepath.Base(first.Dir) != first.ID.String() || first.Status != StatusRunning {
		t.Errorf("%+v", first)
	}

	// A second that a merge has freed is not for a backup that builds upon
	// its result; a directory of another century is in nobody's way.
	if err := os.RemoveAll(first.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(i.Dir(), "ZZZZZZ"), 0o700); err != nil {
		t.Fatal(err)
	}
	third, err := i.NewBackupDir(start.Add(-time.Second), ModePtrack, 0)
	if err != nil || third.ID != second.ID+1 {
		t.Fatal(third, err)
	}
}

// TestGoldenListing lists the backups of golden 02 and some odd directories.
func TestGoldenListing(t *testing.T) {
	var got collect
	_, i := newCatalog(t, &got)
	for _, f := range goldenControls(t) {
		rest, ok := strings.CutPrefix(f.Name, "02_backups_catalog/backups/backups/n1/")
		if !ok {
			continue
		}
		path := filepath.Join(i.Dir(), rest)
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, f.Data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := i.Backups(ctx)
	if err != nil || len(got.events) != 0 {
		t.Fatal(err, got.events)
	}
	if names := fmt.Sprint(ids(list)); names != "[TOW9VJ TOW9VF TOW9VA TOW9V6 TOW9V2 TOW9UX TOW9UV]" {
		t.Fatal(names)
	}
	chain, err := list.ChainTo(list[0])
	if err != nil || fmt.Sprint(ids(chain)) != "[TOW9UX TOW9V2 TOW9V6 TOW9VA TOW9VF TOW9VJ]" {
		t.Error(ids(chain), err)
	}
	if d := list.Descendants(list.ByID(chain[3].ID)); fmt.Sprint(ids(d)) != "[TOW9VJ TOW9VF]" {
		t.Error(ids(d))
	}
	if kids := list.Children(chain[0]); fmt.Sprint(ids(kids)) != "[TOW9V2]" {
		t.Error(ids(kids))
	}
	if bad, err := list.BadAncestor(list[0]); bad != nil || err != nil {
		t.Error(bad, err)
	}
	var ce *ChainError
	if _, err := list.ChainTo(list[6]); !errors.As(err, &ce) || ce.Missing != 0 || ce.Broken != list[6].ID {
		t.Error("TOW9UV is a PTRACK without parent:", err)
	}

	// Odd directories and damaged control files.
	control, err := os.ReadFile(list[1].ControlPath())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"stray/x": "", ".hidden/backup.control": "", "TOW9W0/backup.control": "",
		"TOW9W1/backup.control": "garbage\n", "TOW9W2/backup.control": string(control),
		"TOW9VF.bak/backup.control": string(control), // a copy; C reads the name as TOW9VF, too
	} {
		path := filepath.Join(i.Dir(), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	list, err = i.Backups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []event.Event{
		IDMismatch{list[3].ID, i.Dir() + "/TOW9VF.bak/backup.control"},
		ControlUnreadable{i.Dir() + "/TOW9W0/backup.control", fmt.Sprintf(`Control file "%s/TOW9W0/backup.control" is empty`, i.Dir())},
		ControlUnreadable{i.Dir() + "/TOW9W1/backup.control", `Syntax error in "garbage"`},
		IDMismatch{list[3].ID, i.Dir() + "/TOW9W2/backup.control"},
		ControlUnreadable{i.Dir() + "/stray/backup.control", fmt.Sprintf(`Control file "%s/stray/backup.control" doesn't exist`, i.Dir())},
	}
	if fmt.Sprint(got.events) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got.events, want)
	}
	if names := fmt.Sprint(ids(list)); names != "[TOW9W1 TOW9W0 TOW9VJ TOW9VF TOW9VF TOW9VF TOW9VA TOW9V6 TOW9V2 TOW9UX TOW9UV STRAY]" {
		t.Error(names)
	}
	if b := list[0]; !b.Unreadable || b.Status != StatusUnknown || b.Mode.String() != "" || filepath.Base(b.Dir) != "TOW9W1" || b.CompressLevel != 1 {
		t.Errorf("%+v", b)
	}
}

func ids(l List) []ID {
	var out []ID
	for _, b := range l {
		out = append(out, b.ID)
	}
	return out
}

func TestBadChains(t *testing.T) {
	full := &Backup{ID: 10, Mode: ModeFull, Status: StatusOK}
	inc := &Backup{ID: 20, ParentID: 10, Mode: ModePtrack, Status: StatusCorrupt}
	leaf := &Backup{ID: 30, ParentID: 20, Mode: ModePtrack, Status: StatusOK}
	orphan := &Backup{ID: 40, ParentID: 35, Mode: ModePtrack, Status: StatusOK}
	loop := &Backup{ID: 50, ParentID: 60, Mode: ModePtrack, Status: StatusOK}
	pool := &Backup{ID: 60, ParentID: 50, Mode: ModePtrack, Status: StatusOK}
	self := &Backup{ID: 70, ParentID: 70, Mode: ModePtrack, Status: StatusOK}
	list := List{self, pool, loop, orphan, leaf, inc, full}

	if bad, err := list.BadAncestor(leaf); bad != inc || err != nil {
		t.Error(bad, err)
	}
	if bad, err := list.BadAncestor(inc); bad != nil || err != nil {
		t.Error(bad, err)
	}
	for b, missing := range map[*Backup]ID{orphan: 35, loop: 60, pool: 50, self: 70} {
		var ce *ChainError
		if _, err := list.ChainTo(b); !errors.As(err, &ce) || ce.Of != b.ID {
			t.Errorf("%s: %v", b.ID, err)
		}
		if _, err := list.BadAncestor(b); !errors.As(err, &ce) || ce.Of != b.ID {
			t.Errorf("%s: %v, parent %s", b.ID, err, missing)
		}
	}
	if d := list.Descendants(full); len(d) != 2 || d[0] != leaf || d[1] != inc {
		t.Error(ids(d))
	}
	if d := list.Descendants(loop); len(d) != 1 {
		t.Error(ids(d))
	}
}

func TestUpdateControl(t *testing.T) {
	_, i := newCatalog(t, nil)
	b, err := i.NewBackupDir(time.Unix(1610361930, 0), ModeFull, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.SaveControl(b); err != nil {
		t.Fatal(err)
	}
	other := *b
	if err := i.UpdateControl(&other, func(b *Backup) { b.Note = "from another command" }); err != nil {
		t.Fatal(err)
	}
	if err := i.SetStatus(b, StatusOK); err != nil || b.Note == "" || b.Status != StatusOK {
		t.Errorf("%+v %v", b, err)
	}
	list, err := i.Backups(ctx)
	if err != nil || len(list) != 1 || *list[0] != *b {
		t.Errorf("%+v %v", list, err)
	}
}

func TestRemoveInstance(t *testing.T) {
	var got collect
	c, i := newCatalog(t, &got)
	for n := range 3 {
		b, err := i.NewBackupDir(time.Unix(1610361930+int64(n), 0), ModeFull, 1)
		if err != nil {
			t.Fatal(err)
		}
		if n == 2 { // without control file
			continue
		}
		if err := errors.Join(i.SaveControl(b), os.WriteFile(b.DatabaseDir()+"/x", []byte("x"), 0o400)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(i.WALDir()+"/000000010000000000000001", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := i.Backups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stray := i.Dir() + "/notes"
	if err := os.MkdirAll(stray+"/diary", 0o700); err != nil {
		t.Fatal(err)
	}
	wantText(t, c.RemoveInstance(ctx, i), fmt.Sprintf("Directory \"%s\" is not a backup", stray))
	if err := os.RemoveAll(stray); err != nil {
		t.Fatal(err)
	}
	before := tree(t, c.Root())
	other := lock.New(fsx.OS(), event.Discard)
	k, err := LockBackup(ctx, other, list[2], lock.Intent{})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, c.RemoveInstance(ctx, i), fmt.Sprintf("Cannot lock backup %s directory", list[2].ID))
	if err := k.Release(); err != nil {
		t.Fatal(err)
	}
	if after := tree(t, c.Root()); after != before {
		t.Errorf("a refused removal changed\n%sto\n%s", before, after)
	}
	got.events = nil
	if err := c.RemoveInstance(ctx, i); err != nil {
		t.Fatal(err)
	}
	var deleted []ID
	for _, e := range got.events {
		if d, ok := e.(Deleting); ok {
			deleted = append(deleted, d.Backup.ID)
		}
	}
	if fmt.Sprint(deleted) != fmt.Sprint(ids(list)) {
		t.Errorf("deleted %v of %v", deleted, ids(list))
	}
	if got := tree(t, c.Root()); got != "drwx------ .\ndrwx------ backups\ndrwx------ wal\n" {
		t.Errorf("left\n%s", got)
	}
}

// TestExternals: the C tool records what it was given and takes it apart by
// strtok and canonicalize_path.
func TestExternals(t *testing.T) {
	for list, want := range map[string][]string{
		"":                      nil,
		":":                     nil,
		"/a":                    {"/a"},
		"/a/":                   {"/a"},
		":/a::/b//c/.:/d/e/../": {"/a", "/b/c", "/d"},
		"/with blank:/it's":     {"/with blank", "/it's"},
	} {
		b := Backup{ExternalDirs: list}
		if got := b.Externals(); !slices.Equal(got, want) {
			t.Errorf("%q: %q", list, got)
		}
	}
}
