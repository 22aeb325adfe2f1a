package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/remove"
)

func delInstanceCommand(s *session) *cobra.Command {
	rules := commandRules{name: "del-instance"}
	return newCommand("del-instance", "remove an instance with its backups", s.command(rules, func(ctx context.Context, r *request) error {
		if r.DryRun {
			// The C tool ignores the option and deletes everything
			// (spec/cli.md §13 row 7).
			return remove.Instance(ctx, remove.Deps{Instance: r.instance, Sink: s.console, Now: s.env.Now})
		}
		if err := s.openCatalog(r.Catalog).RemoveInstance(ctx, r.instance); err != nil {
			return err
		}
		s.console.info("Instance '%s' successfully deleted", r.Instance)
		return nil
	}))
}
