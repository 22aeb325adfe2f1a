package restore

import (
	"context"
	"fmt"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// choose finds the backup to restore and its chain (spec/server.md §6.2 steps
// 4 and 5).
func (r *run) choose(ctx context.Context) error {
	backups, err := r.opts.Instance.Backups(ctx)
	if err != nil {
		return err
	}
	r.backups = backups
	if r.dest, err = r.pick(ctx, true); err != nil {
		return err
	}
	r.way = r.along(r.dest)
	if err := r.buildChain(); err != nil {
		return err
	}
	return r.aim(ctx)
}

// pick walks from newest to oldest. loud emits the warnings of the walk.
func (r *run) pick(ctx context.Context, loud bool) (*catalog.Backup, error) {
	id := r.opts.BackupID
	if err := r.planTimeline(); err != nil {
		return nil, err
	}
	for _, b := range r.backups {
		if id != 0 && b.ID != id {
			continue
		}
		if !b.Status.Usable() {
			if id == 0 {
				if loud {
					r.emit(SkippedStatus{ID: b.ID, Status: b.Status})
				}
				continue
			}
			if !r.mayRevalidate(b) {
				return nil, usererr.New("Backup %s has status: %s", b.ID, b.Status)
			}
			if loud {
				r.emit(BadStatus{ID: b.ID, Status: b.Status})
			}
		}
		if r.along(b) == nil {
			if id != 0 {
				return nil, usererr.New("target backup %s does not satisfy target timeline", b.ID)
			}
			continue
		}
		fits, err := r.fits(ctx, b)
		if err != nil {
			return nil, err
		}
		if fits {
			return b, nil
		}
		if id != 0 {
			return nil, usererr.New("Requested backup %s does not satisfy restore options", b.ID)
		}
	}
	if id != 0 {
		return nil, usererr.New("Requested backup %s is not found.", id)
	}
	return nil, usererr.New("Backup satisfying target options is not found.")
}

// mayRevalidate tells whether a requested backup that is not OK gets another
// chance: it will be validated now, or --force was given.
func (r *run) mayRevalidate(b *catalog.Backup) bool {
	switch b.Status {
	case catalog.StatusOrphan, catalog.StatusCorrupt, catalog.StatusRunning:
		return r.opts.validates() || r.opts.Force
	}
	return r.opts.Force && b.Status != catalog.StatusUnknown
}

// buildChain follows the parents down to the FULL.
func (r *run) buildChain() error {
	byID := make(map[catalog.ID]*catalog.Backup, len(r.backups))
	for _, b := range r.backups {
		byID[b.ID] = b
	}
	deps := r.validateDeps()
	chain := []*catalog.Backup{r.dest}
	seen := map[catalog.ID]bool{r.dest.ID: true}
	for b := r.dest; b.Mode != catalog.ModeFull; {
		parent := byID[b.ParentID]
		if parent == nil || seen[parent.ID] {
			if !r.dry {
				if err := validate.MarkMissingParent(deps, r.backups, b.ParentID); err != nil {
					return err
				}
			}
			return usererr.New("%s of backup %s failed.", r.action(), r.dest.ID)
		}
		seen[parent.ID] = true
		chain = append([]*catalog.Backup{parent}, chain...)
		b = parent
	}
	r.chain = chain
	for _, b := range chain { // the oldest bad one, be it the last
		if !b.Status.Usable() && r.dest.Mode != catalog.ModeFull && !r.dry {
			if err := validate.MarkOrphans(deps, r.backups, b); err != nil {
				return err
			}
			break
		}
	}
	layout, err := validate.LayoutOf(r.dest)
	if err != nil {
		return fmt.Errorf("restore backup %s: %w", r.dest.ID, err)
	}
	r.layout = layout
	return nil
}

// action names what is being done in messages.
func (r *run) action() string {
	if r.checkOnly {
		return "Validate"
	}
	return "Restore"
}
