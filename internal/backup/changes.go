package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/pagecopy"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// difference is how an increment tells what its parent has.
type difference struct {
	changes *ptrack.Changes // PTRACK
	floor   remote.Floor    // DELTA
	// anew are databases that are younger than the parent backup; all says
	// that the whole cluster is.
	anew map[uint32]bool
	all  bool
	// shrunk are segment-page files in which CBM does not know all changes.
	shrunk map[string]bool
}

// checkChangeSource fails early when PTRACK cannot work on this server.
func (r *run) checkChangeSource(ctx context.Context) error {
	if r.opts.Mode != catalog.ModePtrack || r.layout.Family != pgdata.PostgreSQL {
		return nil
	}
	src, ok := server.Summarizer(r.flavor)
	if !ok {
		return usererr.New("PTRACK backup is not possible with PostgreSQL %d, which has no summarize_wal", r.layout.Major).
			WithHint("PTRACK needs PostgreSQL 17 or later with summarize_wal = on; use -b DELTA, which needs no server feature")
	}
	return ptrack.CheckSummarizer(ctx, src)
}

// findChanges prepares the comparison with the parent (spec/server.md §3.3).
func (r *run) findChanges(ctx context.Context, l *listing) error {
	p := r.parent
	if p == nil {
		return nil
	}
	r.emit(ChangeRange{Timeline: r.timeline, ParentStart: p.StartLSN, Start: r.startLSN})
	r.diff = &difference{anew: map[uint32]bool{}}
	r.findYounger(l)
	if r.opts.Mode == catalog.ModeDelta {
		logged, err := r.logsHints()
		r.diff.floor = remote.Floor{LSN: p.StartLSN, KeepVisible: !logged}
		return err
	}
	began := r.deps.Now()
	r.emit(PagemapStarted{From: p.StartLSN})
	r.findShrunk(l)
	q := ptrack.Query{
		Range: ptrack.Range{Timeline: r.timeline, Start: p.StartLSN, End: r.startLSN},
		Wait: ptrack.Wait{
			Timeout:  r.opts.archiveTimeout(),
			Progress: func(at wal.LSN) { r.emit(TrackingBehind{At: at, Want: r.startLSN}) },
		},
		Keep: r.sharedPaths(l),
	}
	var err error
	if og, ok := r.flavor.(server.OpenGauss); ok {
		waiting := true
		r.diff.changes, err = ptrack.FromCBM(ctx, og, q, func(text string) {
			waiting = false
			r.emit(PagemapEnd{Text: text})
		})
		if err != nil && waiting && ctx.Err() != nil {
			return usererr.Wrap(errors.Join(errTracking, err), "interrupted")
		}
		nameIdleSlots(ctx, og, err)
		if err == nil {
			err = r.settleCuts(ctx, l)
		}
	} else if src, ok := server.Summarizer(r.flavor); ok {
		r.diff.changes, err = ptrack.FromSummaries(ctx, src, q, r.layout.RelationPath)
		r.emit(PagemapEnd{Text: fmt.Sprintf("%08X/%08X", uint32(r.startLSN>>32), uint32(r.startLSN))})
	}
	if err != nil {
		return err
	}
	r.emit(PagemapDone{Elapsed: r.elapsedSince(began)})
	return nil
}

// errTracking marks the end of a wait for the server's changed block tracking,
// for which the C tool has other words than for the rest of a backup.
var errTracking = errors.New("wait for changed block tracking")

// nameIdleSlots adds to the advice of a failed question for changed blocks the
// slots that may be to blame: C's text speaks of them, too, but does not say
// which. What cannot be found out is left out.
func nameIdleSlots(ctx context.Context, og server.OpenGauss, err error) {
	var ue *usererr.Error
	if !errors.As(err, &ue) || ctx.Err() != nil {
		return
	}
	names, err := og.IdleSlots(ctx)
	if err != nil || len(names) == 0 {
		return
	}
	ue.Hint = strings.TrimPrefix(fmt.Sprintf("%s; replication slots that nobody uses: %s; drop those not needed with SELECT pg_drop_replication_slot('NAME')",
		ue.Hint, strings.Join(names, ", ")), "; ")
}

// sharedPaths has the directories listed and the relations that both the list
// and the parent have.
func (r *run) sharedPaths(l *listing) func(string) bool {
	set := map[string]struct{}{}
	for i := range l.items {
		it := l.items[i]
		if it.ExternalDir != 0 {
			continue
		}
		switch _, known := r.parent.files[fileKey{0, it.Path}]; {
		case isDir(it.Mode):
			set[it.Path] = struct{}{}
		case known && it.IsDatafile:
			set[pgdata.RelationOf(it.Path, r.layout.Classify(it.Path))] = struct{}{}
		}
	}
	return func(p string) bool { _, ok := set[p]; return ok }
}

// versionFile is written when a cluster or a database is made, and never again.
const versionFile = "PG_VERSION"

// findYounger finds databases that were made since the parent. Their files may
// have the names of others that the parent knew, with pages that came by file
// copy and have old LSNs. And it finds a cluster that was itself restored since
// then: if that was an older backup, what the parent holds is another history,
// which no position in WAL tells.
func (r *run) findYounger(l *listing) {
	for i := range l.items {
		it := l.items[i]
		if it.ExternalDir != 0 || path.Base(it.Path) != versionFile || it.modified <= int64(r.parent.ID) {
			continue
		}
		switch c := r.layout.Classify(it.Path); {
		case it.Path == versionFile:
			r.diff.all = true
		case c.DBOid != 0:
			r.diff.anew[c.DBOid] = true
		}
	}
	if r.diff.all {
		r.emit(ClusterYounger{Parent: r.parent.ID})
	}
}

// findShrunk finds the segment-page files that are shorter than in the parent.
// gs_space_shrink has moved extents in them, by log records that CBM does not
// read (XLOG_SEG_NEW_PAGE: TrackSegmentPageChange in the server's
// cbmparsexlog.cpp, all releases).
func (r *run) findShrunk(l *listing) {
	if r.layout.Family != pgdata.OpenGauss {
		return
	}
	now := map[string]int64{}
	for i := range l.items {
		if it := l.items[i]; it.ExternalDir == 0 && it.IsDatafile {
			now[it.Path] = it.size
		}
	}
	for key, known := range r.parent.files {
		if key.externalDir != 0 || !known.data || now[key.path] >= int64(known.blocks)*pgdata.BlockSize {
			continue
		}
		if c := r.layout.Classify(key.path); c.Form == pgdata.FormSegmentStorage {
			if r.diff.shrunk == nil {
				r.diff.shrunk = map[string]bool{}
			}
			r.diff.shrunk[pgdata.RelationOf(key.path, c)] = true
		}
	}
}

// leaveOut tells a task what the parent has (spec/server.md §3.5). A file that
// the parent does not list is copied whole.
func (r *run) leaveOut(it *listed, t *pagecopy.Task) {
	if r.parent == nil {
		return
	}
	known, ok := r.parent.files[fileKey{it.ExternalDir, it.Path}]
	if !ok || known.data != it.IsDatafile {
		return
	}
	switch {
	case t.Kind == pagecopy.DoubleWrite:
		t.Known, t.KnownCRC = true, known.crc
	case it.ExternalDir == 0 && alwaysStored(it.Path):
	case t.Kind == pagecopy.Plain:
		// The content decides; time and size only save the reading.
		t.Known = it.modified <= r.parent.settled(it, known.crc) && it.size > 0 && (known.size < 0 || known.size == it.size)
		t.KnownCRC = known.crc
	case t.Kind == pagecopy.Pages:
		it.known = true
		r.leaveOutPages(it, t, known)
	}
}

func (r *run) leaveOutPages(it *listed, t *pagecopy.Task, known knownFile) {
	d := r.diff
	switch {
	case d.all || d.anew[it.DBOid]:
	case d.changes != nil:
		relation := pgdata.RelationOf(it.Path, r.layout.Classify(it.Path))
		t.Map = d.changes.Map(ptrack.File{
			Relation: relation, First: t.FirstBlock, Blocks: t.Blocks(), Known: known.blocks,
		})
		if t.Map != nil && (d.changes.Unsure(relation) || d.shrunk[relation]) {
			// The pages themselves tell what the map lacks.
			t.Floor = remote.Floor{LSN: r.parent.StartLSN, Known: known.blocks, KeepVisible: true, Marked: t.Map}
			t.Map = nil
		}
	default:
		t.Floor = d.floor
		t.Floor.Known = known.blocks
	}
}

// checkNeed refuses an increment that cannot fit. What is found unchanged only
// by looking at it is not counted.
func (r *run) checkNeed(tasks []pagecopy.Task) error {
	if r.parent == nil {
		return nil
	}
	space, err := r.deps.FS.Statfs(r.backup.Dir)
	if err != nil {
		return fmt.Errorf("get free disk space: %w", err)
	}
	need := int64(0)
	for i := range tasks {
		switch t := &tasks[i]; {
		case t.Floor.Marked != nil:
			need += int64(t.Floor.Marked.Count()) * pgdata.BlockSize
		case t.Known || t.Floor.LSN != 0:
		case t.Map != nil:
			need += int64(t.Map.Count()) * pgdata.BlockSize
		default:
			need += t.Size
		}
	}
	if space.Avail() < need {
		return noSpace()
	}
	return nil
}

func noSpace() error {
	return usererr.New("There is not enough remaining disk space for backup, please clean it up and try again")
}
