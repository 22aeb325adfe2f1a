// Package faultfs is a test double: it wraps any fsx.FS, writes down what is
// done to it and makes chosen operations fail.
//
// It owns the operation log, in which the order of durable steps can be read
// and compared with a golden text, and the injection of errors and hooks. What
// survives a crash is the business of fsx/crashfs, which this package can wrap.
package faultfs

import (
	"path/filepath"
	"strings"
	"sync"

	"gsprobackup/internal/fsx"
)

// FS is an fsx.FS that logs and fails on demand. It is safe for concurrent
// use; with several goroutines the numbers of operations are those of the
// order in which they came.
type FS struct {
	inner fsx.FS

	mu     sync.Mutex
	root   string
	ops    []Op
	faults []*Fault
	hook   func(Op) error
}

var _ fsx.FS = (*FS)(nil)

// New wraps inner.
func New(inner fsx.FS) *FS { return &FS{inner: inner} }

// Root makes paths below dir appear relative to it in operations and the log.
// Call it before the first operation.
func (f *FS) Root(dir string) *FS {
	f.root = filepath.Clean(dir)
	return f
}

// Fault makes operations fail.
type Fault struct {
	// Match chooses among the operations; nil takes every step (Op.N > 0).
	Match func(Op) bool
	// Nth is the first matching operation to fail, from 1; 0 means 1.
	Nth int
	// Sticky lets all later matching operations fail too.
	Sticky bool
	// Err is the error to fail with, for instance unix.ENOSPC.
	Err error

	seen int
}

// Inject arms a fault; matching operations count from now on.
func (f *FS) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// FailAt lets the n-th step from now (from 1) fail with err.
func (f *FS) FailAt(n int, err error) { f.Inject(Fault{Nth: n, Err: err}) }

// FailFrom lets the n-th step from now (from 1) and all after it fail with
// err, as for a process that was killed before it.
func (f *FS) FailFrom(n int, err error) { f.Inject(Fault{Nth: n, Err: err, Sticky: true}) }

// FailWhen lets the first operation for which match is true fail with err.
func (f *FS) FailWhen(match func(Op) bool, err error) { f.Inject(Fault{Match: match, Err: err}) }

// Before sets a function that is called before every step, by the goroutine
// that makes it and without locks held. An error makes the step fail.
func (f *FS) Before(hook func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// Ops returns the steps so far.
func (f *FS) Ops() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Op(nil), f.ops...)
}

// Log returns the steps so far, one a line; writes to one file that follow
// each other share a line with their total length.
func (f *FS) Log() string {
	var b strings.Builder
	ops := f.Ops()
	for i := 0; i < len(ops); i++ {
		op := ops[i]
		for op.Kind == Write && op.Err == nil && i+1 < len(ops) &&
			ops[i+1].Kind == Write && ops[i+1].Path == op.Path {
			i++
			op.Len += ops[i].Len
			op.Err = ops[i].Err
		}
		b.WriteString(op.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Reset empties the log and disarms all faults and the hook.
func (f *FS) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops, f.faults, f.hook = nil, nil, nil
}

// do runs one operation: call, unless a fault or the hook lets it fail.
func (f *FS) do(op Op, call func() error) error {
	n, _, err := f.begin(op)
	if err == nil {
		err = call()
	}
	f.end(n, err)
	return err
}

// begin numbers and logs op if it is a step, and tells whether it is to fail.
// torn is true when it is the first operation a fault takes: whatever comes
// later in a sticky fault must leave no trace, as after the end of a process.
func (f *FS) begin(op Op) (n int, torn bool, err error) {
	op.Path = f.rel(op.Path)
	if op.Kind == Rename || op.Kind == Link {
		op.To = f.rel(op.To)
	}
	f.mu.Lock()
	if op.Kind.Step() {
		op.N = len(f.ops) + 1
		f.ops = append(f.ops, op)
	}
	torn, err = f.fault(op)
	hook := f.hook
	f.mu.Unlock()
	if err == nil && hook != nil && op.N > 0 {
		err = hook(op)
	}
	if err != nil {
		err = op.wrap(err)
	}
	return op.N, torn, err
}

// end notes how step n ended.
func (f *FS) end(n int, err error) {
	if err == nil || n == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n <= len(f.ops) { // else there was a Reset
		f.ops[n-1].Err = err
	}
}

func (f *FS) fault(op Op) (torn bool, err error) {
	for _, fault := range f.faults {
		if fault.Match == nil && op.N == 0 || fault.Match != nil && !fault.Match(op) {
			continue
		}
		fault.seen++
		first := max(fault.Nth, 1)
		if fault.seen == first || fault.seen > first && fault.Sticky {
			return fault.seen == first, fault.Err
		}
	}
	return false, nil
}

func (f *FS) rel(path string) string {
	if f.root == "" || path == "" {
		return path
	}
	rel, err := filepath.Rel(f.root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return path
	}
	return rel
}
