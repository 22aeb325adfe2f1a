package validate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
)

// Deps are the things a validation works with.
type Deps struct {
	FS       fsx.FS
	Instance *catalog.Instance
	Sink     event.Sink
}

// Options say how thoroughly to check.
type Options struct {
	Threads int
	// SkipBlockValidation compares the CRCs of data files instead of looking
	// at every page. Damage is found all the same.
	SkipBlockValidation bool
	// Thrifty compares the CRCs of data files, too, but looks at the pages of
	// those whose CRC is wrong, and says the same of them as a check of all
	// pages: what has the CRC of the list was checked when it was stored.
	Thrifty bool
	// Known, if set, tells files whose content the caller knows to be good;
	// only their size and headers are checked.
	Known func(*contentlist.Entry) bool
	// Archive is the instance's WAL directory, for backups without own WAL.
	Archive string
}

// Files checks everything stored in one backup but its WAL records, sets its
// status to OK or CORRUPT and saves it. A status other than OK, DONE, ORPHAN,
// MERGING and CORRUPT is only reported. Damage is no error.
func Files(ctx context.Context, deps Deps, b *catalog.Backup, opts Options) error {
	c := check{Deps: deps, opts: opts, backup: b}
	return c.files(ctx)
}

// Contents makes the same checks whatever status the backup has, and leaves
// it: for a merge, which decides about the result itself.
func Contents(ctx context.Context, deps Deps, b *catalog.Backup, opts Options) (good bool, err error) {
	c := check{Deps: deps, opts: opts, backup: b}
	layout, err := c.acceptable()
	if err != nil {
		return false, err
	}
	return c.contents(ctx, layout)
}

// WAL checks the records from start to stop of a backup whose files are good,
// and sets the status to CORRUPT if some are missing or damaged.
func WAL(ctx context.Context, deps Deps, b *catalog.Backup, opts Options) error {
	c := check{Deps: deps, opts: opts, backup: b}
	return c.wal(ctx)
}

// check is the check of one backup.
type check struct {
	Deps
	opts   Options
	backup *catalog.Backup
}

// maxVersion is the newest program version whose backups are understood.
const maxVersion = 20402

func (c *check) files(ctx context.Context) error {
	b := c.backup
	damaged, err := c.controlSum()
	if err != nil {
		return err
	}
	layout, err := c.acceptable()
	if err != nil && damaged {
		// What it says of versions means nothing then.
		return c.settle(catalog.StatusCorrupt, FilesCorrupted{ID: b.ID})
	}
	if err != nil {
		return err
	}
	if skip, err := c.skip(); skip || err != nil {
		return err
	}
	c.Sink.Emit(Started{ID: b.ID, Revalidate: b.Status == catalog.StatusOrphan || b.Status == catalog.StatusCorrupt})
	if b.Mode == catalog.ModeInvalid {
		c.Sink.Emit(InvalidMode{ID: b.ID})
	}
	good, err := c.contents(ctx, layout)
	if err != nil {
		return err
	}
	if !good || damaged {
		return c.settle(catalog.StatusCorrupt, FilesCorrupted{ID: b.ID})
	}
	if b.Status == catalog.StatusMerging {
		c.Sink.Emit(FilesValid{ID: b.ID})
		return nil
	}
	return c.settle(catalog.StatusOK, FilesValid{ID: b.ID})
}

// settle saves a status if it is new, and says how the check ended.
func (c *check) settle(s catalog.Status, e event.Event) error {
	if c.backup.Status != s {
		if err := c.Instance.SetStatus(c.backup, s); err != nil {
			return fmt.Errorf("save status of backup %s: %w", c.backup.ID, err)
		}
	}
	c.Sink.Emit(e)
	return nil
}

// acceptable refuses backups of programs and servers that are not known.
func (c *check) acceptable() (pgdata.Layout, error) {
	b := c.backup
	if err := CheckProgram(b); err != nil {
		return pgdata.Layout{}, err
	}
	return LayoutOf(b)
}

// skip sorts out what cannot be checked by its status.
func (c *check) skip() (bool, error) {
	b := c.backup
	switch {
	case b.Status == catalog.StatusRunning:
		c.Sink.Emit(RunningMarkedError{ID: b.ID, Status: b.Status})
		return true, c.Instance.SetStatus(b, catalog.StatusError)
	case b.Status == catalog.StatusMerging && b.Mode == catalog.ModeFull:
		c.Sink.Emit(Skipped{ID: b.ID, Status: b.Status, FullMerging: true})
		return true, nil
	case b.StorageType == catalog.StorageDSS && checkable(b.Status):
		// Only where the instance is another one does that make it bad.
		if shared, err := c.Instance.SharedStorage(); shared || err != nil {
			return true, errors.Join(err, ErrSharedStorage)
		}
		return true, c.settle(catalog.StatusCorrupt, OtherStorage{ID: b.ID, Instance: c.Instance.Name()})
	case checkable(b.Status):
		return false, nil
	}
	c.Sink.Emit(Skipped{ID: b.ID, Status: b.Status})
	return true, nil
}

// ErrSharedStorage is the error where shared storage is needed.
var ErrSharedStorage = usererr.New("fail to init dss device: shared storage is not built into this binary")

// checkable tells whether a backup in this state is looked at.
func checkable(s catalog.Status) bool {
	return s.Usable() || s == catalog.StatusOrphan || s == catalog.StatusMerging || s == catalog.StatusCorrupt
}

// contents checks control file, list and files.
func (c *check) contents(ctx context.Context, layout pgdata.Layout) (bool, error) {
	entries, ok, err := c.list()
	if err != nil || !ok {
		return false, err
	}
	good, err := c.control(entries, layout)
	if err != nil {
		return false, err
	}
	rules := pgdata.PageRules{Family: layout.Family, Checksums: c.backup.ChecksumVersion != 0}
	fc := fileCheck{
		FS: c.FS, Sink: c.Sink, Backup: c.backup, Threads: c.opts.Threads,
		Pages: pageSettings{
			Rules: rules, StopLSN: c.backup.StopLSN, CRCOnly: c.opts.SkipBlockValidation || c.opts.Thrifty,
			RelSegBlocks: c.relSegBlocks(),
		},
		Thrifty: c.opts.Thrifty, Known: c.opts.Known,
	}
	filesGood, err := fc.run(ctx, entries)
	return good && filesGood, err
}

// list reads the content list and compares its CRC. ok is false for a damaged
// list, which was reported.
func (c *check) list() (entries []contentlist.Entry, ok bool, err error) {
	b := c.backup
	f, err := c.FS.Open(b.ContentPath())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, false, usererr.Wrap(err, "cannot open \"%s\": %s", b.ContentPath(), usererr.SystemText(err))
		}
		return nil, false, err
	}
	defer f.Close() // read only
	entries, crc, err := contentlist.ReadAll(f, 0)
	if crcErr := c.listCRC(f, crc, err); crcErr != nil {
		return nil, false, crcErr
	}
	if err == nil && b.ContentCRC != 0 && crc != b.ContentCRC {
		c.Sink.Emit(ListUnreadable{ID: b.ID})
		return nil, false, nil
	}
	if err != nil {
		c.Sink.Emit(ListUnreadable{ID: b.ID, Err: err})
		return nil, false, nil
	}
	return entries, true, nil
}

// listCRC reports a wrong CRC of the whole list. After a bad line the rest has
// not been read yet.
func (c *check) listCRC(f fsx.File, crc uint32, parse error) error {
	if c.backup.ContentCRC == 0 {
		return nil
	}
	if parse != nil {
		var err error
		if crc, err = wholeCRC(f); err != nil {
			return fmt.Errorf("read file list of backup %s: %w", c.backup.ID, err)
		}
	}
	if crc != c.backup.ContentCRC {
		c.Sink.Emit(ListCRC{Path: c.backup.ContentPath(), Found: crc, Expected: c.backup.ContentCRC})
	}
	return nil
}

// relSegBlocks is the number of blocks in a segment file, by the backup's own
// pg_control; a damaged one is found when the files are checked.
func (c *check) relSegBlocks() uint32 {
	raw, err := fsx.ReadFile(c.FS, filepath.Join(c.backup.DatabaseDir(), pgdata.ControlPath), 2*pgdata.ControlFileSize)
	if err == nil {
		if ctl, err := pgdata.ParseControl(raw); err == nil && ctl.RelSegBlocks != 0 {
			return ctl.RelSegBlocks
		}
	}
	return pgdata.DefaultRelSegBlocks
}

// wal checks the WAL range; a backup that is not OK or DONE is left alone.
func (c *check) wal(ctx context.Context) error {
	b := c.backup
	if !b.Status.Usable() {
		return nil
	}
	layout, err := c.acceptable()
	if err != nil {
		return err
	}
	entries, ok, err := c.list()
	if err != nil {
		return err
	}
	if ok {
		w := walCheck{
			FS: c.FS, Sink: c.Sink, Backup: b, Layout: layout, Archive: c.opts.Archive,
			SegSize: segmentSize(layout, entries), Threads: c.opts.Threads,
		}
		good, err := w.run(ctx)
		if err != nil {
			return err
		}
		if good {
			c.Sink.Emit(WALValid{ID: b.ID})
			return nil
		}
	}
	return c.settle(catalog.StatusCorrupt, WALCorrupted{ID: b.ID})
}

func wholeCRC(f fsx.File) (uint32, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return readerCRC(f)
}

// versionNumber turns a.b.c into a*10000+b*100+c; an empty version is 0.
func versionNumber(v string) (int, error) {
	if v == "" {
		return 0, nil
	}
	n := 0
	parts := strings.Split(v, ".")
	for _, p := range parts {
		k, err := strconv.ParseUint(p, 10, 8)
		if err != nil || k > 99 {
			return 0, usererr.New("Unknown program version format %s", v)
		}
		n = n*100 + int(k)
	}
	if len(parts) != 3 {
		return 0, usererr.New("Unknown program version format %s", v)
	}
	return n, nil
}
