package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func pending(name string) *cobra.Command {
	return newCommand(name, "", func(context.Context, []string) error { return notBuiltIn("The command " + name) })
}

func initCommand(*session) *cobra.Command        { return pending("init") }
func addInstanceCommand(*session) *cobra.Command { return pending("add-instance") }
func delInstanceCommand(*session) *cobra.Command { return pending("del-instance") }
func setBackupCommand(*session) *cobra.Command   { return pending("set-backup") }
func showCommand(*session) *cobra.Command        { return pending("show") }
