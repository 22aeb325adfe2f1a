package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func initCommand(s *session) *cobra.Command {
	rules := commandRules{name: "init", noInstance: true, creates: true, needsDSS: true}
	return newCommand("init", "create a backup catalog", s.command(rules, func(_ context.Context, r *request) error {
		if err := s.openCatalog(r.Catalog).Init(); err != nil {
			return err
		}
		s.console.info("Backup catalog '%s' successfully inited", r.Catalog)
		return nil
	}))
}
