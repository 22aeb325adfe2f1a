package replay

import (
	"io/fs"

	"gsprobackup/internal/fsx"
)

// fastFS does not sync: nobody loses power here, and hundreds of commands sync
// thousands of files.
type fastFS struct{ fsx.FS }

func (f fastFS) Open(name string) (fsx.File, error) { return fast(name)(f.FS.Open(name)) }

func (f fastFS) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	return fast(name)(f.FS.OpenFile(name, flag, perm))
}

func (fastFS) SyncDir(string) error { return nil }

func fast(name string) func(fsx.File, error) (fsx.File, error) {
	return func(f fsx.File, err error) (fsx.File, error) {
		if err != nil {
			return nil, err
		}
		return fastFile{f, name}, nil
	}
}

type fastFile struct {
	fsx.File
	name string
}

// Name is the machine's name of the file, not the real one.
func (f fastFile) Name() string { return f.name }

func (fastFile) Sync() error { return nil }

func (fastFile) StartWriteback(int64, int64) error { return nil }
