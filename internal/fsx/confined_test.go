package fsx_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"gsprobackup/internal/fsx"
)

// prison is a served directory beside a secret one, with links between them.
type prison struct {
	root, secret, other string
	files               *fsx.Confined
}

func newPrison(t *testing.T, opts fsx.ConfineOptions) prison {
	t.Helper()
	dir := t.TempDir()
	p := prison{root: filepath.Join(dir, "root"), secret: filepath.Join(dir, "secret"), other: filepath.Join(dir, "other")}
	for _, d := range []string{p.root + "/sub", p.secret + "/deep", p.other} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{p.root + "/in", p.root + "/sub/in", p.secret + "/key", p.secret + "/deep/key", p.other + "/in"} {
		if err := os.WriteFile(f, []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"out": p.secret, "outfile": p.secret + "/key", "up": "../secret", "sub/up": "../../secret/key", "self": "self",
		"twice": "out", "inside": "sub", "absolute": p.root + "/sub", "toother": p.other, "fd": "/proc/self/root" + p.secret,
		"above": "..",
	} {
		if err := os.Symlink(target, filepath.Join(p.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.files = fsx.NewConfined(opts)
	t.Cleanup(func() { p.files.Close() })
	for _, d := range []string{p.root, p.other} {
		if err := p.files.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Nothing leads to the secret, by whatever operation.
func TestConfinedRefuses(t *testing.T) {
	p := newPrison(t, fsx.ConfineOptions{})
	f := p.files
	for _, name := range []string{
		p.secret, p.secret + "/key", p.root + "/../secret/key", p.root + "/sub/../../secret/key", "relative", "", "/etc/passwd",
		p.root + "/out/key", p.root + "/outfile", p.root + "/up/key", p.root + "/sub/up", p.root + "/twice/deep/key", p.root + "/fd/key",
		p.root + "/above/secret/key", p.root + "x", p.root + "/inside/../../secret/key",
	} {
		checks := map[string]error{
			"SyncDir": f.SyncDir(name), "Chmod": f.Chmod(name, 0o777), "Mkdir": f.Mkdir(name+"/new", 0o700),
			"Rename to": f.Rename(p.root+"/in", name+"/new"), "Rename from": f.Rename(name+"/key", p.root+"/stolen"),
			"Link": f.Link(name+"/key", p.root+"/stolen"), "Symlink": f.Symlink(p.root, name+"/new"),
			"Remove": f.Remove(name + "/key"),
		}
		_, checks["Open"] = f.Open(name)
		_, checks["OpenFile"] = f.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		_, checks["Stat"] = f.Stat(name)
		_, checks["ReadDir"] = f.ReadDir(name)
		_, checks["Statfs"] = f.Statfs(name)
		for op, err := range checks {
			if err == nil {
				t.Errorf("%s %q went through", op, name)
			}
		}
		if _, err := f.Open(name); !errors.Is(err, fsx.ErrOutside) {
			t.Errorf("Open %q: %v", name, err)
		}
	}
	for _, target := range []string{p.secret, "../../secret", "/"} {
		if err := f.Symlink(target, p.root+"/sub/new"); !errors.Is(err, fsx.ErrOutside) {
			t.Errorf("Symlink to %s: %v", target, err)
		}
	}
	if _, err := f.Open(p.root + "/self"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link to itself: %v", err)
	}
	for _, name := range []string{"key", "deep/key"} {
		want := filepath.Join(p.secret, name)
		if got, err := os.ReadFile(want); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if list, err := os.ReadDir(p.secret); len(list) != 2 || err != nil {
		t.Errorf("the secret directory has %v, %v", list, err)
	}
}

// Links inside a root, and from one to another, are followed.
func TestConfinedFollows(t *testing.T) {
	p := newPrison(t, fsx.ConfineOptions{})
	for name, want := range map[string]string{
		"in": p.root + "/in", "inside/in": p.root + "/sub/in", "absolute/in": p.root + "/sub/in", "toother/in": p.other + "/in",
		"sub/../in": p.root + "/in",
	} {
		f, err := p.files.Open(p.root + "/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := io.ReadAll(f); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		f.Close()
	}
	if fi, err := p.files.Lstat(p.root + "/out"); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link itself: %v", err)
	}
	if target, err := p.files.Readlink(p.root + "/out"); target != p.secret || err != nil {
		t.Errorf("Readlink: %s, %v", target, err)
	}
	if err := p.files.Remove(p.root + "/out"); err != nil {
		t.Error(err)
	}
	if _, err := p.files.OpenFile(p.root+"/outfile", os.O_RDONLY|fsx.NoFollow, 0); err == nil {
		t.Error("NoFollow followed")
	}
}

// What a trusted link leads to is served, nothing beside it.
func TestConfinedTrust(t *testing.T) {
	trust := func(_, _, name string) bool { return name == "outfile" || name == "toother" }
	p := newPrison(t, fsx.ConfineOptions{TrustLinks: trust})
	for range 2 {
		if _, err := p.files.Open(p.root + "/outfile"); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.files.Open(p.secret + "/deep/key"); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("beside a trusted file: %v", err)
	}
	if err := os.Symlink(p.secret+"/deep", p.root+"/trusted"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.files.Open(p.root + "/trusted/key"); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("a link that is not trusted: %v", err)
	}
}

func TestConfinedReadOnly(t *testing.T) {
	p := newPrison(t, fsx.ConfineOptions{ReadOnly: true})
	f := p.files
	_, err := f.OpenFile(p.root+"/in", os.O_WRONLY, 0)
	for i, err := range []error{
		err, f.Mkdir(p.root+"/new", 0o700), f.Remove(p.root + "/in"), f.Rename(p.root+"/in", p.root+"/on"), f.Chmod(p.root+"/in", 0o777),
		f.Symlink(p.root, p.root+"/new"), f.Link(p.root+"/in", p.root+"/new"),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if _, err := f.Open(p.root + "/in"); err != nil {
		t.Error(err)
	}
}

// A directory that turns into a link while it is used leads nowhere.
func TestConfinedRace(t *testing.T) {
	p := newPrison(t, fsx.ConfineOptions{})
	swing := filepath.Join(p.root, "swing")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Remove(swing)
			if i%2 == 0 {
				_ = os.Symlink("../secret", swing)
			} else {
				_ = os.Symlink("sub", swing)
			}
		}
	})
	opened := 0
	for range 3000 {
		if f, err := p.files.Open(swing + "/key"); err == nil {
			t.Errorf("opened %s", f.Name())
			f.Close()
		}
		if f, err := p.files.Open(swing + "/in"); err == nil {
			opened++
			f.Close()
		}
	}
	close(stop)
	wg.Wait()
	if opened == 0 {
		t.Error("never opened what it may open")
	}
}

// A root is made with its parents, and nothing else above it.
func TestConfinedMakesRoots(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "a/b/c")
	f := fsx.NewConfined(fsx.ConfineOptions{})
	defer f.Close()
	if err := f.Add(root); err != nil {
		t.Fatal(err)
	}
	if err := fsx.MkdirAll(f, root, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Mkdir(filepath.Join(dir, "a/x"), 0o700); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("beside the root: %v", err)
	}
	if err := f.Chmod(dir, 0o777); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("a directory above that was there: %v", err)
	}
	if _, err := f.ReadDir(filepath.Join(dir, "a")); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("list above: %v", err)
	}
	for _, d := range []string{dir, filepath.Join(dir, "a")} {
		if _, err := f.Stat(d); err != nil {
			t.Error(err)
		}
		if err := f.SyncDir(d); err != nil {
			t.Error(err)
		}
	}
	if err := f.Add("relative"); !errors.Is(err, fsx.ErrOutside) {
		t.Errorf("relative root: %v", err)
	}
}
