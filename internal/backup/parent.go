package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
	"gsprobackup/internal/wal"
)

// parent is the backup that an increment builds upon.
type parent struct {
	*catalog.Backup
	chain  catalog.List // FULL first, the parent last
	guards []*lock.Shared
	files  map[fileKey]knownFile
}

// fileKey names a file in the lists of two backups.
type fileKey struct {
	externalDir int
	path        string
}

// knownFile is what the parent's list says of a file.
type knownFile struct {
	data   bool
	blocks uint32
	size   int64 // stored bytes, -1 if the parent's parent has them
	crc    uint32
}

// chooseParent finds the backup to build upon (spec/server.md §3.2): the
// newest good one whose chain is good and goes back to the newest good FULL of
// the time line. What stands in the way of others is emitted on the way. nil
// if there is none.
//
// What was started later than self, or while the clock was ahead, may be
// finished already; but both tools go by the order of the IDs along a chain.
func chooseParent(list catalog.List, tli wal.Timeline, self catalog.ID, emit func(event.Event)) *catalog.Backup {
	list = slices.DeleteFunc(slices.Clone(list), func(b *catalog.Backup) bool { return b.ID > self })
	var full *catalog.Backup
	for _, b := range list {
		if b.Mode == catalog.ModeFull && b.Status.Usable() && b.Timeline == tli {
			full = b
			break
		}
	}
	if full == nil {
		return nil
	}
	emit(LatestFull{ID: full.ID})
	for _, b := range list {
		switch {
		case b.Status.Usable():
			chain, err := list.ChainTo(b)
			var broken *catalog.ChainError
			if errors.As(err, &broken) {
				emit(NoParent{ID: b.ID, Fault: MissingAncestor, Other: broken.Missing})
				continue
			}
			if bad := oldestBad(chain); bad != nil {
				emit(NoParent{ID: b.ID, Fault: BadAncestor, Other: bad.ID})
				continue
			}
			if chain[0] == full && b.Timeline == tli {
				return b
			}
		case b.ID != self:
			emit(NoParent{ID: b.ID, Status: b.Status})
		}
	}
	return nil
}

func oldestBad(chain catalog.List) *catalog.Backup {
	for _, b := range chain {
		if !b.Status.Usable() {
			return b
		}
	}
	return nil
}

// findParent chooses the parent, guards its chain and reads what it has. The C
// tool does so while the server is in backup mode already; here nothing has
// begun yet, so there is nothing to undo when there is no parent.
func (r *run) findParent(ctx context.Context) error {
	if r.opts.Mode == catalog.ModeFull {
		return nil
	}
	list, err := r.opts.Instance.Backups(ctx)
	if err != nil {
		return err
	}
	b := chooseParent(list, r.timeline, r.backup.ID, r.emit)
	if b == nil {
		return r.noParent()
	}
	p := &parent{Backup: b}
	if p.chain, err = list.ChainTo(b); err != nil {
		return err
	}
	r.parent = p
	if err := r.guardParent(); err != nil {
		return err
	}
	r.emit(ParentChosen{ID: b.ID})
	if err := r.checkParent(); err != nil {
		return err
	}
	return r.readParent()
}

func (r *run) noParent() error {
	r.emit(ParentMissing{Timeline: r.timeline})
	return usererr.New("Create new full backup before an incremental one")
}

// guardParent keeps our own commands from deleting or merging the chain. What
// may have happened between listing and guarding shows in the control files.
func (r *run) guardParent() error {
	locker := r.opts.Instance.NewLocker()
	for _, b := range r.parent.chain {
		g, err := locker.Share(b.Dir)
		if errors.Is(err, lock.ErrHeld) {
			return usererr.Wrap(err, "Cannot lock backup %s directory", b.ID)
		}
		if err != nil {
			return err
		}
		r.parent.guards = append(r.parent.guards, g)
	}
	return r.verifyParent()
}

// verifyParent makes sure that the chain is still there. The guards do not
// stop a C tool.
func (r *run) verifyParent() error {
	if r.parent == nil {
		return nil
	}
	for _, b := range r.parent.chain {
		now, err := catalog.ReadControl(r.deps.FS, b.ControlPath(), event.Discard)
		if err != nil {
			return usererr.Wrap(err, "Backup %s, which backup %s is based on, cannot be read any more: %v", b.ID, r.backup.ID, err)
		}
		if !now.Status.Usable() {
			return usererr.New("Backup %s, which backup %s is based on, has status: %s", b.ID, r.backup.ID, now.Status)
		}
	}
	return nil
}

// checkParent refuses parents whose pages do not go with today's.
func (r *run) checkParent() error {
	p := r.parent
	if err := validate.CheckProgram(p.Backup); err != nil {
		return err
	}
	for _, b := range p.chain {
		if r.layout.Family == pgdata.OpenGauss {
			if b.ChecksumVersion == 0 && b.Mode != catalog.ModeFull {
				// Only openGauss 1.1 recorded no checksums. It lost changes
				// behind the first gigabyte of a relation (spec/server.md §3.3).
				return usererr.New("Backup %s was taken by gs_probackup of openGauss 1.1, which misses changes in large relations", b.ID).
					WithHint("take a FULL backup")
			}
			continue
		}
		if b.ChecksumVersion != r.backup.ChecksumVersion {
			return usererr.New("Data checksums were switched on or off since backup %s", b.ID).
				WithHint("pages of both kinds do not mix: take a FULL backup")
		}
	}
	return nil
}

// readParent reads the parent's list.
func (r *run) readParent() error {
	p := r.parent
	p.files = map[fileKey]knownFile{}
	theirs, ours := p.Externals(), r.opts.ExternalDirs
	err := catalog.ScanContent(r.deps.FS, p.Backup, func(e *contentlist.Entry) error {
		if n := e.ExternalDir; n > 0 && (n > len(theirs) || n > len(ours) || theirs[n-1] != ours[n-1]) {
			return nil // under this number there is another directory now
		}
		if e.IsRegular() {
			p.files[fileKey{e.ExternalDir, e.Path}] = knownFile{
				data: e.IsDatafile && !e.IsCFS, blocks: uint32(max(e.NBlocks, 0)), size: e.Size, crc: e.CRC,
			}
		}
		return nil
	})
	var sum *catalog.ContentCRCError
	if errors.As(err, &sum) {
		r.emit(validate.ListCRC{Path: sum.Path, Found: sum.Got, Expected: sum.Want})
	}
	if err != nil {
		return usererr.Wrap(err, "Failed to get file list for backup %s", p.ID)
	}
	return nil
}

// logsHints tells whether no page has changed since the parent without a new
// LSN. Without checksums and wal_log_hints the all-visible mark of a page is
// set that way.
func (r *run) logsHints() (bool, error) {
	if r.layout.Family != pgdata.PostgreSQL {
		return false, nil // not known of openGauss
	}
	if r.rules.Checksums {
		return true, nil
	}
	name := path.Join(r.parent.DatabaseDir(), pgdata.ControlPath)
	raw, err := fsx.ReadFile(r.deps.FS, name, pgdata.ControlFileSize)
	if err != nil {
		return false, fmt.Errorf("read control file of backup %s: %w", r.parent.ID, err)
	}
	then, err := pgdata.ParseControl(raw)
	if err != nil {
		return false, fmt.Errorf("read control file of backup %s: %w", r.parent.ID, err)
	}
	return r.control.LogHints && then.LogHints, nil
}

// linkParent records the parent once the start position is known to lie behind
// the parent's.
func (r *run) linkParent() error {
	p := r.parent
	if p == nil {
		return nil
	}
	if r.startLSN < p.StartLSN {
		return r.fromThePast("START", r.startLSN, p.StartLSN)
	}
	r.backup.ParentID = p.ID
	return r.saveControl()
}

// checkTimeline compares with what the replication connection says, which is
// the last word on a standby.
func (r *run) checkTimeline(context.Context) error {
	if r.parent != nil && r.parent.Timeline != r.timeline {
		return r.noParent()
	}
	return nil
}

// checkEnd is the last look at the parent before the backup counts.
func (r *run) checkEnd() error {
	p := r.parent
	if p == nil {
		return nil
	}
	if r.backup.StopLSN < p.StopLSN {
		return r.fromThePast("STOP", r.backup.StopLSN, p.StopLSN)
	}
	return r.verifyParent()
}

func (r *run) fromThePast(what string, now, then wal.LSN) error {
	return usererr.New("Current %s LSN %s is lower than %s LSN %s of previous backup %s. It may indicate that we are trying to backup %s instance from the past.",
		what, now, what, then, r.parent.ID, r.layout.Family)
}

// release gives the chain free.
func (p *parent) release() error {
	if p == nil {
		return nil
	}
	var errs []error
	for _, g := range p.guards {
		errs = append(errs, g.Release())
	}
	p.guards = nil
	return errors.Join(errs...)
}
