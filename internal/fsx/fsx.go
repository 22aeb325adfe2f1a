// Package fsx is the only way this program touches files.
//
// It owns a small file-system interface, its operating-system implementation,
// durable create/rename helpers, sparse-file and write-back hints, and the
// doubles that tests use to inject faults (fsx/faultfs) and to lose unsynced
// data (fsx/crashfs). It knows nothing of catalogs or data directories.
//
// Durability rule: a file counts as durable after its own Sync, the rename
// that gives it its name, and SyncDir of the directory holding the name.
package fsx

import (
	"io"
	"io/fs"
)

// FS is the set of file operations the program needs. Names are absolute or
// relative operating-system paths. Errors are *fs.PathError or
// *os.LinkError with the syscall error inside.
type FS interface {
	Open(name string) (File, error) // read only
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(oldName, newName string) error
	Remove(name string) error
	Link(oldName, newName string) error
	Symlink(target, name string) error
	Readlink(name string) (string, error)
	Chmod(name string, mode fs.FileMode) error
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error) // sorted by name
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// Statfs tells the space of the file system holding name.
	Statfs(name string) (Space, error)
}

// Chowner is implemented by file systems where files have owners that can be
// changed. A symbolic link is changed itself, not followed.
type Chowner interface {
	Lchown(name string, uid, gid int) error
}

// Space describes a file system. All sizes are in bytes.
type Space struct {
	BlockSize   int64
	Blocks      int64 // total, in blocks
	BlocksFree  int64 // free for root, in blocks
	BlocksAvail int64 // free for others, in blocks
	Files       int64
	FilesFree   int64
}

// Avail is the number of bytes an ordinary user may still write.
func (s Space) Avail() int64 { return s.BlocksAvail * s.BlockSize }

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	Chmod(mode fs.FileMode) error
	// StartWriteback asks the kernel to begin writing the range to disk
	// without waiting. It is a hint: errors are ignored by callers and it
	// gives no durability. length 0 means to the end of the file.
	StartWriteback(off, length int64) error
	// NextData returns the next extent [start,end) at or after off that may
	// hold data; io.EOF when only a hole is left. File systems without
	// SEEK_DATA report the whole rest of the file as data.
	NextData(off int64) (start, end int64, err error)
}
