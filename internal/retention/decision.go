package retention

import (
	"fmt"

	"gsprobackup/internal/catalog"
)

// Action is what becomes of a backup.
type Action int

// The actions. Merge is for all members of a chain that becomes one backup,
// which has the ID of the newest.
const (
	Keep Action = iota
	Merge
	Delete
)

func (a Action) String() string {
	switch a {
	case Merge:
		return "merge"
	case Delete:
		return "delete"
	}
	return "keep"
}

// Cause is the kind of a Reason.
type Cause int

// Why a backup is kept, merged or deleted.
const (
	NoRule           Cause = iota // no policy is set
	WithinRedundancy              // Backup is its FULL, one of the newest
	WithinWindow
	Pinned
	NeededBy        // Backup, which stays, is a descendant
	UnfinishedMerge // part of one; merge has to be called again
	AboveMerge      // based on one, whose FULL is Backup
	Damaged         // the control file cannot be read; it may be mended
	BehindDamaged   // Backup is damaged: which chain it belongs to is not known
	Doubled         // another directory claims the same ID
	Foreign         // no control file, but files that no backup has
	TooYoung        // no control file yet; may have been started just now
	NotAsked        // expired, but deleting was not asked for
	MergedInto      // Backup gets its content
	Outdated        // expired
	Changed         // not as it was when the decision was made
)

// Reason is one cause, with the backup it has to do with.
type Reason struct {
	Cause  Cause
	Backup catalog.ID
}

func (r Reason) String() string {
	switch r.Cause {
	case NoRule:
		return "no retention policy is set"
	case WithinRedundancy:
		return fmt.Sprintf("its FULL backup %s is within redundancy", r.Backup)
	case WithinWindow:
		return "it is within the window"
	case Pinned:
		return "it is pinned"
	case NeededBy:
		return fmt.Sprintf("backup %s needs it", r.Backup)
	case UnfinishedMerge:
		return "it is part of an unfinished merge"
	case AboveMerge:
		return fmt.Sprintf("it is based on the unfinished merge of backup %s", r.Backup)
	case Damaged:
		return "its control file is damaged"
	case BehindDamaged:
		return fmt.Sprintf("it may belong to the chain of backup %s, whose control file is damaged", r.Backup)
	case Doubled:
		return "there is another backup with this ID"
	case Foreign:
		return "it contains files that no backup has"
	case TooYoung:
		return "it has no control file yet"
	case NotAsked:
		return "it is expired, but deleting was not asked for"
	case MergedInto:
		return fmt.Sprintf("it becomes part of backup %s", r.Backup)
	case Changed:
		return "it was changed meanwhile"
	}
	return "it is expired"
}

// Decision is what the policy says about one backup.
type Decision struct {
	Backup *catalog.Backup
	// Expired backups violate the policy and are not pinned. They may be
	// kept all the same; see Reasons.
	Expired bool
	Action  Action
	Reasons []Reason

	// Fulls counts the FULL backups newer than this one, in any state, plus
	// one: the first Redundancy number of the C tool's report.
	Fulls int
	// Age is days since the backup was taken, Span the days of its pin or
	// else of the window.
	Age, Span int64
}

// Plan is the outcome of Decide.
type Plan struct {
	Decisions []Decision // newest first
	// Keepers are the increments that stay while their direct parent is
	// expired, newest first: what the C tool checks expired backups against.
	Keepers catalog.List
	// Merges are what becomes of the Keepers, if merging is allowed.
	Merges []MergeStep
}

// MergeStep is one increment that is to become a FULL backup, or the reason
// why it cannot.
type MergeStep struct {
	Backup *catalog.Backup
	// Chain is FULL to Backup; empty when there is an obstacle.
	Chain    catalog.List
	Obstacle Obstacle
	// By is the backup that is in the way.
	By *catalog.Backup
}

// Obstacle is what keeps a chain from being merged.
type Obstacle int

// The obstacles; the last three are not looked for by the C tool.
const (
	None           Obstacle = iota
	FullMissing             // the chain is broken
	FullNotExpired          // By is the FULL
	MemberKept              // By would lose its own place in time
	BranchKept              // By needs a member of the chain
	NotMergeable            // By is in a state that cannot be merged
)
