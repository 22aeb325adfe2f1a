// Package remote is the host of a data directory: everything backup and
// restore do to the server's files goes through its Host interface.
//
// It owns the interface and Local, the implementation for files of this
// machine, with the page reader (large reads, page checks, re-reading of torn
// pages, compression) and the page writer (decompression, large writes). It
// leaves the choice of files and runs, their order and the catalog's side to
// pagecopy and restore, the meaning of names to pgdata.
//
// The interface is made to be carried over a pipe (SSH agent): requests and
// answers are plain data, file content travels in runs of about 1 MiB, nothing
// needs a second round trip per page, and per-worker objects (Reader, Writer)
// hold whatever state a stream of requests needs. So page checks and
// compression run at the data's side and only stored frames cross the pipe.
//
// All paths are absolute paths on the host. Methods stop early when ctx ends
// and then return its cause. Host and its methods are safe for concurrent use;
// a Reader, Writer or FileWriter belongs to one goroutine.
package remote

import (
	"context"
	"errors"
	"time"
)

// ErrVanished is inside the error for a source file that is gone, which is
// normal while a server runs.
var ErrVanished = errors.New("file vanished")

// Host is a machine with a data directory.
type Host interface {
	// Admit names directories the work is about, before anything in them is
	// touched; they need not exist. Other hosts than the own machine refuse
	// every path that is not in one of them, but for the tablespaces of a
	// data directory.
	Admit(ctx context.Context, dirs ...string) error
	Source
	Target
	// Close ends the connection; readers and writers are closed before.
	Close() error
}

// Source is what a backup needs.
type Source interface {
	// List walks a tree, see ListRequest. fn is called from one goroutine;
	// its error ends the walk and is returned.
	List(ctx context.Context, req ListRequest, fn func(FileInfo) error) error
	// Stat describes a file or directory, following symbolic links. Path is
	// empty in the result.
	Stat(ctx context.Context, path string) (FileInfo, error)
	// ReadFile reads a small file of at most max bytes; a longer one is an
	// error with fsx.ErrTooLarge inside.
	ReadFile(ctx context.Context, path string, max int64) ([]byte, error)
	// ReadAt reads n bytes of a file, fewer at its end, and tells its size.
	ReadAt(ctx context.Context, path string, off int64, n int) (b []byte, size int64, err error)
	// CompressedInfo describes a row-compressed relation file. Damage is a
	// *pgdata.CorruptionError.
	CompressedInfo(ctx context.Context, path string) (CompressedInfo, error)
	// NewReader makes the reading end of one worker.
	NewReader() (Reader, error)
}

// Reader reads file content for one worker. It keeps the file it read last
// open, its buffers (about 1 MiB) and its codec.
type Reader interface {
	// ReadRun reads, checks and packs some pages of a data file. A page that
	// stays bad is a *usererr.Error in the C tool's words with a
	// *pgdata.CorruptionError inside. run is overwritten; its memory is
	// reused.
	ReadRun(ctx context.Context, req *RunRequest, run *Run) error
	// CopyFile hands a whole file to sink, in order, and returns what the
	// file was when it was opened. The content may change meanwhile; sink
	// sees every offset once.
	CopyFile(ctx context.Context, req CopyRequest, sink FileSink) (FileInfo, error)
	// Checksum is the CRC32C and the length of a file's content.
	Checksum(ctx context.Context, path string) (crc uint32, size int64, err error)
	// FileSums is the sum of the content of each file, in the order of
	// paths. It takes many files at a time because most are small.
	FileSums(ctx context.Context, paths []string) ([]FileSum, error)
	// PageSums tells what a comparison with a backup needs to know of the
	// pages of a file. Bad pages are no error: they are described as bad.
	// sums is overwritten; its memory is reused.
	PageSums(ctx context.Context, req *SumRequest, sums *PageSums) error
	Close() error
}

// FileSink receives the content of a file from its start to its end.
type FileSink interface {
	// Data is the next bytes; p is valid during the call only.
	Data(p []byte) error
	// Hole is the next n > 0 bytes, all zero and taking no space on disk.
	Hole(n int64) error
}

// Target is what a restore needs.
type Target interface {
	// Mkdir makes one directory with exactly this mode (permission bits).
	// An existing directory is not an error and keeps its mode.
	Mkdir(ctx context.Context, path string, mode uint32) error
	// MkdirAll is Mkdir for a path whose parents may be missing, too.
	MkdirAll(ctx context.Context, path string, mode uint32) error
	Symlink(ctx context.Context, target, path string) error
	Readlink(ctx context.Context, path string) (string, error)
	Chmod(ctx context.Context, path string, mode uint32) error
	Rename(ctx context.Context, oldPath, newPath string) error
	// Remove removes a file, a link or an empty directory. A missing one is
	// not an error.
	Remove(ctx context.Context, path string) error
	// RemoveAll is Remove for each path in turn and ends at the first error.
	RemoveAll(ctx context.Context, paths []string) error
	// SyncFile and SyncDir make content, and the names in a directory,
	// durable.
	SyncFile(ctx context.Context, path string) error
	SyncDir(ctx context.Context, path string) error
	// Volume describes the file system that path is on or would be made on:
	// that of the nearest parent that exists.
	Volume(ctx context.Context, path string) (Volume, error)
	// Alive tells whether a process with this number runs, whoever's it is.
	Alive(ctx context.Context, pid int) (bool, error)
	// CreateFile opens a file for writing; see CreateOptions.
	CreateFile(ctx context.Context, path string, opts CreateOptions) (FileWriter, error)
	// NewWriter makes the page-writing end of one worker.
	NewWriter() (Writer, error)
}

// Writer writes pages into data files for one worker. It keeps the file it
// wrote last open, its buffers (about 1 MiB) and its codecs.
type Writer interface {
	// WriteRun unpacks stored frames and writes each page at its place. The
	// file must exist; the range between pages is not touched.
	WriteRun(ctx context.Context, req *WriteRequest) error
	// Close closes the file. Errors of earlier writes that the system told
	// only now are returned. Content is durable after Target.SyncFile.
	Close() error
}

// CreateOptions say how CreateFile opens a file.
type CreateOptions struct {
	Mode uint32 // permission bits, set exactly: the umask does not apply
	// Keep leaves the content of an existing file, where Data and Truncate do
	// not change it: a Hole of the FileWriter then is what was there before.
	// Otherwise the file is emptied.
	Keep bool
}

// Volume is a file system.
type Volume struct {
	ID    uint64 // the same for two paths on one file system
	Avail int64  // bytes an ordinary user may still write
}

// FileWriter writes a plain file from its start to its end, or only manages a
// data file whose pages Writers write.
type FileWriter interface {
	FileSink
	// Truncate sets the length of the file and goes on at its end.
	Truncate(size int64) error
	Sync() error
	Close() error
}

// ListRequest describes a walk.
type ListRequest struct {
	Root string
	// FollowLinks lists a symbolic link as what it points to, with
	// LinkTarget set, and descends into linked directories. A link without
	// a target is listed as KindSymlink. A directory inside itself ends the
	// walk with an error.
	FollowLinks bool
	// Prune are directories, relative to Root, that are listed without
	// their content.
	Prune []string
	// PruneHidden does so for each directory whose name starts with a dot.
	PruneHidden bool
}

// Kind is the kind of a directory entry.
type Kind uint8

// The kinds. KindOther is a socket, fifo or device.
const (
	KindFile Kind = iota
	KindDir
	KindSymlink
	KindOther
)

// FileInfo is one entry of a walk. Entries come sorted by name inside each
// directory, a directory before its content; Root itself is not listed.
type FileInfo struct {
	Path       string // relative to the root of the walk, slashes
	LinkTarget string // text of the link when the entry was reached by one
	Size       int64  // bytes
	MTime      time.Time
	Mode       uint32 // st_mode: file type and permission bits
	Kind       Kind
}
