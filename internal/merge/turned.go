package merge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"gsprobackup/internal/fsx"
)

// turned are names that stand for a file in the FULL and for a directory in
// the result, or the other way round: their places are not free until the
// chain says MERGING. They are full paths.
type turned struct {
	toDir, toFile map[string]bool
}

// findTurned compares the lists of FULL and destination.
func (w *work) findTurned() {
	w.turned = turned{map[string]bool{}, map[string]bool{}}
	oldDirs, newDirs := map[string]bool{}, map[string]bool{}
	full, dest := w.fullMember(), w.destMember()
	for i := range full.entries {
		if e := &full.entries[i]; e.IsDir() {
			oldDirs[w.final(e)] = true
		}
	}
	for i := range dest.entries {
		e := &dest.entries[i]
		if e.IsDir() {
			newDirs[w.final(e)] = true
		} else if e.IsRegular() && oldDirs[w.final(e)] {
			w.turned.toFile[w.final(e)] = true
		}
	}
	for i := range full.entries {
		if e := &full.entries[i]; e.IsRegular() && e.Size > 0 && newDirs[w.final(e)] {
			w.turned.toDir[w.final(e)] = true
		}
	}
}

// aside is where something is put for the time being whose own place is below
// a name that is still a file.
func (w *work) aside(name string) string {
	if len(w.turned.toDir) == 0 {
		return name
	}
	for at := name; len(at) > len(w.full.Dir); at = filepath.Dir(at) {
		if w.turned.toDir[at] {
			return at + w.suffix + name[len(at):]
		}
	}
	return name
}

// clearWay makes room for what is to get its name: nothing below the name of
// a file that was a directory, and no file by that of a directory, is in the
// result.
func (s *stage) clearWay(ctx context.Context) error {
	for name := range s.turned.toFile {
		fi, err := s.deps.FS.Lstat(name)
		if err == nil && fi.IsDir() {
			err = fsx.RemoveTree(ctx, s.deps.FS, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove directory from backup %s: %w", s.full.ID, err)
		}
	}
	if len(s.turned.toDir) == 0 {
		return nil
	}
	for name := range s.turned.toDir {
		fi, err := s.deps.FS.Lstat(name)
		if err == nil && !fi.IsDir() {
			err = fsx.RemoveIfThere(s.deps.FS, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove file from backup %s: %w", s.full.ID, err)
		}
	}
	for dir := range s.resultDirs() {
		if s.aside(dir) == dir {
			continue
		}
		if err := s.makeDir(dir); err != nil {
			return err
		}
	}
	return nil
}
