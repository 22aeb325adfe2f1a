package retention

import (
	"slices"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"
)

// WALFile is a file of the archive with its place in the log.
type WALFile struct {
	walarchive.File
	Timeline wal.Timeline
	Segno    uint64
}

// Interval is the WAL that a backup without WAL of its own needs, segment
// numbers, both included.
type Interval struct {
	Backup     catalog.ID
	Begin, End uint64
}

// TimelinePlan says what goes on one timeline.
type TimelinePlan struct {
	TLI wal.Timeline
	// First and Last are the oldest and newest segment there is.
	First, Last uint64
	// All is set when no backup can use the timeline; else Keep is the
	// oldest segment that may be wanted.
	All  bool
	Keep uint64
	// Anchor is the LSN that wal-depth protects from; 0 if it does not apply.
	Anchor    wal.LSN
	Pinned    []catalog.ID // not counted for wal-depth
	Protected []Interval   // older than Keep and wanted all the same
	Remove    []WALFile    // in the order of names

	LogicalSize  int64 // bytes of WAL between First and Keep
	ResidentSize int64 // bytes of the files in Remove
}

// PlanWAL decides which WAL goes, timelines in ascending order. It is a pure
// function.
//
// Recovery goes from a backup's start forward and onto timelines with higher
// numbers, never lower ones; so on timeline T the backups of T and of all
// lower timelines count. (The C tool asks those of T only, and removes the
// whole of a timeline that has none, which is where a cluster is after a
// failover and before its first backup.) The archive's history files are not
// asked: at worst too much is kept.
//
// With depth 0 everything from the oldest start LSN on stays. With depth N it
// is the oldest of the N newest good backups without pin, but for those of a
// lower timeline that was not left yet when they ended: they cannot go along
// this one. Archive backups before that keep the WAL they cannot be restored
// without.
func PlanWAL(files []WALFile, list catalog.List, depth, segSize uint32, now time.Time) []TimelinePlan {
	var plans []TimelinePlan
	for _, tli := range timelines(files) {
		var own []WALFile
		for _, f := range files {
			if f.Timeline == tli {
				own = append(own, f)
			}
		}
		p := planTimeline(tli, own, list, depth, segSize, now)
		p.choose(own, segSize)
		plans = append(plans, p)
	}
	return plans
}

func timelines(files []WALFile) (tlis []wal.Timeline) {
	for _, f := range files {
		tlis = append(tlis, f.Timeline)
	}
	slices.Sort(tlis)
	return slices.Compact(tlis)
}

// planTimeline finds out from where on a timeline is wanted.
func planTimeline(tli wal.Timeline, files []WALFile, list catalog.List, depth, segSize uint32, now time.Time) TimelinePlan {
	p := TimelinePlan{TLI: tli}
	p.First, p.Last = span(files)
	users, unknown := users(list, tli)
	if depth > 0 {
		var counted catalog.List
		left := wal.SegmentStart(p.First+1, segSize) // the old timeline was, before here
		for _, b := range users {
			switch {
			case uint32(len(counted)) == depth || !b.Status.Usable():
			case b.Timeline < tli && max(b.StartLSN, b.StopLSN) >= left:
			case pinned(b, now):
				p.Pinned = append(p.Pinned, b.ID)
			default:
				counted = append(counted, b)
			}
		}
		if uint32(len(counted)) == depth {
			p.Anchor = oldestStart(counted)
			p.Keep = wal.SegmentNumber(p.Anchor, segSize)
			p.protectArchiveBackups(users, segSize)
			return p
		}
	}
	switch {
	case len(users) > 0:
		p.Keep = wal.SegmentNumber(oldestStart(users), segSize)
	case unknown:
		p.Keep = p.First // nothing goes
	default:
		p.All = true
	}
	return p
}

// span is the range of complete segments, or of all files if there is none.
func span(files []WALFile) (first, last uint64) {
	var segnos []uint64
	for _, f := range files {
		if f.Kind == walarchive.Segment {
			segnos = append(segnos, f.Segno)
		}
	}
	if len(segnos) == 0 {
		for _, f := range files {
			segnos = append(segnos, f.Segno)
		}
	}
	return slices.Min(segnos), slices.Max(segnos)
}

// users are the backups, in any state, that could be recovered along a
// timeline. unknown says that there are some whose place in the log is not
// known (yet): just started, or with a damaged control file.
func users(list catalog.List, tli wal.Timeline) (users catalog.List, unknown bool) {
	for _, b := range list {
		switch {
		case damaged(b) || b.StartLSN == 0 && b.Status == catalog.StatusRunning:
			unknown = true
		case b.StartLSN != 0 && b.Timeline <= tli:
			users = append(users, b)
		}
	}
	return users, unknown
}

func oldestStart(list catalog.List) wal.LSN {
	oldest := list[0].StartLSN
	for _, b := range list {
		oldest = min(oldest, b.StartLSN)
	}
	return oldest
}

// protectArchiveBackups adds the WAL of backups older than the anchor that
// have none inside. One from a standby ends a segment later.
func (p *TimelinePlan) protectArchiveBackups(users catalog.List, segSize uint32) {
	for _, b := range users {
		if b.Stream || b.Timeline != p.TLI || b.StartLSN >= p.Anchor {
			continue
		}
		i := Interval{Backup: b.ID, Begin: wal.SegmentNumber(b.StartLSN, segSize), End: p.Keep}
		if b.StopLSN >= b.StartLSN {
			i.End = wal.SegmentNumber(b.StopLSN, segSize)
			if b.FromReplica {
				i.End++
			}
		}
		p.Protected = append(p.Protected, i)
	}
}

// choose fills in the files to remove and the sizes.
func (p *TimelinePlan) choose(files []WALFile, segSize uint32) {
	switch {
	case p.All:
		p.LogicalSize = int64(p.Last-p.First+1) * int64(segSize)
	case p.Keep > p.First:
		p.LogicalSize = int64(p.Keep-p.First) * int64(segSize)
	}
	for _, f := range files {
		if p.wanted(f) {
			continue
		}
		p.Remove = append(p.Remove, f)
		p.ResidentSize += f.Size
	}
}

func (p *TimelinePlan) wanted(f WALFile) bool {
	if p.All {
		return false
	}
	return f.Segno >= p.Keep || slices.ContainsFunc(p.Protected, func(i Interval) bool {
		return f.Segno >= i.Begin && f.Segno <= i.End
	})
}
