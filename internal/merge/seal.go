package merge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// seal writes list and control file of the result, removes what is no longer
// part of it, checks it and declares it merged.
func (w *work) seal(ctx context.Context) error {
	entries := w.resultList()
	var sums contentlist.Counters
	for _, e := range entries {
		sums.Add(e, false)
	}
	list := *w.full
	if err := catalog.SaveContent(w.deps.FS, &list, false, slices.Values(entries)); err != nil {
		return err
	}
	err := w.deps.Instance.UpdateControl(w.full, func(b *catalog.Backup) { w.describe(b, list.ContentCRC, sums) })
	if err != nil {
		return fmt.Errorf("save control file of backup %s: %w", w.full.ID, err)
	}
	if err := w.removeRest(ctx, entries); err != nil {
		return err
	}
	good, err := w.check(ctx)
	if err != nil {
		return err
	}
	if !good {
		// What the journal says is not so.
		return errors.Join(mergingFailed(w.result),
			fsx.RemoveIfThere(w.deps.FS, w.journalPath()))
	}
	if err := w.deps.Instance.SetStatus(w.full, catalog.StatusMerged); err != nil {
		return fmt.Errorf("mark backup %s as merged: %w", w.full.ID, err)
	}
	return nil
}

// resultList is the list of the merged backup, sorted as C does.
func (w *work) resultList() []*catalog.Entry {
	var entries []*catalog.Entry
	dest := w.destMember()
	for i := range dest.entries {
		e := &dest.entries[i]
		if e.IsRegular() {
			e = w.stage.done[keyOf(e)]
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b *catalog.Entry) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.ExternalDir, b.ExternalDir))
	})
	return entries
}

// describe gives the FULL's control data what it has of the destination
// (spec/formats.md §3.5). The recovery name is taken, too: C keeps the FULL's,
// which names a restore point that the result does not reach.
func (w *work) describe(b *catalog.Backup, crc uint32, sums contentlist.Counters) {
	d := w.dest
	b.Stream, b.FromReplica, b.Timeline = d.Stream, d.FromReplica, d.Timeline
	b.CompressAlg, b.CompressLevel = d.CompressAlg, d.CompressLevel
	b.StartLSN, b.StopLSN = d.StartLSN, d.StopLSN
	b.RecoveryXID, b.RecoveryTime, b.RecoveryName = d.RecoveryXID, d.RecoveryTime, d.RecoveryName
	b.ExpireTime, b.Note, b.ExternalDirs = d.ExpireTime, d.Note, d.ExternalDirs
	b.PGDataBytes = d.PGDataBytes
	b.ProgramVersion = catalog.ProgramVersion
	b.MergeTime, b.EndTime = w.began, w.end()
	b.DataBytes, b.UncompressedBytes = sums.DataBytes, sums.UncompressedBytes
	b.WALBytes = d.WALBytes
	if d.Stream {
		b.WALBytes = sums.WALBytes
	}
	b.ContentCRC = crc
}

// removeRest removes what the FULL has and the result does not list, also
// what interrupted merges, C's included, have left.
func (w *work) removeRest(ctx context.Context, entries []*catalog.Entry) error {
	keep := map[string]bool{w.full.DatabaseDir(): true}
	external := filepath.Join(w.full.Dir, catalog.ExternalName)
	for n := range w.dest.Externals() {
		keep[w.full.ExternalDir(n+1)] = true
		keep[external] = true
	}
	for _, e := range entries {
		if e.IsRegular() && e.Size <= 0 {
			continue // empty files are not stored
		}
		name := w.final(e)
		for !keep[name] {
			keep[name] = true
			name = filepath.Dir(name)
		}
	}
	for _, dir := range []string{w.full.DatabaseDir(), external} {
		if err := w.prune(ctx, dir, keep); err != nil {
			return fmt.Errorf("remove files from backup %s: %w", w.full.ID, err)
		}
	}
	return w.deps.FS.SyncDir(w.full.Dir)
}

func (w *work) prune(ctx context.Context, dir string, keep map[string]bool) error {
	list, err := w.deps.FS.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !keep[dir] {
		return fsx.RemoveTree(ctx, w.deps.FS, dir)
	}
	changed := false
	for _, d := range slices.Backward(list) {
		name := filepath.Join(dir, d.Name())
		switch {
		case !keep[name]:
			changed = true
			err = fsx.RemoveTree(ctx, w.deps.FS, name)
		case d.IsDir():
			err = w.prune(ctx, name, keep)
		}
		if err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return w.deps.FS.SyncDir(dir)
}

// check validates the result while there are still the increments. What it
// says is for later, when the result has its ID, unless it is bad.
func (w *work) check(ctx context.Context) (bool, error) {
	var mu sync.Mutex
	w.verdict = []event.Event{validate.Started{ID: w.result}}
	sink := event.Func(func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		w.verdict = append(w.verdict, e)
	})
	deps := validate.Deps{FS: w.deps.FS, Instance: w.deps.Instance, Sink: sink}
	opts := validate.Options{Threads: w.threads, Thrifty: true, Known: w.stage.untouched}
	good, err := validate.Contents(ctx, deps, w.full, opts)
	if err == nil && good {
		w.verdict = append(w.verdict, validate.FilesValid{ID: w.result})
		return true, nil
	}
	for _, e := range w.verdict {
		w.emit(e)
	}
	return false, err
}

func mergingFailed(id catalog.ID) error { return usererr.New("Merging of backup %s failed", id) }
