package remote

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"gsprobackup/internal/fsx"
)

// ownedFS says that all directories belong to user 77 of group 88, and notes
// what is given to whom.
type ownedFS struct {
	fsx.FS
	given []string
}

func (f *ownedFS) Stat(name string) (fs.FileInfo, error) {
	fi, err := f.FS.Stat(name)
	return ownedInfo{fi}, err
}

func (f *ownedFS) Lchown(name string, uid, gid int) error {
	if uid != 77 || gid != 88 {
		return os.ErrInvalid
	}
	f.given = append(f.given, filepath.Base(name))
	return nil
}

type ownedInfo struct{ fs.FileInfo }

func (ownedInfo) Sys() any { return &syscall.Stat_t{Uid: 77, Gid: 88} }

func TestAdopt(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	mustWrite(t, at("old"), "x")
	owned := &ownedFS{FS: fsx.OS()}
	host := &local{fs: owned, adopts: true}
	for _, err := range []error{
		host.MkdirAll(ctx, at("a/b"), 0o700), host.MkdirAll(ctx, at("a/b"), 0o700), host.Symlink(ctx, "/x", at("link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"new", "new", "old"} {
		f, err := host.CreateFile(ctx, at(name), CreateOptions{Mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a", "b", "link", "new"}; !slices.Equal(owned.given, want) {
		t.Errorf("given away: %v, want %v", owned.given, want)
	}
	host.adopts = false
	if err := host.Mkdir(ctx, at("other"), 0o700); err != nil || len(owned.given) != 4 {
		t.Errorf("an ordinary user gave away %v, %v", owned.given, err)
	}
}
