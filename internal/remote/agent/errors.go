package agent

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// remoteError is an error of the other side: its words, and the errors inside
// it that callers look for.
type remoteError struct {
	text   string
	inside []error
}

func (e *remoteError) Error() string { return e.text }

// Is and As stand for the errors inside. There is no Unwrap: to whoever prints
// it this is one fault, not several.
func (e *remoteError) Is(target error) bool {
	for _, in := range e.inside {
		if errors.Is(in, target) {
			return true
		}
	}
	return false
}

func (e *remoteError) As(target any) bool {
	for _, in := range e.inside {
		if errors.As(in, target) {
			return true
		}
	}
	return false
}

// part is one error inside an error, as it crosses the wire.
type part struct {
	What     partKind
	Text     string // or reason, or operation
	Hint     string // or path
	Path     string
	Number   int64 // exit status, errno, block
	Expected uint64
	Found    uint64
}

type partKind uint8

// The kinds of parts. One that the other side does not know is left out.
const (
	partUser     partKind = 1 // *usererr.Error
	partCorrupt  partKind = 2 // *pgdata.CorruptionError
	partPath     partKind = 3 // *fs.PathError with an errno
	partLink     partKind = 4 // *os.LinkError with an errno
	partErrno    partKind = 5 // a bare syscall.Errno
	partVanished partKind = 6 // remote.ErrVanished
	partTooLarge partKind = 7 // fsx.ErrTooLarge
	partOutside  partKind = 8 // fsx.ErrOutside
	partEOF      partKind = 9 // io.ErrUnexpectedEOF
)

// maxParts bounds the parts of an error.
const maxParts = 32

// errorMessage is the answer to a request that failed.
type errorMessage struct {
	Text  string
	Parts []part
}

func (m *errorMessage) fields(c *codec) {
	c.text(&m.Text)
	list(c, &m.Parts, maxParts, 1, func(p *part) {
		number(c, &p.What, 1)
		c.text(&p.Text)
		c.text(&p.Hint)
		c.text(&p.Path)
		c.i64(&p.Number)
		c.u64(&p.Expected)
		c.u64(&p.Found)
	})
}

// errorFrom takes an error apart.
func errorFrom(err error) *errorMessage {
	m := &errorMessage{Text: cut(err.Error())}
	m.add(err)
	return m
}

func cut(text string) string { return text[:min(len(text), maxText)] }

func (m *errorMessage) add(err error) {
	if err == nil || len(m.Parts) == maxParts {
		return
	}
	if p, ok := partOf(err); ok {
		p.Text, p.Hint, p.Path = cut(p.Text), cut(p.Hint), cut(p.Path)
		m.Parts = append(m.Parts, p)
	}
	switch x := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() error }:
		m.add(x.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			m.add(e)
		}
	}
}

func partOf(err error) (part, bool) {
	switch e := err.(type) { //nolint:errorlint // one error, not those inside it
	case *usererr.Error:
		return part{What: partUser, Text: e.Text, Hint: e.Hint, Number: int64(e.Code)}, true
	case *pgdata.CorruptionError:
		return part{What: partCorrupt, Text: e.Reason, Path: e.Path, Number: int64(e.Block), Expected: e.Expected, Found: e.Found}, true
	case *fs.PathError:
		if errno, ok := e.Err.(syscall.Errno); ok { //nolint:errorlint // what a PathError has
			return part{What: partPath, Text: e.Op, Path: e.Path, Number: int64(errno)}, true
		}
	case *os.LinkError:
		if errno, ok := e.Err.(syscall.Errno); ok { //nolint:errorlint // what a LinkError has
			return part{What: partLink, Text: e.Op, Hint: e.Old, Path: e.New, Number: int64(errno)}, true
		}
	case syscall.Errno:
		return part{What: partErrno, Number: int64(e)}, true
	}
	for kind, sentinel := range sentinels() {
		if err == sentinel { //nolint:errorlint // the tree is walked
			return part{What: kind}, true
		}
	}
	return part{}, false
}

func sentinels() map[partKind]error {
	return map[partKind]error{
		partVanished: remote.ErrVanished, partTooLarge: fsx.ErrTooLarge, partOutside: fsx.ErrOutside, partEOF: io.ErrUnexpectedEOF,
	}
}

// err puts the error together again.
func (m *errorMessage) err() error {
	e := &remoteError{text: m.Text}
	for _, p := range m.Parts {
		errno := syscall.Errno(uint16(p.Number))
		switch p.What {
		case partUser:
			e.inside = append(e.inside, &usererr.Error{Text: p.Text, Hint: p.Hint, Code: int(uint8(p.Number))})
		case partCorrupt:
			e.inside = append(e.inside, &pgdata.CorruptionError{
				Path: p.Path, Block: uint32(p.Number), Reason: p.Text, Expected: p.Expected, Found: p.Found,
			})
		case partPath:
			e.inside = append(e.inside, &fs.PathError{Op: p.Text, Path: p.Path, Err: errno})
		case partLink:
			e.inside = append(e.inside, &os.LinkError{Op: p.Text, Old: p.Hint, New: p.Path, Err: errno})
		case partErrno:
			e.inside = append(e.inside, errno)
		default:
			if sentinel := sentinels()[p.What]; sentinel != nil {
				e.inside = append(e.inside, sentinel)
			}
		}
	}
	return e
}
