package merge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// Deps are the things a merge works with.
type Deps struct {
	FS       fsx.FS
	Instance *catalog.Instance
	Sink     event.Sink
	Now      func() time.Time
}

// Options of Run.
type Options struct {
	// ID is an increment, the destination, or a FULL, which is merged with
	// its only good child.
	ID      catalog.ID
	Threads int
}

// Run is the verb merge.
func Run(ctx context.Context, deps Deps, opts Options) error {
	m := &merge{deps: deps, threads: max(opts.Threads, 1)}
	if err := m.choose(ctx, opts.ID); err != nil {
		return err
	}
	m.branches = true
	if err := m.run(ctx, m.members()); err != nil {
		return err
	}
	m.emit(Completed{ID: opts.ID})
	return nil
}

// Chains merges the chains that retention chooses.
type Chains struct {
	Deps    Deps
	Threads int
}

// Merge merges a chain, FULL first.
func (c Chains) Merge(ctx context.Context, chain catalog.List) error {
	if len(chain) < 2 {
		return fmt.Errorf("merge a chain of %d backups", len(chain))
	}
	m := &merge{deps: c.Deps, threads: max(c.Threads, 1), list: chain, full: chain[0], dest: chain[len(chain)-1]}
	return m.run(ctx, chain)
}

// Finish goes on with a merge that was cut off; list has the backups of the
// instance, and full is one of them. With one of another list it would be taken
// for an increment of its own, and deleted.
func (c Chains) Finish(ctx context.Context, list catalog.List, full *catalog.Backup) error {
	if !slices.Contains(list, full) {
		return fmt.Errorf("finish merge of backup %s: it is not in the list", full.ID)
	}
	m := &merge{deps: c.Deps, threads: max(c.Threads, 1), list: list, full: full, dest: list.ByID(full.MergeDestID)}
	if m.dest == full { // renamed already
		m.dest = nil
	}
	m.emit(Rerun{ID: full.MergeDestID})
	return m.run(ctx, m.members())
}

type merge struct {
	deps       Deps
	threads    int
	branches   bool // look for backups beside the chain
	list       catalog.List
	full, dest *catalog.Backup
	chain      catalog.List // FULL first
	locker     *lock.Locker
	retry      bool
	inPlace    bool
	result     catalog.ID // what the merged backup will have
	began      time.Time
	verdict    []event.Event // of the check of the result
}

func (m *merge) emit(e event.Event) { m.deps.Sink.Emit(e) }

func (m *merge) run(ctx context.Context, chain catalog.List) (err error) {
	m.chain = chain
	if m.result = m.full.MergeDestID; m.result == 0 {
		m.result = m.dest.ID
	}
	m.began = m.deps.Now().Truncate(time.Second)
	unlock, err := m.lock(ctx)
	defer func() { err = errors.Join(err, unlock()) }()
	if err != nil {
		return err
	}
	m.retry = m.full.Status == catalog.StatusMerging || m.full.Status == catalog.StatusMerged ||
		m.dest != nil && m.dest.Status == catalog.StatusMerging
	shown := m.result
	if m.dest != nil {
		shown = m.dest.ID
	}
	m.emit(ChainMerging{ID: shown, Retry: m.retry})
	if m.full.MergeDestID != 0 && m.full.MergeDestID != shown {
		return usererr.New("Cannot run merge for %s, because full backup %s has unfinished merge with backup %s", shown, m.full.ID, m.full.MergeDestID)
	}
	if m.full.Status != catalog.StatusMerged {
		if err := m.prepare(ctx); err != nil {
			return err
		}
		if err := m.files(ctx); err != nil {
			return err
		}
	}
	return m.complete(ctx)
}

// lock locks all members, oldest first, and makes sure that they are still
// what they were when the list was read.
func (m *merge) lock(ctx context.Context) (unlock func() error, err error) {
	var locks []*lock.Lock
	m.locker = m.deps.Instance.NewLocker()
	unlock = func() (err error) {
		// The FULL's directory was renamed with the lock file in it.
		if name := filepath.Join(m.deps.Instance.Dir(), m.result.String(), lock.FileName); m.full.Dir == filepath.Dir(name) && len(locks) > 0 {
			err = fsx.RemoveIfThere(m.deps.FS, name)
		}
		for _, k := range locks {
			err = errors.Join(err, k.Release())
		}
		return err
	}
	for _, b := range m.chain {
		k, err := catalog.LockBackup(ctx, m.locker, b, lock.Intent{Destructive: true})
		if err != nil {
			return unlock, err
		}
		locks = append(locks, k)
		if b.Unreadable || b.Leaving {
			continue
		}
		fresh, err := catalog.ReadControl(m.deps.FS, b.ControlPath(), event.Discard)
		if err != nil {
			return unlock, usererr.Wrap(err, "Backup %s was changed by another process", b.ID)
		}
		if fresh.ID != b.ID || fresh.Status != b.Status && !(fresh.Status.Usable() && b.Status.Usable()) || fresh.MergeDestID != b.MergeDestID || fresh.ParentID != b.ParentID {
			return unlock, usererr.New("Backup %s was changed by another process", b.ID)
		}
	}
	return unlock, nil
}

// prepare makes sure that the chain can be merged (spec/server.md §7.4, steps
// 3 and 4).
func (m *merge) prepare(ctx context.Context) error {
	for _, b := range m.chain {
		if validate.CheckProgram(b) != nil {
			return usererr.New("Backup %s has been produced by gs_probackup version %s, but current program version is %s. Forward compatibility is not supported.",
				b.ID, b.ProgramVersion, catalog.ProgramVersion)
		}
		if b.BlockSize != m.full.BlockSize || (b.ChecksumVersion != 0) != (m.full.ChecksumVersion != 0) && b.ServerVersion != "9.2" {
			return usererr.New("Backup %s and backup %s are of clusters with different settings and cannot be merged", m.full.ID, b.ID)
		}
	}
	m.inPlace = true
	if algorithm(m.full.CompressAlg) != algorithm(m.dest.CompressAlg) {
		m.inPlace = false
		m.emit(NotInPlace{Algorithms: true})
	}
	if m.full.ProgramVersion != catalog.ProgramVersion || m.dest.ProgramVersion != catalog.ProgramVersion {
		m.inPlace = false
		m.emit(NotInPlace{FullVersion: m.full.ProgramVersion, Version: m.dest.ProgramVersion})
	}
	if m.branches && !m.retry {
		if err := m.checkBranches(m.chain); err != nil {
			return err
		}
	}
	m.emit(ParentsChecked{ID: m.dest.ID})
	deps := validate.Deps{FS: m.deps.FS, Instance: m.deps.Instance, Sink: m.deps.Sink}
	for _, b := range m.chain {
		if b == m.full && b.Status == catalog.StatusMerging {
			continue // partly old, partly new; C says nothing of it
		}
		if err := validate.Files(ctx, deps, b, validate.Options{Threads: m.threads, Thrifty: true}); err != nil {
			return err
		}
		if b.Status != catalog.StatusOK && b.Status != catalog.StatusMerging {
			return usererr.New("Backup %s has status %s, merge is aborted", b.ID, b.Status)
		}
	}
	return nil
}
