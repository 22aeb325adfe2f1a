package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Kind names an operation, as it reads in the log.
type Kind string

// Steps are the operations that change something or make it durable.
const (
	Mkdir    Kind = "mkdir"
	Create   Kind = "create" // OpenFile with O_CREATE
	Write    Kind = "write"  // Write and WriteAt
	Truncate Kind = "truncate"
	Punch    Kind = "punch"
	Chmod    Kind = "chmod"
	Sync     Kind = "sync"
	Close    Kind = "close" // of a file open for writing
	Rename   Kind = "rename"
	Link     Kind = "link"
	Symlink  Kind = "symlink"
	Remove   Kind = "remove"
	SyncDir  Kind = "syncdir"
)

// The other operations are not logged, but can be made to fail.
const (
	Open     Kind = "open"
	Read     Kind = "read" // Read and ReadAt
	Stat     Kind = "stat" // Stat and Lstat, of names and files
	ReadDir  Kind = "readdir"
	Readlink Kind = "readlink"
	Statfs   Kind = "statfs"
	Extents  Kind = "extents" // NextData
)

// Step tells whether the kind changes something or makes it durable.
func (k Kind) Step() bool {
	switch k {
	case Open, Read, Stat, ReadDir, Readlink, Statfs, Extents:
		return false
	}
	return true
}

// Op is one operation.
type Op struct {
	N    int // number of the step, from 1; 0 for the other operations
	Kind Kind
	Path string
	To   string // Rename, Link: the new name; Symlink: the target
	Mode fs.FileMode
	Off  int64 // WriteAt, ReadAt, Punch; -1 for Write and Read
	Len  int64 // bytes of a write, read or punch; new size of Truncate
	Err  error // how it ended
}

// String is the operation's line in the log.
func (o Op) String() string {
	s := string(o.Kind)
	if o.Kind == Chmod || o.Kind == Mkdir {
		s += fmt.Sprintf(" %04o", o.Mode.Perm())
	}
	s += " " + o.Path
	if o.To != "" {
		s += " -> " + o.To
	}
	switch o.Kind {
	case Write, Truncate:
		s += fmt.Sprintf(" %d", o.Len)
	case Punch:
		s += fmt.Sprintf(" %d+%d", o.Off, o.Len)
	}
	if o.Err != nil {
		s += ": " + rootCause(o.Err).Error()
	}
	return s
}

// wrap gives an injected error the form the operating system's have.
func (o Op) wrap(err error) error {
	if o.Kind == Rename || o.Kind == Link || o.Kind == Symlink {
		return &os.LinkError{Op: string(o.Kind), Old: o.Path, New: o.To, Err: err}
	}
	return &fs.PathError{Op: string(o.Kind), Path: o.Path, Err: err}
}

// rootCause strips the wrapping that would repeat the path.
func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
