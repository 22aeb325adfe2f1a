package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/usererr"
)

func mergeCommand(s *session) *cobra.Command {
	rules := commandRules{name: "merge", takesID: true, logged: true}
	return newCommand("merge", "merge increments into their full backup", s.command(rules, func(_ context.Context, r *request) error {
		if r.ID == 0 {
			return usererr.New("required parameter is not specified: --backup-id")
		}
		return notBuiltIn("The command merge")
	}))
}
