package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// seal makes the copied files a backup: the rest of the files, the final list,
// status DONE, then the check that makes it OK (spec/formats.md §1.2).
func (r *run) seal(ctx context.Context) error {
	if err := r.addWAL(ctx); err != nil {
		return err
	}
	if err := r.writeDatabaseMap(); err != nil {
		return err
	}
	if err := r.saveList(); err != nil {
		return err
	}
	if err := r.syncRest(); err != nil {
		return err
	}
	if err := r.checkEnd(); err != nil {
		return err
	}
	r.backup.Status = catalog.StatusDone
	r.setEnd()
	if err := r.saveControl(); err != nil {
		return err
	}
	if err := r.pin(); err != nil {
		return err
	}
	// Validation reads the list from the disk. Collected now, the memory of
	// this one is used for that.
	r.source, r.written = nil, nil
	runtime.GC()
	if err := r.validate(ctx); err != nil {
		return err
	}
	r.emit(Completed{ID: r.backup.ID, Resident: r.backup.DataBytes + max(r.backup.WALBytes, 0)})
	return nil
}

// setEnd notes when the backup ended. Its start time is its ID, which lies
// ahead of the clock when another backup began in the same second.
func (r *run) setEnd() {
	r.backup.EndTime = r.deps.Now().Truncate(time.Second)
	if start := r.backup.StartTime(); r.backup.EndTime.Before(start) {
		r.backup.EndTime = start
	}
}

// addWAL adds the received segments to the list.
func (r *run) addWAL(ctx context.Context) error {
	entries, err := r.deps.FS.ReadDir(r.walPath())
	if err != nil {
		return fmt.Errorf("list streamed WAL: %w", err)
	}
	buf := make([]byte, 1<<20)
	for _, d := range entries {
		if !d.Type().IsRegular() {
			continue
		}
		e := contentlist.Entry{Path: path.Join(r.layout.WALDir(), d.Name()), Mode: 0o100600}
		if e.CRC, e.Size, err = checksum(ctx, r.deps.FS, path.Join(r.walPath(), d.Name()), buf); err != nil {
			return fmt.Errorf("read streamed WAL: %w", err)
		}
		r.written = append(r.written, e)
	}
	return nil
}

func checksum(ctx context.Context, fsys fsx.FS, name string, buf []byte) (crc uint32, size int64, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close() // read only
	size, err = fsx.WalkSparse(ctx, f, buf, fsx.Walker{
		Data: func(_ int64, p []byte) error { crc = crc32c.Update(crc, p); return nil },
		Hole: func(_, n int64) error { crc = crc32c.Zeros(crc, n); return nil },
	})
	return crc, size, err
}

// writeDatabaseMap stores which database has which oid (formats.md §8.3).
func (r *run) writeDatabaseMap() error {
	if len(r.databases) == 0 {
		return nil
	}
	var b strings.Builder
	list := make([]catalog.Database, len(r.databases))
	for i, d := range r.databases {
		list[i] = catalog.Database{OID: d.OID, Name: d.Name}
	}
	if err := catalog.WriteDatabaseMap(&b, list); err != nil {
		return err
	}
	return r.writeOwn(catalog.DatabaseMapName, []byte(b.String()))
}

// saveList writes backup_content.control and, with what it sums up, then
// backup.control.
func (r *run) saveList() error {
	var sums contentlist.Counters
	var crc uint32
	write := func(w io.Writer) error {
		sums = contentlist.Counters{}
		list := contentlist.NewWriter(w)
		for i := range r.source.items {
			it := r.source.items[i]
			if it.vanished {
				continue
			}
			if err := list.Write(&it.Entry); err != nil {
				return err
			}
			sums.Add(&it.Entry, false)
		}
		for i := range r.written {
			e := &r.written[i]
			if err := list.Write(e); err != nil {
				return err
			}
			sums.Add(e, ownFile(e, r.backup.FromReplica))
		}
		crc = list.CRC()
		return nil
	}
	if err := fsx.WriteFileDurable(r.deps.FS, r.backup.ContentPath(), 0o600, write); err != nil {
		return fmt.Errorf("write file list of backup %s: %w", r.backup.ID, err)
	}
	r.backup.ContentCRC = crc
	r.backup.DataBytes, r.backup.WALBytes = sums.DataBytes, sums.WALBytes
	r.backup.UncompressedBytes = sums.UncompressedBytes
	return r.saveControl()
}

// ownFile has the files that do not count as uncompressed bytes because the
// source did not have them (formats.md §3.6).
func ownFile(e *contentlist.Entry, replica bool) bool {
	return e.Path == catalog.DatabaseMapName || e.Path == "tablespace_map" && replica
}

// syncRest makes durable what the copy engine and the receiver have not:
// the names in the backup's own directories.
func (r *run) syncRest() error {
	if r.opts.NoSync {
		r.emit(SyncSkipped{})
		return nil
	}
	began := r.deps.Now()
	files := 0
	for i := range r.source.items {
		if r.source.items[i].Size > 0 {
			files++
		}
	}
	r.emit(SyncStarted{Files: files})
	for _, dir := range []string{r.walPath(), r.backup.DatabaseDir(), r.backup.Dir} {
		if err := r.deps.FS.SyncDir(dir); err != nil {
			return usererr.Wrap(err, "Cannot sync file \"%s\": %s", dir, usererr.SystemText(err))
		}
	}
	r.emit(SyncFinished{Files: files, Elapsed: r.elapsedSince(began)})
	return nil
}

// lastPin is the latest time a pin may have: the format's years have four
// digits (spec/cli.md §13 row 2).
var lastPin = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// pin applies --ttl or --expire-time.
func (r *run) pin() error {
	until := r.opts.ExpireTime
	if r.opts.TTL > 0 {
		until = r.backup.RecoveryTime.Add(r.opts.TTL)
	}
	if until.IsZero() {
		return nil
	}
	if until.After(lastPin) || until.Before(r.backup.RecoveryTime) && r.opts.TTL > 0 {
		return usererr.New("Failed to set 'expire-time' for backup %s: it would lie beyond the year 9999", r.backup.ID)
	}
	r.backup.ExpireTime = until
	if err := r.saveControl(); err != nil {
		return err
	}
	r.emit(Pinned{ID: r.backup.ID, Until: r.backup.ExpireTime})
	return nil
}

// validate checks what was stored, unless told not to.
func (r *run) validate(ctx context.Context) error {
	if r.opts.NoValidate {
		return nil
	}
	err := validate.Files(ctx, validate.Deps{FS: r.deps.FS, Instance: r.opts.Instance, Sink: r.deps.Sink}, r.backup, validate.Options{
		Threads: r.opts.Threads, SkipBlockValidation: r.opts.SkipBlockValidation,
	})
	if err != nil {
		return err
	}
	if r.backup.Status != catalog.StatusOK {
		return usererr.Wrap(errors.New("validation found damage"), "Backup %s failed", r.backup.ID)
	}
	return nil
}
