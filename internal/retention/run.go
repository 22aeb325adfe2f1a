package retention

import (
	"context"
	"slices"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// Merger turns a chain into one FULL backup with the ID of its last member.
type Merger interface {
	// Merge gets the chain FULL first. It locks all members, and ends with
	// the result complete or with everything needed to call it again.
	Merge(ctx context.Context, chain catalog.List) error
	// Finish goes on with the merge that a FULL of the list says is
	// unfinished. The error has lock.ErrHeld inside when somebody else uses
	// the chain.
	Finish(ctx context.Context, list catalog.List, full *catalog.Backup) error
}

// Deps is what a run works with.
type Deps struct {
	FS       fsx.FS
	Instance *catalog.Instance
	Sink     event.Sink
	// Now is in the zone whose calendar counts.
	Now func() time.Time
	// Merger is needed with Policy.Merge, unless it is a dry run.
	Merger Merger
}

// Options of Run.
type Options struct {
	Policy Policy
	// DeleteWAL purges the WAL archive at the end, leaving WAL for WALDepth
	// backups, or for all if it is 0.
	DeleteWAL bool
	WALDepth  uint32
	DryRun    bool
}

// Result tells what a run has done.
type Result struct{ Merged, Deleted, WALRemoved bool }

// Run finishes merges that were cut off, if merging is allowed, evaluates the
// policy, merges, deletes and purges WAL, in this order. An error in one stage
// ends the run: nothing is deleted after a failed merge. Only that of a merge
// that could not be finished is told at the end.
func Run(ctx context.Context, deps Deps, opts Options) (Result, error) {
	r := run{deps: deps, opts: opts}
	err := r.run(ctx)
	return r.result, err
}

type run struct {
	deps   Deps
	opts   Options
	list   catalog.List
	plan   Plan
	result Result
	// unfinished is why merges that were cut off could not be finished.
	unfinished error
}

func (r *run) emit(e event.Event) { r.deps.Sink.Emit(e) }

func (r *run) run(ctx context.Context) (err error) {
	p := r.opts.Policy
	if r.list, err = r.deps.Instance.Backups(ctx); err != nil {
		return err
	}
	if !r.opts.DryRun {
		if r.list, err = r.deps.Instance.FinishDeletions(ctx, r.list, nil); err != nil {
			return err
		}
	}
	if p.Delete && !r.opts.DryRun {
		if r.list, err = r.deps.Instance.SweepRemnants(r.list, r.deps.Now()); err != nil {
			return err
		}
	}
	if p.Delete || p.Merge {
		r.emit(PolicyUsed{Policy: p})
		if !p.IsSet() {
			r.emit(PolicyMissing{})
			if !r.opts.DeleteWAL {
				return nil
			}
		} else if len(r.list) == 0 {
			r.emit(NoBackups{})
		} else if err := r.apply(ctx); err != nil {
			return err
		}
	}
	if r.opts.DeleteWAL {
		removed, err := PurgeWAL(ctx, r.deps, WALOptions{Depth: r.opts.WALDepth, DryRun: r.opts.DryRun})
		r.result.WALRemoved = removed
		if err != nil {
			return err
		}
	}
	r.emit(Finished{Result: r.result})
	return r.unfinished
}

// apply decides about the backups and carries it out.
func (r *run) apply(ctx context.Context) error {
	if r.opts.Policy.Merge && !r.opts.DryRun {
		if err := r.finishMerges(ctx); err != nil {
			return err
		}
	}
	r.plan = Decide(r.list, r.opts.Policy, r.deps.Now())
	r.report()
	if r.opts.DryRun {
		return nil
	}
	if r.opts.Policy.Merge {
		if err := r.merge(ctx); err != nil {
			return err
		}
	}
	if r.opts.Policy.Delete {
		return r.purge(ctx)
	}
	return nil
}

// report tells the decisions: first broken chains and the pins, oldest first.
func (r *run) report() {
	r.emit(EvaluationStarted{})
	// The C tool meets the broken ones when it counts FULL backups.
	counts := r.opts.Policy.Redundancy > 0 && slices.ContainsFunc(r.list, func(b *catalog.Backup) bool {
		return b.Mode == catalog.ModeFull && b.Status.Usable()
	})
	links := newChains(r.list)
	for i := len(r.plan.Decisions) - 1; i >= 0; i-- {
		x := r.plan.Decisions[i]
		if top := links.top(x.Backup); counts && top.Mode != catalog.ModeFull {
			r.emit(catalog.NoFullParent{Of: x.Backup.ID, Missing: top.ParentID})
		}
		if len(x.Reasons) > 0 && x.Reasons[0].Cause == Pinned {
			r.emit(PinRespected{ID: x.Backup.ID, Until: x.Backup.ExpireTime})
		}
	}
	for _, x := range r.plan.Decisions {
		r.emit(Evaluated{Decision: x, Redundancy: r.opts.Policy.Redundancy})
	}
	for _, x := range r.plan.Decisions {
		r.emit(Decided{Decision: x})
	}
}

// relist reads the catalog again. What is odd about it was told the first
// time.
func (r *run) relist(ctx context.Context) (catalog.List, error) {
	return r.deps.Instance.WithSink(event.Discard).Backups(ctx)
}

// merge carries out the merges of the plan.
func (r *run) merge(ctx context.Context) error {
	for _, step := range r.plan.Merges {
		r.emit(MergeConsidered{ID: step.Backup.ID})
		if step.Obstacle == None {
			branch, err := r.newBranch(ctx, step.Chain)
			if err != nil {
				return err
			}
			if branch != nil {
				step.Obstacle, step.By = BranchKept, branch
				r.keepUnmerged(step.Backup)
			}
		}
		if step.Obstacle != None {
			r.emit(MergeSkipped{Step: step})
			continue
		}
		r.emit(MergeStarted{Full: step.Chain[0].ID, ID: step.Backup.ID})
		if err := r.deps.Merger.Merge(ctx, step.Chain); err != nil {
			return err
		}
		r.result.Merged = true
	}
	r.emit(MergingFinished{})
	return nil
}

// newBranch finds a backup that was started on a member of the chain after
// the decision.
func (r *run) newBranch(ctx context.Context, chain catalog.List) (*catalog.Backup, error) {
	fresh, err := r.relist(ctx)
	if err != nil {
		return nil, err
	}
	links := newChains(fresh)
	for _, b := range fresh {
		if r.list.ByID(b.ID) != nil || links.needs(b, chain[len(chain)-1]) {
			continue
		}
		for _, member := range chain[:len(chain)-1] {
			if links.needs(b, member) {
				return b, nil
			}
		}
	}
	return nil, nil
}

// keepUnmerged takes a merge back from the plan.
func (r *run) keepUnmerged(dest *catalog.Backup) {
	for i := range r.plan.Decisions {
		x := &r.plan.Decisions[i]
		if last := len(x.Reasons) - 1; x.Action == Merge && (x.Backup == dest ||
			last >= 0 && x.Reasons[last] == Reason{MergedInto, dest.ID}) {
			x.Action, x.Reasons = Keep, []Reason{{NeededBy, dest.ID}}
		}
	}
}
