package validate

import (
	"errors"
	"fmt"
	"io"
	"path"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
)

// controlSum compares backup.control with the checksum kept beside it, before
// anything it says is believed.
func (c *check) controlSum() (damaged bool, err error) {
	err = catalog.CheckControlSum(c.FS, c.backup)
	if errors.Is(err, catalog.ErrControlSum) {
		c.Sink.Emit(ControlDamaged{Path: c.backup.ControlPath(), Reason: err.Error()})
		return true, nil
	}
	return false, err
}

// control compares backup.control with itself and with what else is known of
// the backup. The format has no checksum for this file, but most of what it
// says is said somewhere else, too. A start time that is not the directory's
// does no harm; whoever lists the backups is warned of it.
func (c *check) control(entries []contentlist.Entry, layout pgdata.Layout) (bool, error) {
	good := true
	report := func(format string, args ...any) {
		good = false
		c.Sink.Emit(ControlDamaged{Path: c.backup.ControlPath(), Reason: fmt.Sprintf(format, args...)})
	}
	b := c.backup
	if b.BlockSize != catalog.BlockSize || b.XLogBlockSize != catalog.BlockSize {
		report("block-size %d, xlog-block-size %d: want %d", b.BlockSize, b.XLogBlockSize, catalog.BlockSize)
	}
	if b.Mode == catalog.ModeFull && b.ParentID != 0 {
		report("a FULL backup with parent %s", b.ParentID)
	}
	if b.StopLSN < b.StartLSN {
		report("stop-lsn %s before start-lsn %s", b.StopLSN, b.StartLSN)
	}
	c.counters(entries, report)
	c.externals(entries, report)
	c.label(entries, report)
	return good, nil
}

// counters compares the byte counts with the list they were made from
// (spec/formats.md §3.6). How releases before 5.0 counted is not known; theirs
// have no storage type, and a false alarm would keep a good backup from use.
func (c *check) counters(entries []contentlist.Entry, report func(string, ...any)) {
	b := c.backup
	if b.StorageType == catalog.StorageAbsent {
		return
	}
	var sums contentlist.Counters
	for i := range entries {
		sums.Add(&entries[i], false)
	}
	if b.DataBytes >= 0 && b.DataBytes != sums.DataBytes {
		report("data-bytes %d, the listed files have %d", b.DataBytes, sums.DataBytes)
	}
	if b.Stream && b.WALBytes >= 0 && b.WALBytes != sums.WALBytes {
		report("wal-bytes %d, the listed files have %d", b.WALBytes, sums.WALBytes)
	}
}

// externals looks for files of external directories that are not recorded:
// where would they go?
func (c *check) externals(entries []contentlist.Entry, report func(string, ...any)) {
	n := len(c.backup.Externals())
	for i := range entries {
		if entries[i].ExternalDir > n {
			report("file of external directory %d, external-dirs has %d", entries[i].ExternalDir, n)
			return
		}
	}
}

// label compares start LSN and timeline with the backup_label of the server.
// A label that cannot be read is reported with the other files.
func (c *check) label(entries []contentlist.Entry, report func(string, ...any)) {
	b := c.backup
	for i := range entries {
		e := &entries[i]
		if e.Path != pgdata.BackupLabelName || e.ExternalDir != 0 || e.Size <= 0 {
			continue
		}
		raw, err := fsx.ReadFile(c.FS, path.Join(b.DatabaseDir(), e.Path), 64<<10)
		if err != nil || crc32c.Sum(raw) != e.CRC {
			return
		}
		l, err := pgdata.ParseBackupLabel(raw)
		if err != nil {
			return
		}
		// Logical slots may have moved the start back (server.md §2.1 #9).
		if b.StartLSN > l.StartLSN {
			report("start-lsn %s behind that of backup_label, %s", b.StartLSN, l.StartLSN)
		}
		if l.Timeline != 0 && l.Timeline != b.Timeline {
			report("timelineid %d, backup_label has %d", b.Timeline, l.Timeline)
		}
	}
}

func readerCRC(r io.Reader) (uint32, error) {
	crc := uint32(0)
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		crc = crc32c.Update(crc, buf[:n])
		if err == io.EOF {
			return crc, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
