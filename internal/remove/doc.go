// Package remove deletes the backups a user names: one with everything that is
// based on it, or all of one status (spec/server.md §7.5, spec/cli.md §10.10).
//
// It owns which backups go with which, the order, and the locks. It leaves
// deleting one backup to catalog, what policy deletes and the WAL that is no
// longer needed to retention, and every word for people to internal/cli.
//
// Two things differ from the C tool. All backups of a chain say DELETING
// before the first file goes: it deletes the oldest first and, interrupted,
// leaves increments that look good and have no parent. And members of an
// unfinished merge are not deleted from under their FULL backup.
package remove

import (
	"slices"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/usererr"
)

// Deps is what the package works with.
type Deps struct {
	Instance *catalog.Instance
	Sink     event.Sink
	Now      func() time.Time
}

// Events, in the C tool's order.
type (
	// ChainFound: LOG `Backups based on %s will|can be deleted`.
	ChainFound struct {
		ID     catalog.ID
		DryRun bool
	}
	// Selected: LOG `Backup %s will|can be deleted`.
	Selected struct {
		ID     catalog.ID
		DryRun bool
	}
	// SizeKnown: INFO `Resident data size to free by delete of backup %s : %s`.
	SizeKnown struct {
		ID    catalog.ID
		Bytes int64
	}

	// NoBackups: WARNING `Instance '%s' has no backups`.
	NoBackups struct{ Instance string }
	// StatusWanted: INFO `Deleting all backups with status '%s'[ in dry run
	// mode]`, LOG `Backups based on these target backups will|can be deleted`.
	StatusWanted struct {
		Status catalog.Status
		DryRun bool
	}
	// StatusMatched: INFO `Backup %s with status %s will|can be deleted`.
	StatusMatched struct {
		ID     catalog.ID
		Status catalog.Status
		DryRun bool
	}
	// TotalKnown: INFO `Resident data size to free by delete of %i backups:
	// %s`.
	TotalKnown struct {
		Backups int
		Bytes   int64
	}
	// InstanceMatched: INFO `Instance '%s' can be deleted`, at the end of a dry
	// run; the C tool has none (spec/cli.md §13 row 7).
	InstanceMatched struct{ Instance string }
	// StatusDeleted: INFO `Successfully deleted %i backup|backups from
	// instance '%s'`.
	StatusDeleted struct {
		Backups  int
		Instance string
	}
	// NothingMatched: WARNING `Instance '%s' has no backups with status '%s'`.
	NothingMatched struct {
		Instance string
		Status   catalog.Status
	}
)

// residentSize is what a list of backups takes up, as far as it is known.
func residentSize(list catalog.List) (bytes int64) {
	for _, b := range list {
		bytes += max(0, b.DataBytes)
		if b.Stream {
			bytes += max(0, b.WALBytes)
		}
	}
	return bytes
}

// checkMerges refuses to delete members of an unfinished merge whose FULL
// backup stays. One that says MERGING can only be completed with them; and what
// is based on a merge goes with its members, but is good again when it is
// finished. The C tool deletes them.
func checkMerges(all, chosen catalog.List) error {
	for _, full := range all {
		if full.Mode != catalog.ModeFull || slices.Contains(chosen, full) {
			continue
		}
		members, dest := mergeMembers(all, full)
		for _, b := range members {
			if slices.Contains(chosen, b) {
				return usererr.New("Backup %s is part of the unfinished merge of full backup %s with backup %s", b.ID, full.ID, dest.ID).
					WithHint("call merge -i %s again, or delete the full backup", dest.ID)
			}
		}
	}
	return nil
}

// mergeMembers are the increments of a FULL's unfinished merge that are there,
// none if it cannot be completed any more.
func mergeMembers(all catalog.List, full *catalog.Backup) (members catalog.List, dest *catalog.Backup) {
	dest = all.ByID(full.MergeDestID)
	if dest == nil || dest == full {
		return nil, nil
	}
	chain, err := all.ChainTo(dest)
	switch {
	case full.Status == catalog.StatusMerging && err == nil && chain[0] == full:
		return chain[1:], dest
	case full.Status == catalog.StatusMerged: // the oldest may be gone
		for b := dest; b != nil && b != full && !slices.Contains(members, b); b = all.Parent(b) {
			members = append(members, b)
		}
		return members, dest
	}
	return nil, nil
}

// withAllOn returns a backup and all that is based on it. On a merged FULL, which
// has not got the destination's ID yet, are also the destination, be it that
// increments between them are gone, and those that name it as their parent.
func withAllOn(all catalog.List, b *catalog.Backup) catalog.List {
	list := append(catalog.List{b}, all.Descendants(b)...)
	if b.Mode != catalog.ModeFull || b.Status != catalog.StatusMerged {
		return list
	}
	for _, x := range all {
		if x.Mode != catalog.ModeFull && (x.ID == b.MergeDestID || x.ParentID == b.MergeDestID) {
			list = append(append(list, x), all.Descendants(x)...)
		}
	}
	return list
}
