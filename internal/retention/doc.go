// Package retention decides which backups and which archived WAL are no longer
// wanted, and removes them (spec/server.md §7.5, spec/cli.md §10.9).
//
// It owns the policy, as two pure functions: Decide (backups + policy + time →
// keep, merge or delete each one, with reasons) and PlanWAL (backups + archive
// → what goes), and their execution, Run and PurgeWAL. It leaves deleting one
// backup to catalog, merging a chain to a Merger, deleting what a user names
// to internal/remove, and every word for people to internal/cli.
//
// What the C tool gets wrong and this package does not copy:
//
//   - members of an unfinished merge, and backups whose control file is
//     damaged, are left alone: they can still be mended;
//   - a backup that cannot be locked guards its ancestors, as do backups that
//     were started after the decision;
//   - a chain is not merged over the head of a kept backup, neither one inside
//     it nor one that branches off;
//   - WAL of a timeline without backups goes only if no older backup could
//     have used it.
package retention
