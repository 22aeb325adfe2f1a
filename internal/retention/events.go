package retention

import (
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/wal"
)

// Events of a run, in the C tool's order (spec/cli.md §10.9). In comments:
// what it says.
type (
	// PolicyUsed: LOG `REDUNDANCY=%u`, LOG `WINDOW=%u`, each if above 0.
	PolicyUsed struct{ Policy Policy }
	// PolicyMissing: WARNING `Retention policy is not set`.
	PolicyMissing struct{}
	// NoBackups: WARNING `Backup list is empty, retention purge and merge are
	// problematic`.
	NoBackups struct{}
	// EvaluationStarted: INFO `Evaluate backups by retention`.
	EvaluationStarted struct{}
	// PinRespected: LOG `Backup %s is pinned until '%s', retain`.
	PinRespected struct {
		ID    catalog.ID
		Until time.Time
	}
	// Evaluated: INFO `Backup %s, mode: %s, status: %s. Redundancy: %i/%i,
	// Time Window: %ud/%ud. %s`.
	Evaluated struct {
		Decision   Decision
		Redundancy uint32
	}
	// Decided has what the C tool's report lacks: what will be done and why.
	Decided struct{ Decision Decision }

	// MergeConsidered: INFO `Consider backup %s for merge`.
	MergeConsidered struct{ ID catalog.ID }
	// MergeSkipped: WARNING `Failed to find FULL parent for %s`, WARNING
	// `Skip backup %s for merging, because ...`.
	MergeSkipped struct{ Step MergeStep }
	// MergeStarted: INFO `Merge incremental chain between full backup %s and
	// backup %s`.
	MergeStarted struct{ Full, ID catalog.ID }
	// MergingFinished: INFO `Retention merging finished`.
	MergingFinished struct{}

	// PurgeConsidered: LOG `Consider backup %s for purge`.
	PurgeConsidered struct{ ID catalog.ID }
	// ParentChecked: LOG `Check if backup %s is parent of backup %s`.
	ParentChecked struct{ ID, Keeper catalog.ID }
	// Retained: LOG `Retain backup %s because his descendant %s is guarded by
	// retention`.
	Retained struct{ ID, By catalog.ID }
	// PurgeSkipped is about a backup that the C tool would delete.
	PurgeSkipped struct {
		ID     catalog.ID
		Reason Reason
	}
	// LockSkipped: WARNING `Cannot lock backup %s directory, skip purging`.
	LockSkipped struct{ ID catalog.ID }

	// Finished: INFO `There are no backups to merge by retention policy`
	// unless merged; INFO `Purging finished` or `There are no backups to
	// delete by retention policy`; INFO `There is no WAL to purge by
	// retention policy` unless removed.
	Finished struct{ Result Result }
)

// Events of the WAL purge.
type (
	// PinIgnored: LOG `Pinned backup %s is ignored for the purpose of WAL
	// retention`.
	PinIgnored struct{ ID catalog.ID }
	// WALAnchored: LOG `On timeline %i WAL is protected from purge at %X/%X`.
	WALAnchored struct {
		Timeline wal.Timeline
		LSN      wal.LSN
	}
	// WALProtected: LOG `Archive backup %s to stay consistent protect from
	// purge WAL interval between %s and %s on timeline %i`.
	WALProtected struct {
		ID         catalog.ID
		Timeline   wal.Timeline
		Begin, End string // segment names
	}
	// WALPlanned comes once per timeline. INFO `On timeline %i WAL segments
	// between %s and %s will|can be removed`, `On timeline %i all files
	// will|can be removed`, `Nothing to remove on timeline %i`, LOG `On
	// timeline %i first segment %s is greater than oldest segment to keep
	// %s`, and the two sizes.
	WALPlanned struct {
		Timeline    TimelinePlan
		First, Keep string // segment names
		DryRun      bool
	}
)
