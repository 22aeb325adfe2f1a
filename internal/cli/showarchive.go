package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walarchive"
)

// This file prints show --archive (spec/cli.md §8.4).

// shownArchive is an instance's WAL archive together with its backups.
type shownArchive struct {
	shownInstance
	Archive *walarchive.Archive
}

func (s *session) readArchive(root string, inst shownInstance) (shownArchive, error) {
	a, err := walarchive.Scan(s.env.FS, filepath.Join(root, "wal", inst.Name), s.console)
	return shownArchive{shownInstance: inst, Archive: a}, err
}

// on lists the backups of a timeline, newest first.
func (a shownArchive) on(tli wal.Timeline) []*catalog.Backup {
	var out []*catalog.Backup
	for _, b := range a.Backups {
		if b.Timeline == tli {
			out = append(out, b)
		}
	}
	return out
}

// zratio compares the segments' real size with that of their files.
func (a shownArchive) zratio(t walarchive.Timeline) float64 {
	if t.Size <= 0 {
		return 1
	}
	return float64(a.Archive.SegSize) * float64(t.Segments) / float64(t.Size)
}

func (a shownArchive) segment(t walarchive.Timeline, segno uint64) string {
	return wal.SegmentName(t.TLI, segno, a.Archive.SegSize)
}

func archiveStatus(t walarchive.Timeline) string {
	if len(t.Lost) > 0 {
		return "DEGRADED"
	}
	return "OK"
}

func writeArchivePlain(w io.Writer, a shownArchive) error {
	if _, err := fmt.Fprintf(w, "\nARCHIVE INSTANCE '%s'\n", a.Name); err != nil {
		return err
	}
	columns := []column{
		{header: "TLI"}, {header: "Parent TLI"}, {header: "Switchpoint"},
		{header: "Min Segno"}, {header: "Max Segno"}, {header: "N segments"},
		{header: "Size"}, {header: "Zratio"}, {header: "N backups"}, {header: "Status"},
	}
	var rows [][]string
	for _, t := range a.Archive.Timelines {
		rows = append(rows, []string{
			fmt.Sprint(t.TLI), "0", "0/0", // no timeline history, as in the C tool
			a.segment(t, t.Min), a.segment(t, t.Max), strconv.Itoa(t.Segments),
			prettySize(t.Size), fmt.Sprintf("%.2f", a.zratio(t)),
			strconv.Itoa(len(a.on(t.TLI))), archiveStatus(t),
		})
	}
	return writeTable(w, columns, rows)
}

func archiveJSON(a shownArchive, p compat.Profile, loc *time.Location) jsonObject {
	parents := parentTimelines(a.Backups)
	timelines := jsonArray{}
	for _, t := range a.Archive.Timelines {
		lost, backups := jsonList{}, jsonList{}
		for _, gap := range t.Lost {
			lost = append(lost, jsonObject{
				{"begin-segno", jsonString(a.segment(t, gap.Begin))},
				{"end-segno", jsonString(a.segment(t, gap.End))},
			})
		}
		for _, b := range a.on(t.TLI) {
			backups = append(backups, backupJSON(b, parents[b], p, loc))
		}
		var o jsonObject
		o.number("tli", int64(t.TLI))
		o.number("parent-tli", 0)
		o.text("switchpoint", "0/0")
		o.text("min-segno", a.segment(t, t.Min))
		o.text("max-segno", a.segment(t, t.Max))
		o.number("n-segments", int64(t.Segments))
		o.number("size", t.Size)
		o.add("zratio", jsonLiteral(fmt.Sprintf("%.2f", a.zratio(t))))
		o.text("closest-backup-id", "")
		o.text("status", archiveStatus(t))
		o.add("lost-segments", lost)
		o.add("backups", backups)
		timelines = append(timelines, o)
	}
	var o jsonObject
	o.text("instance", a.Name)
	o.add("timelines", timelines)
	return o
}
