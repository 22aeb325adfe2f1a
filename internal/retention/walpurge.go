package retention

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"
)

// WALOptions of PurgeWAL.
type WALOptions struct {
	Depth  uint32 // wal-depth; 0 keeps WAL for all backups
	DryRun bool
}

// PurgeWAL removes from the instance's archive what the backups that are there
// now do not need. removed tells whether anything went.
func PurgeWAL(ctx context.Context, deps Deps, opts WALOptions) (removed bool, err error) {
	dir := deps.Instance.WALDir()
	found, err := walarchive.Files(deps.FS, dir, deps.Sink)
	if err != nil || len(found) == 0 {
		return false, err
	}
	hidden, err := deps.Instance.Encrypted()
	if err != nil {
		return false, err
	}
	if len(hidden) > 0 {
		return false, usererr.New("Instance '%s' has encrypted backups, this build cannot tell what WAL they need, nothing is removed", deps.Instance.Name()).
			WithHint("such a backup is %s", filepath.Join(deps.Instance.Dir(), hidden[0]))
	}
	list, err := deps.Instance.WithSink(event.Discard).Backups(ctx)
	if err != nil {
		return false, err
	}
	segSize := segmentSize(deps.FS, found, list)
	if segSize == 0 {
		return false, usererr.New("Cannot tell the WAL segment size of the archive \"%s\", nothing is removed", dir)
	}
	var files []WALFile
	for _, f := range found {
		tli, segno, err := wal.ParseSegmentName(f.Segment, segSize)
		if err != nil {
			deps.Sink.Emit(walarchive.UnexpectedFile{Name: f.Name})
			continue
		}
		files = append(files, WALFile{File: f, Timeline: tli, Segno: segno})
	}
	plans := PlanWAL(files, list, opts.Depth, segSize, deps.Now())
	explainWAL(deps.Sink, plans, segSize)
	for _, p := range plans {
		name := func(segno uint64) string { return wal.SegmentName(p.TLI, segno, segSize) }
		deps.Sink.Emit(WALPlanned{Timeline: p, First: name(p.First), Keep: name(p.Keep), DryRun: opts.DryRun})
		if opts.DryRun {
			continue
		}
		for _, f := range p.Remove {
			if ctx.Err() != nil {
				return removed, usererr.Wrap(context.Cause(ctx), "interrupted during WAL archive purge")
			}
			path := filepath.Join(dir, f.Name)
			if err := deps.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return removed, usererr.Wrap(err, `Could not remove file "%s": %s`, path, usererr.SystemText(err))
			}
			removed = true
		}
	}
	if removed {
		if err := deps.FS.SyncDir(dir); err != nil {
			return removed, fmt.Errorf("sync WAL archive: %w", err)
		}
	}
	return removed, nil
}

// explainWAL tells what determines the plans.
func explainWAL(sink event.Sink, plans []TimelinePlan, segSize uint32) {
	for _, p := range plans {
		for _, id := range p.Pinned {
			sink.Emit(PinIgnored{ID: id})
		}
		if p.Anchor != 0 {
			sink.Emit(WALAnchored{Timeline: p.TLI, LSN: p.Anchor})
		}
		for _, i := range p.Protected {
			sink.Emit(WALProtected{ID: i.Backup, Timeline: p.TLI,
				Begin: wal.SegmentName(p.TLI, i.Begin, segSize), End: wal.SegmentName(p.TLI, i.End, segSize)})
		}
	}
}

// maxControl is ample for global/pg_control.
const maxControl = 64 << 10

// segmentSize finds the size that names and LSNs are counted in: that of the
// backed-up cluster, or of a larger plain segment; 0 if neither is there. Of
// two sizes the larger one is right or at least keeps more, for a segment that
// was cut short must not make all others look old.
func segmentSize(fsys fsx.FS, files []walarchive.File, list catalog.List) (size uint32) {
	for _, b := range list {
		raw, err := fsx.ReadFile(fsys, filepath.Join(b.DatabaseDir(), "global", "pg_control"), maxControl)
		if err != nil {
			continue // an increment, or damaged: others tell as well
		}
		if control, err := pgdata.ParseControl(raw); err == nil && wal.ValidSegSize(control.WALSegSize) {
			size = control.WALSegSize
			break
		}
	}
	for _, f := range files {
		if f.Kind == walarchive.Segment && !f.Compressed && f.Size <= wal.MaxSegSize && wal.ValidSegSize(uint32(f.Size)) {
			size = max(size, uint32(f.Size))
		}
	}
	return size
}
