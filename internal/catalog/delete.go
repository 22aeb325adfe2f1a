package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// Deleting is emitted before a backup is deleted. C tool: INFO
// `Delete: %s %s` with ID and recovery time.
type Deleting struct{ Backup Backup }

// FileDeleting is emitted before each file and directory of a backup goes;
// Done counts this one. C tool: INFO `Progress: (%d/%d). Delete file "%s"`
// with --progress.
type FileDeleting struct {
	Path        string
	Done, Total int
}

// DeleteBackup removes a backup that locker has locked in the C tool's order:
// the control file says DELETING while the rest goes, and is last but the
// directory (spec/formats.md §1.6). What an interrupted run leaves can be
// deleted again.
func (i *Instance) DeleteBackup(ctx context.Context, locker *lock.Locker, b *Backup) error {
	i.sink.Emit(Deleting{Backup: *b})
	err := i.MarkDeleting(b)
	if errors.Is(err, syscall.ENOSPC) {
		err = i.disown(b)
	}
	if err != nil {
		return err
	}
	err = i.removeFiles(ctx, locker, b.Dir)
	switch {
	case err == nil:
		err = i.fs.SyncDir(i.dir)
	case ctx.Err() != nil:
		return usererr.Wrap(err, "interrupted during delete backup")
	}
	if err != nil {
		return fmt.Errorf("delete backup %s: %w", b.ID, err)
	}
	return nil
}

// MarkDeleting sets a backup's status to DELETING, durably, if it is not that.
// From then on no tool takes it for a good one. On a full disk the control file
// gets the name that says so instead.
func (i *Instance) MarkDeleting(b *Backup) error {
	if b.Unreadable || b.Mode == ModeInvalid || b.Status == StatusDeleting {
		return nil
	}
	err := i.SetStatus(b, StatusDeleting)
	if errors.Is(err, syscall.ENOSPC) {
		err = i.setAside(b, err)
	}
	if err != nil {
		return fmt.Errorf("mark backup %s as being deleted: %w", b.ID, err)
	}
	return nil
}

// setAside renames the control file, which needs no room. full is the error of
// the usual way.
func (i *Instance) setAside(b *Backup, full error) (err error) {
	release, err := lock.Turn(i.fs, b.DatabaseDir())
	if err != nil {
		return errors.Join(full, err)
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := i.fs.Rename(b.ControlPath(), filepath.Join(b.Dir, DeletingName)); err != nil {
		return errors.Join(full, err)
	}
	if err := i.fs.SyncDir(b.Dir); err != nil {
		return err
	}
	b.Status, b.Leaving = StatusDeleting, true
	return nil
}

// disown removes the control file first. That is for a full disk whose file
// system does not even rename: a good control file must not outlive the files.
func (i *Instance) disown(b *Backup) error {
	if err := fsx.RemoveIfThere(i.fs, b.ControlPath()); err != nil {
		return fmt.Errorf("delete backup %s: %w", b.ID, err)
	}
	if err := i.fs.SyncDir(b.Dir); err != nil {
		return fmt.Errorf("delete backup %s: %w", b.ID, err)
	}
	return nil
}

// removeFiles removes a tree in descending order of the paths, which is leaf
// first. What somebody adds meanwhile goes at the end.
func (i *Instance) removeFiles(ctx context.Context, locker *lock.Locker, dir string) error {
	names, err := listTree(ctx, i.fs, dir, nil)
	if err != nil {
		return err
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	for n, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		i.sink.Emit(FileDeleting{Path: name, Done: n + 1, Total: len(names)})
		if name == filepath.Join(dir, lock.FileName) {
			if err := locker.Leave(dir); err != nil {
				return err
			}
		}
		err := i.fs.Remove(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return fsx.RemoveTree(ctx, i.fs, dir)
}

// listTree appends dir and everything below it. Symbolic links are not
// followed.
func listTree(ctx context.Context, fsys fsx.FS, dir string, names []string) ([]string, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return names, nil
	}
	if err != nil {
		return nil, err
	}
	names = append(names, dir)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if !e.IsDir() {
			names = append(names, name)
			continue
		}
		if names, err = listTree(ctx, fsys, name, names); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// CheckForeign refuses directories that are not backups.
func (i *Instance) CheckForeign(list List) error {
	for _, b := range list {
		if !b.NoControl {
			continue
		}
		name, err := i.ForeignFile(b)
		if err != nil {
			return err
		}
		if name != "" {
			return usererr.New("Directory \"%s\" is not a backup", b.Dir).
				WithHint("it has no control file, but contains %q", name)
		}
	}
	return nil
}

// ForeignFile looks into a backup's directory for a name that no backup has
// and returns one, or "". A directory without control file may be anything;
// the C tool takes it for a backup and removes it (spec/cli.md §13 row 8).
func (i *Instance) ForeignFile(b *Backup) (string, error) {
	entries, err := i.fs.ReadDir(b.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list directory of backup %s: %w", b.ID, err)
	}
	own := []string{ControlName, DeletingName, ContentName, HeaderMapName, DatabaseName, DSSDataName, ExternalName, DatabaseMapName,
		lock.FileName, lock.SharedFileName}
	for _, e := range entries {
		name := e.Name()
		for _, suffix := range []string{".tmp", "tmp", "_tmp"} { // unfinished writes, C's included
			name = strings.TrimSuffix(name, suffix)
		}
		if !slices.Contains(own, name) {
			return e.Name(), nil
		}
	}
	return "", nil
}
