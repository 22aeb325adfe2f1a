package restore

import (
	"fmt"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"
)

// This file decides along which timeline to recover. The C tool has it
// compiled out and knows the backup's own only (spec/server.md §6.2).

// planTimeline finds out what the archive knows of timelines. Whatever history
// file is damaged is warned of; only the wanted one must be readable.
func (r *run) planTimeline() error {
	if r.planned {
		return nil
	}
	r.planned = true
	t := r.opts.Target
	dir := r.opts.Instance.WALDir()
	var err error
	r.lineages, err = walarchive.Lineages(r.deps.FS, dir, func(err error) { r.emit(HistoryUnreadable{Err: err}) })
	if err != nil {
		return err
	}
	if t.NewestTimeline {
		r.lineage = r.newestLineage()
		return nil
	}
	if t.Timeline == 0 {
		return nil
	}
	wanted, _, err := walarchive.ReadLineage(r.deps.FS, dir, t.Timeline)
	if err != nil {
		return usererr.Wrap(err, "Cannot recover along timeline %d: %v", t.Timeline, err)
	}
	r.lineage = &wanted
	return nil
}

// newestLineage is the way to the highest timeline that one of the backups in
// question lies on.
func (r *run) newestLineage() (newest *wal.Lineage) {
	for _, b := range r.backups {
		if r.opts.BackupID != 0 && b.ID != r.opts.BackupID || r.opts.BackupID == 0 && !b.Status.Usable() {
			continue
		}
		way := r.own(b)
		for i := range r.lineages { // highest first
			if r.lineages[i].Has(b.Timeline, b.StopLSN) {
				way = &r.lineages[i]
				break
			}
		}
		if newest == nil || way.TLI > newest.TLI {
			newest = way
		}
	}
	return newest
}

// along is the way on which recovery from b would go, nil if it cannot.
func (r *run) along(b *catalog.Backup) *wal.Lineage {
	if r.lineage == nil {
		return r.own(b)
	}
	if r.lineage.Has(b.Timeline, b.StopLSN) {
		return r.lineage
	}
	return nil
}

// own is the backup's timeline, with its ancestors if they are known.
func (r *run) own(b *catalog.Backup) *wal.Lineage {
	for i := range r.lineages {
		if r.lineages[i].TLI == b.Timeline && r.lineages[i].Has(b.Timeline, b.StopLSN) {
			return &r.lineages[i]
		}
	}
	return &wal.Lineage{TLI: b.Timeline}
}

// branches are the timelines that left the backup's own after its end, the
// first one first.
func (r *run) branches() (list []wal.HistoryEntry) {
	for _, l := range r.lineages {
		for i, a := range l.Ancestors {
			if a.Timeline == r.dest.Timeline && a.Switch > r.dest.StopLSN {
				next := l.TLI
				if i+1 < len(l.Ancestors) {
					next = l.Ancestors[i+1].Timeline
				}
				list = append(list, wal.HistoryEntry{Timeline: next, Switch: a.Switch})
			}
		}
	}
	return list
}

// warnOfBranches tells of timelines that recovery will pass by on its way to
// end, which must not happen unnoticed.
func (r *run) warnOfBranches(end wal.LSN) {
	if r.lineage != nil {
		return
	}
	seen := map[wal.Timeline]bool{}
	for _, b := range r.branches() {
		if b.Switch <= end && !seen[b.Timeline] {
			seen[b.Timeline] = true
			r.emit(BranchPassed{Timeline: r.dest.Timeline, Branch: b.Timeline, Switch: b.Switch})
		}
	}
}

// branchHint names the timeline on which a target may be that was not found on
// the backup's own.
func (r *run) branchHint() string {
	if r.lineage != nil {
		return ""
	}
	for _, b := range r.branches() {
		return fmt.Sprintf("timeline %d branched off timeline %d at %s; to follow it, use --recovery-target-timeline=%d",
			b.Timeline, r.dest.Timeline, b.Switch, b.Timeline)
	}
	return ""
}

// timelineSetting is what the server is told, 0 for nothing. PostgreSQL asks for
// a history file when its own timeline is given by number, so it is not.
func (r *run) timelineSetting() wal.Timeline {
	if r.way.TLI != r.dest.Timeline {
		return r.way.TLI
	}
	if r.layout.Family == pgdata.OpenGauss {
		return r.opts.Target.Timeline
	}
	return 0
}
