package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gsprobackup/internal/usererr"
)

// ControlUnreadable is emitted for a backup without usable control file; the
// list has a stand-in for it. Text is the C tool's warning where it has one:
// `Control file "%s" doesn't exist`, `... is empty`, `Invalid ID/start-time,
// control file "%s" is corrupted`. Other faults end a run of the C tool; here
// they cost one backup only.
type ControlUnreadable struct {
	Path string
	Text string
}

// IDMismatch is emitted when a control file's start-time is not what the
// directory is called; the control file wins, unless it is off by hours
// (TimesDrifted). C tool: WARNING `backup ID in control file "%s" doesn't match
// name of the backup folder "%s"`.
type IDMismatch struct {
	ID   ID
	Path string // of the control file
}

// DirectoryUnreadable is emitted before the error of Backups. C tool: WARNING
// `cannot open directory "%s": %s`.
type DirectoryUnreadable struct {
	Path string
	Text string
}

// List is the backups of an instance, newest first.
type List []*Backup

// Backups lists every directory of the instance that is not hidden.
func (i *Instance) Backups(ctx context.Context) (List, error) {
	entries, err := i.fs.ReadDir(i.dir)
	if err != nil {
		i.sink.Emit(DirectoryUnreadable{Path: i.dir, Text: usererr.SystemText(err)})
		return nil, usererr.Wrap(err, "Failed to get backup list")
	}
	var list List
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			list = append(list, i.readBackup(e.Name()))
		}
	}
	slices.SortStableFunc(list, func(a, b *Backup) int { return cmp.Compare(b.ID, a.ID) })
	return list, nil
}

// Encrypted are the files of backups that the C tool of 6.0 has encrypted; they
// are in no list, since nothing can be read of them.
func (i *Instance) Encrypted() (names []string, err error) {
	entries, err := i.fs.ReadDir(i.dir)
	if err != nil {
		return nil, usererr.Wrap(err, "Failed to get backup list")
	}
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), "_enc") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readBackup reads the control file in a directory, or makes the stand-in.
func (i *Instance) readBackup(dirName string) *Backup {
	dir := filepath.Join(i.dir, dirName)
	path := filepath.Join(dir, ControlName)
	id := decodeID(dirName)
	b, err := ReadControl(i.fs, path, i.sink)
	if errors.Is(err, fs.ErrNotExist) {
		if left, lerr := ReadControl(i.fs, filepath.Join(dir, DeletingName), i.sink); lerr == nil {
			b, err = left, nil
			b.Status, b.Leaving = StatusDeleting, true
		}
	}
	if err != nil {
		i.sink.Emit(ControlUnreadable{Path: path, Text: err.Error()})
		return &Backup{ID: id, Dir: dir, Unreadable: true, NoControl: errors.Is(err, fs.ErrNotExist), DataBytes: unknownBytes, WALBytes: unknownBytes,
			CompressLevel: defaultLevel, BlockSize: BlockSize, XLogBlockSize: BlockSize}
	}
	b.Dir = dir
	if b.ID.String() != dirName {
		i.sink.Emit(IDMismatch{ID: b.ID, Path: path})
	}
	return b
}

// ByID returns the backup with an ID, or nil.
func (l List) ByID(id ID) *Backup {
	for _, b := range l {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// Parent returns the parent of an incremental backup; nil for a FULL and for
// a parent that is not in the list.
func (l List) Parent(b *Backup) *Backup {
	if b.Mode == ModeFull || b.ParentID == 0 {
		return nil
	}
	return l.ByID(b.ParentID)
}

// Children returns the backups whose parent is b, newest first.
func (l List) Children(b *Backup) List {
	var children List
	for _, c := range l {
		if c != b && l.Parent(c) == b {
			children = append(children, c)
		}
	}
	return children
}

// Descendants returns all backups that need b, newest first.
func (l List) Descendants(b *Backup) List {
	var all List
	for _, c := range l {
		seen := 0
		for p := l.Parent(c); p != nil && seen <= len(l); p = l.Parent(p) {
			if p == b && c != b {
				all = append(all, c)
				break
			}
			seen++ // links that lead in a circle have no end
		}
	}
	return all
}

// ChainError tells that the chain of a backup does not reach a FULL.
type ChainError struct {
	Of      ID // the backup whose chain it is
	Broken  ID // the member without parent
	Missing ID // the parent it names, 0 if none
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("chain of backup %s: parent %s of backup %s is missing", e.Of, e.Missing, e.Broken)
}

// NoFullParent is the event for a ChainError. C tool: WARNING `Backup %s is
// missing`, or `Failed to find parent FULL backup for %s` if none is named.
type NoFullParent struct{ Of, Missing ID }

// ChainTo returns the backups that restoring b takes, the FULL first and b
// last. A *ChainError tells that one is missing. States are not looked at.
func (l List) ChainTo(b *Backup) (List, error) {
	chain := List{b}
	for b := b; b.Mode != ModeFull; {
		parent := l.Parent(b)
		if parent == nil || slices.Contains(chain, parent) {
			return nil, &ChainError{Of: chain[0].ID, Broken: b.ID, Missing: b.ParentID}
		}
		chain = append(chain, parent)
		b = parent
	}
	slices.Reverse(chain)
	return chain, nil
}

// BadAncestor returns the nearest ancestor of b that is not OK or DONE, nil if
// all are good. When the chain breaks off before, that is the error.
func (l List) BadAncestor(b *Backup) (*Backup, error) {
	var seen List
	for c := b; c.Mode != ModeFull; {
		parent := l.Parent(c)
		if parent == nil || slices.Contains(seen, parent) {
			return nil, &ChainError{Of: b.ID, Broken: c.ID, Missing: c.ParentID}
		}
		if !parent.Status.Usable() {
			return parent, nil
		}
		seen = append(seen, parent)
		c = parent
	}
	return nil, nil
}
