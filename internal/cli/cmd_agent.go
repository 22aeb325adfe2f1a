package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/usererr"
)

// agentCommand is the hidden remote side of ssh mode. Its first argument is
// the version of the program that started it.
func agentCommand(s *session) *cobra.Command {
	c := newCommand("agent", "serve a gs_probackup on another host", func(_ context.Context, args []string) error {
		if len(args) > 0 && args[0] != programVersion {
			return usererr.New("Version mismatch, gs_probackup binary with version '%s' is launched as an agent for gs_probackup binary with version '%s'", programVersion, args[0])
		}
		return notBuiltIn("The remote agent")
	})
	c.Hidden = true
	return c
}
