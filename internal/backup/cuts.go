package backup

import (
	"context"
	"errors"
	"fmt"
	"path"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
)

const (
	// largeBlocks is the length, 8 MiB, from which on it pays to look at a
	// relation before it is read whole.
	largeBlocks = 1024
	// probeBlocks is how many of its last blocks are looked at.
	probeBlocks = 16
)

// oldEnd is the end of what a relation that was cut may still have from the
// parent.
type oldEnd struct {
	file   *listed
	blocks uint32 // in the file
}

// settleCuts spares the reading of large relations that were cut. CBM does not
// tell how far earlier cuts went; but a block that it does not name, and whose
// page was there before the parent, was never cut off, nor was any before it.
func (r *run) settleCuts(ctx context.Context, l *listing) error {
	ends := map[string]oldEnd{}
	for _, it := range l.items {
		known, ok := r.parent.files[fileKey{it.ExternalDir, it.Path}]
		if !ok || !known.data || !it.IsDatafile || it.compressed != nil || it.ExternalDir != 0 {
			continue
		}
		relation := pgdata.RelationOf(it.Path, r.layout.Classify(it.Path))
		cut := r.diff.changes.Cut(relation)
		if !r.diff.changes.Unsure(relation) || cut <= uint64(it.firstBlock) {
			continue
		}
		n := min(cut-uint64(it.firstBlock), uint64(known.blocks), uint64(it.size/pgdata.BlockSize))
		if end, ok := ends[relation]; n > 0 && (!ok || end.file.firstBlock < it.firstBlock) {
			ends[relation] = oldEnd{it, uint32(n)}
		}
	}
	for relation, end := range ends {
		if end.file.firstBlock+end.blocks < largeBlocks {
			continue
		}
		if err := r.settleCut(ctx, relation, end); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) settleCut(ctx context.Context, relation string, end oldEnd) error {
	named := r.diff.changes.Map(ptrack.File{
		Relation: relation, First: end.file.firstBlock, Blocks: end.blocks, Known: end.blocks,
	})
	if named == nil {
		return nil // is copied whole
	}
	from := end.blocks - min(end.blocks, probeBlocks)
	full := path.Join(r.opts.PGData, end.file.Path)
	pages, _, err := r.deps.Host.ReadAt(ctx, full, int64(from)*pgdata.BlockSize, int(end.blocks-from)*pgdata.BlockSize)
	if errors.Is(err, remote.ErrVanished) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", full, err)
	}
	for n := len(pages) / pgdata.BlockSize; n > 0; n-- {
		page, block := pages[(n-1)*pgdata.BlockSize:n*pgdata.BlockSize], from+uint32(n-1)
		check := pgdata.CheckPage(page, end.file.firstBlock+block, r.rules)
		if !named.Has(block) && check.Status == pgdata.PageValid && check.LSN >= pgdata.FirstLSN && check.LSN < r.parent.StartLSN {
			r.diff.changes.Settle(relation, end.file.firstBlock+block+1)
			return nil
		}
	}
	return nil
}
