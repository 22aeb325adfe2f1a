package cli

import (
	"fmt"
	"strconv"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/wal"
)

// none stands in a table for a value that is not known.
const none = "----"

// shownInstance is an instance with what show prints of it.
type shownInstance struct {
	Name    string
	DSS     bool
	Backups []*catalog.Backup // newest first
}

// parentTimelines finds the timeline of each backup's parent; 0 for a FULL
// and when the parent is not in the list. (The C tool repeats the number of
// the row before in the latter case.)
func parentTimelines(backups []*catalog.Backup) map[*catalog.Backup]wal.Timeline {
	byID := map[catalog.ID]*catalog.Backup{}
	for _, b := range backups {
		byID[b.ID] = b
	}
	out := map[*catalog.Backup]wal.Timeline{}
	for _, b := range backups {
		if parent := byID[b.ParentID]; b.ParentID != 0 && parent != nil {
			out[b] = parent.Timeline
		}
	}
	return out
}

// backupColumns are the columns of show's table (spec/cli.md §8.1).
func backupColumns(p compat.Profile) []column {
	columns := []column{
		{header: "Instance"}, {header: "Version"}, {header: "ID"}, {header: "Recovery Time"},
		{header: "Mode"}, {header: "WAL Mode"}, {header: "TLI"},
		{header: "Time", right: true}, {header: "Data", right: true},
		{header: "WAL", right: true}, {header: "Zratio", right: true},
		{header: "Start LSN"}, {header: "Stop LSN"},
	}
	if p.TypeColumn {
		columns = append(columns, column{header: "Type"})
	}
	if p.S3StatusColumn {
		columns = append(columns, column{header: "S3 Status"})
	}
	return append(columns, column{header: "Status"})
}

func backupRows(inst shownInstance, p compat.Profile, now time.Time, loc *time.Location) [][]string {
	parents := parentTimelines(inst.Backups)
	var rows [][]string
	for _, b := range inst.Backups {
		row := []string{
			inst.Name,
			orNone(b.ServerVersion),
			b.ID.String(),
			timeOrNone(b.RecoveryTime, loc),
			b.Mode.String(),
			walMode(b),
			fmt.Sprintf("%d/%d", b.Timeline, parents[b]),
			backupTime(b, now),
			prettySize(b.DataBytes),
			prettySize(b.WALBytes),
			fmt.Sprintf("%.2f", ratio(b)),
			b.StartLSN.String(),
			b.StopLSN.String(),
		}
		if p.TypeColumn {
			storage := catalog.StorageFile
			if inst.DSS {
				storage = catalog.StorageDSS
			}
			row = append(row, storage.String())
		}
		if p.S3StatusColumn {
			row = append(row, b.S3Status.String())
		}
		rows = append(rows, append(row, b.Status.String()))
	}
	return rows
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

func timeOrNone(t time.Time, loc *time.Location) string {
	if t.IsZero() || t.Unix() <= 0 {
		return none
	}
	return optvalue.FormatTime(t, loc)
}

func walMode(b *catalog.Backup) string {
	if b.Stream {
		return "STREAM"
	}
	return "ARCHIVE"
}

// backupTime is how long a backup took, or has been running.
func backupTime(b *catalog.Backup, now time.Time) string {
	end := b.EndTime
	if b.Status == catalog.StatusRunning {
		end = now
	}
	if end.IsZero() {
		return none
	}
	start := b.StartTime()
	if !b.MergeTime.IsZero() && b.Status != catalog.StatusRunning {
		start = b.MergeTime
	}
	return prettyTime(end.Truncate(time.Second).Sub(start))
}

// ratio is the compression ratio, in single precision as in the C tool.
func ratio(b *catalog.Backup) float32 {
	if b.DataBytes <= 0 || b.UncompressedBytes <= 0 {
		return 1
	}
	return float32(b.UncompressedBytes) / float32(b.DataBytes)
}

// backupJSON is one backup of show's JSON (spec/cli.md §8.2).
func backupJSON(b *catalog.Backup, parentTLI wal.Timeline, p compat.Profile, loc *time.Location) jsonObject {
	var o jsonObject
	timeIfSet := func(key string, t time.Time) {
		if !t.IsZero() && t.Unix() > 0 {
			o.text(key, optvalue.FormatTime(t, loc))
		}
	}
	o.text("id", b.ID.String())
	if b.ParentID != 0 {
		o.text("parent-backup-id", b.ParentID.String())
	}
	o.text("backup-mode", b.Mode.String())
	o.text("wal", walMode(b))
	o.text("compress-alg", b.CompressAlg.String())
	o.number("compress-level", int64(b.CompressLevel))
	o.text("from-replica", strconv.FormatBool(b.FromReplica))
	o.number("block-size", int64(b.BlockSize))
	o.number("xlog-block-size", int64(b.XLogBlockSize))
	o.number("checksum-version", int64(b.ChecksumVersion))
	o.text("program-version", b.ProgramVersion)
	o.text("server-version", b.ServerVersion)
	o.number("current-tli", int64(b.Timeline))
	o.number("parent-tli", int64(parentTLI))
	o.text("start-lsn", b.StartLSN.String())
	o.text("stop-lsn", b.StopLSN.String())
	o.text("start-time", optvalue.FormatTime(b.StartTime(), loc))
	timeIfSet("end-time", b.EndTime)
	o.add("recovery-xid", jsonLiteral(strconv.FormatUint(b.RecoveryXID, 10)))
	timeIfSet("recovery-time", b.RecoveryTime)
	o.text("recovery-name", b.RecoveryName)
	timeIfSet("expire-time", b.ExpireTime)
	if b.DataBytes >= 0 {
		o.number("data-bytes", b.DataBytes)
	}
	if b.WALBytes >= 0 {
		o.number("wal-bytes", b.WALBytes)
	}
	if b.UncompressedBytes >= 0 {
		o.number("uncompressed-bytes", b.UncompressedBytes)
		o.number("pgdata-bytes", b.PGDataBytes)
		if p.DSSDataBytes {
			o.number("dssdata-bytes", 0)
		}
	}
	if b.ExternalDirs != "" {
		o.text("external-dirs", b.ExternalDirs)
	}
	o.text("status", b.Status.String())
	if b.Note != "" {
		o.text("note", b.Note)
	}
	if b.ContentCRC != 0 {
		o.number("content-crc", int64(b.ContentCRC))
	}
	return o
}

// instanceJSON is one instance of show's JSON.
func instanceJSON(inst shownInstance, p compat.Profile, loc *time.Location) jsonObject {
	parents := parentTimelines(inst.Backups)
	backups := jsonArray{}
	for _, b := range inst.Backups {
		backups = append(backups, backupJSON(b, parents[b], p, loc))
	}
	var o jsonObject
	o.text("instance", inst.Name)
	o.add("backups", backups)
	return o
}

// frameJSON is what stands around the instances: an object since 6.0.
func frameJSON(instances jsonArray, p compat.Profile) jsonValue {
	if p.JSONFrame {
		return jsonObject{{"backup_info", instances}}
	}
	return instances
}
