package retention

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"

	"pgregory.net/rapid"
)

const testSeg = wal.MinSegSize

// archive makes segments of a timeline, both ends included.
func archive(tli wal.Timeline, from, to uint64) (files []WALFile) {
	for n := from; n <= to; n++ {
		name := wal.SegmentName(tli, n, testSeg)
		files = append(files, WALFile{File: walarchive.File{Name: name, Segment: name, Size: 10}, Timeline: tli, Segno: n})
	}
	return files
}

// walBackup is a good STREAM backup whose WAL is in two segments.
func walBackup(id catalog.ID, tli wal.Timeline, segno uint64, change ...func(*catalog.Backup)) *catalog.Backup {
	b := &catalog.Backup{ID: id, Mode: catalog.ModeFull, Status: catalog.StatusOK, Stream: true, Timeline: tli,
		StartLSN: wal.SegmentStart(segno, testSeg) + 40, StopLSN: wal.SegmentStart(segno+1, testSeg) + 400}
	for _, f := range change {
		f(b)
	}
	return b
}

func TestPlanWAL(t *testing.T) {
	archived := func(b *catalog.Backup) { b.Stream = false }
	standby := func(b *catalog.Backup) { b.FromReplica = true }
	pin := func(b *catalog.Backup) { b.ExpireTime = today.AddDate(0, 0, 1) }
	status := func(s catalog.Status) func(*catalog.Backup) { return func(b *catalog.Backup) { b.Status = s } }
	unknown := func(b *catalog.Backup) { b.StartLSN = 0; b.Status = catalog.StatusRunning }
	two := slices.Concat(archive(1, 10, 19), archive(2, 15, 24), archive(3, 20, 29))
	for _, tt := range []struct {
		name  string
		depth uint32
		list  catalog.List
		want  string // per timeline: what goes
	}{
		{"no backup at all", 0, nil, "1 all, 2 all, 3 all"},
		{"one that has just been started", 0, catalog.List{walBackup(1, 1, 0, unknown)}, "1 from 10, 2 from 15, 3 from 20"},
		{"one timeline with backups, later ones without", 0, catalog.List{walBackup(2, 1, 17), walBackup(1, 1, 12)},
			"1 from 12, 2 from 12, 3 from 12"},
		{"the same with depth", 1, catalog.List{walBackup(2, 1, 17), walBackup(1, 1, 12)}, "1 from 17, 2 from 12, 3 from 17"},
		{"the old timeline goes on", 1, catalog.List{walBackup(3, 1, 22), walBackup(2, 2, 18), walBackup(1, 1, 12)}, "1 from 22, 2 from 18, 3 from 18"},
		{"an older timeline nobody can use", 0, catalog.List{walBackup(1, 2, 18)}, "1 all, 2 from 18, 3 from 18"},
		{"a backup before the switch may go along the new timeline", 0, catalog.List{walBackup(2, 2, 20), walBackup(1, 1, 12)},
			"1 from 12, 2 from 12, 3 from 12"},
		{"unless only one counts", 1, catalog.List{walBackup(2, 2, 20), walBackup(1, 1, 12)}, "1 from 12, 2 from 20, 3 from 12"},
		{"too few for the depth", 3, catalog.List{walBackup(2, 1, 17), walBackup(1, 1, 12)}, "1 from 12, 2 from 12, 3 from 12"},
		{"any status counts for depth 0", 0, catalog.List{walBackup(2, 1, 17), walBackup(1, 1, 12, status(catalog.StatusError))},
			"1 from 12, 2 from 12, 3 from 12"},
		{"good and not pinned ones for the others", 1, catalog.List{walBackup(3, 1, 18, status(catalog.StatusCorrupt)), walBackup(2, 1, 17, pin), walBackup(1, 1, 14)},
			"1 from 14 pinned 2, 2 from 14, 3 from 14 pinned 2"},
		{"a newer backup may be behind in the log", 2, catalog.List{walBackup(2, 2, 16), walBackup(1, 1, 18)},
			"1 from 18, 2 from 16, 3 from 16"},
		{"archive backups keep what they need", 1, catalog.List{walBackup(3, 1, 17), walBackup(2, 1, 14, archived, standby), walBackup(1, 1, 11, archived)},
			"1 from 17 but 14-16 11-12, 2 from 14, 3 from 17"},
		{"also unfinished ones", 1, catalog.List{walBackup(2, 1, 17), walBackup(1, 1, 14, archived, func(b *catalog.Backup) { b.StopLSN = 0 })},
			"1 from 17 but 14-17, 2 from 14, 3 from 17"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range PlanWAL(two, tt.list, tt.depth, testSeg, today) {
				s := fmt.Sprintf("%d from %d", p.TLI, p.Keep)
				if p.All {
					s = fmt.Sprintf("%d all", p.TLI)
				}
				if len(p.Pinned) > 0 {
					s += " pinned"
				}
				for _, id := range p.Pinned {
					s += " " + id.String()
				}
				if len(p.Protected) > 0 {
					s += " but"
				}
				for _, i := range p.Protected {
					s += fmt.Sprintf(" %d-%d", i.Begin, i.End)
				}
				got = append(got, s)
			}
			if g := strings.Join(got, ", "); g != tt.want {
				t.Errorf("got  %s\nwant %s", g, tt.want)
			}
		})
	}
}

func TestPlanWALFiles(t *testing.T) {
	files := archive(1, 10, 13)
	for i, suffix := range []string{".00000028.backup", ".partial", ".gz"} {
		files = append(files, WALFile{File: walarchive.File{Name: files[i].Name + suffix, Size: 1, Kind: walarchive.History}, Timeline: 1, Segno: uint64(9 + 2*i)})
	}
	p := PlanWAL(files, catalog.List{walBackup(1, 1, 12)}, 0, testSeg, today)[0]
	if p.First != 10 || p.Last != 13 || p.Keep != 12 || p.LogicalSize != 2*testSeg || p.ResidentSize != 22 || len(p.Remove) != 4 {
		t.Errorf("%+v", p)
	}
	all := PlanWAL(files, nil, 0, testSeg, today)[0]
	if !all.All || all.LogicalSize != 4*testSeg || len(all.Remove) != len(files) {
		t.Errorf("%+v", all)
	}
	remnant := PlanWAL(files[4:5], catalog.List{walBackup(1, 1, 9)}, 0, testSeg, today)[0]
	if remnant.First != 9 || len(remnant.Remove) != 0 {
		t.Errorf("%+v", remnant)
	}
}

// Whatever the backups are: all WAL from the start of a backup on, on its
// timeline and on any later one, stays without wal-depth; with it the WAL that
// an archive backup cannot do without, and that of the newest backups.
func TestWALNeededStays(t *testing.T) {
	check(t, func(t *rapid.T) {
		var list catalog.List
		for id := catalog.ID(rapid.IntRange(0, 6).Draw(t, "backups")); id > 0; id-- {
			b := walBackup(id, wal.Timeline(rapid.IntRange(1, 4).Draw(t, "tli")), uint64(rapid.IntRange(1, 30).Draw(t, "segno")))
			b.Stream, b.FromReplica = rapid.Bool().Draw(t, "stream"), rapid.Bool().Draw(t, "standby")
			if rapid.IntRange(0, 4).Draw(t, "pin") == 0 {
				b.ExpireTime = today.Add(time.Hour)
			}
			b.Status = rapid.SampledFrom([]catalog.Status{catalog.StatusOK, catalog.StatusDone, catalog.StatusError, catalog.StatusOrphan}).Draw(t, "status")
			list = append(list, b)
		}
		var files []WALFile
		for tli := wal.Timeline(1); tli <= 5; tli++ {
			files = append(files, archive(tli, uint64(rapid.IntRange(1, 20).Draw(t, "from")), uint64(rapid.IntRange(10, 35).Draw(t, "to")))...)
		}
		depth := uint32(rapid.IntRange(0, 3).Draw(t, "depth"))
		gone := map[string]bool{}
		for _, p := range PlanWAL(files, list, depth, testSeg, today) {
			for _, f := range p.Remove {
				gone[f.Name] = true
			}
		}
		for _, f := range files {
			want := modelWAL(f, files, list, depth)
			if want != !gone[f.Name] {
				t.Errorf("segment %d of timeline %d: stays %t, want %t", f.Segno, f.Timeline, !gone[f.Name], want)
			}
		}
	})
}

// modelWAL tells whether a segment has to stay.
func modelWAL(f WALFile, files []WALFile, list catalog.List, depth uint32) bool {
	end := func(n uint64) wal.LSN { return wal.SegmentStart(n+1, testSeg) - 1 }
	first := f.Segno
	for _, other := range files {
		if other.Timeline == f.Timeline {
			first = min(first, other.Segno)
		}
	}
	counts := func(b *catalog.Backup) bool {
		elsewhere := b.Timeline < f.Timeline && (b.StartLSN > end(first) || b.StopLSN > end(first))
		return b.Timeline <= f.Timeline && b.Status.Usable() && !b.ExpireTime.After(today) && !elsewhere
	}
	counted := uint32(0)
	for _, b := range list {
		if counts(b) {
			counted++
		}
	}
	limited := depth > 0 && counted >= depth
	for _, b := range list { // newest first
		if b.Timeline > f.Timeline {
			continue
		}
		needs := !limited
		if limited && depth > 0 && counts(b) {
			needs = true
			depth--
		}
		if needs && end(f.Segno) >= b.StartLSN {
			return true
		}
		stop := b.StopLSN
		if b.FromReplica {
			stop += testSeg
		}
		if b.Timeline == f.Timeline && !b.Stream && end(f.Segno) >= b.StartLSN && wal.SegmentStart(f.Segno, testSeg) <= stop {
			return true
		}
	}
	return false
}
