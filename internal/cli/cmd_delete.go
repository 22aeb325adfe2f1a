package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/merge"
	"gsprobackup/internal/remove"
	"gsprobackup/internal/retention"
	"gsprobackup/internal/usererr"
)

func deleteCommand(s *session) *cobra.Command {
	rules := commandRules{name: "delete", takesID: true, logged: true}
	return newCommand("delete", "delete backups", s.command(rules, func(ctx context.Context, r *request) error {
		if err := s.checkDelete(r); err != nil {
			return err
		}
		return s.deleteBackups(ctx, r)
	}))
}

// deleteBackups does one of three things; -i may be followed by a purge of
// WAL, --status ignores it (spec/cli.md §4.1).
func (s *session) deleteBackups(ctx context.Context, r *request) error {
	deps := remove.Deps{Instance: r.instance, Sink: s.console, Now: s.env.Now}
	settings := s.retentionSettings(r)
	switch {
	case r.ID != 0:
		err := remove.Backup(ctx, deps, remove.Options{ID: r.ID, DryRun: r.DryRun})
		if err != nil || !settings.DeleteWAL {
			return err
		}
		_, err = retention.PurgeWAL(ctx, s.retentionDeps(r.instance),
			retention.WALOptions{Depth: settings.WALDepth, DryRun: r.DryRun})
		return err
	case r.Status != "":
		status, _ := catalog.MatchStatus(r.Status) // checked before
		return remove.Status(ctx, deps, remove.StatusOptions{Status: status, DryRun: r.DryRun})
	}
	return s.runRetention(ctx, r.instance, settings)
}

// runRetention is the retention run of delete and of backup.
func (s *session) runRetention(ctx context.Context, instance *catalog.Instance, r retentionSettings) error {
	deps := s.retentionDeps(instance)
	deps.Merger = merge.Chains{Deps: s.mergeDeps(instance), Threads: r.Threads}
	_, err := retention.Run(ctx, deps, retention.Options{
		Policy: retention.Policy{
			Redundancy: r.Redundancy, Window: r.Window, Elapsed: s.profile.ElapsedWindow,
			Merge: r.Merge, Delete: r.Delete,
		},
		DeleteWAL: r.DeleteWAL, WALDepth: r.WALDepth, DryRun: r.DryRun,
	})
	return err
}

func (s *session) retentionDeps(instance *catalog.Instance) retention.Deps {
	return retention.Deps{
		FS: s.env.FS, Instance: instance, Sink: s.console,
		Now: func() time.Time { return s.env.Now().In(s.env.Location) },
	}
}

// checkDelete applies the rules between delete's options (spec/cli.md §4.1).
func (s *session) checkDelete(r *request) error {
	retention := s.retentionSettings(r)
	conflict := ""
	switch {
	case r.ID == 0:
	case retention.Delete:
		conflict = "--delete-expired"
	case retention.Merge:
		conflict = "--merge-expired"
	case r.Status != "":
		conflict = "--status"
	}
	if conflict != "" {
		return usererr.New("You cannot specify %s and (-i, --backup-id) options together", conflict)
	}
	if r.ID == 0 && r.Status == "" && !retention.any() {
		return usererr.New("You must specify at least one of the delete options: --delete-expired |--delete-wal |--merge-expired |--status |(-i, --backup-id)")
	}
	if r.Status != "" {
		if _, ok := catalog.MatchStatus(r.Status); !ok {
			return usererr.New("Unknown value for '--status' option: '%s'", r.Status)
		}
	}
	return nil
}
