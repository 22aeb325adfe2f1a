package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// versionCommand is "version", also spelled --version and -V. Whatever follows
// is ignored.
func versionCommand(s *session) *cobra.Command {
	return newCommand("version", "show the version", func(context.Context, []string) error {
		return printVersion(s.streams.Out, s.env.Build, s.profile)
	})
}
